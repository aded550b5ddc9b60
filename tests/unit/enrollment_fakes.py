"""A node that enrols and the cluster that it enrols in, in memory: `Node.cut` takes the power away at one effect.

What Incus leaves after a cut is what `agent.cluster` says of it; that module has tests of its own.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent.api_client import RefusedError, UnreachableError
from agent.cluster import Standing
from agent.enrollment import Enrollment, load_enrollment, save_enrollment
from agent.protocol import Code, EnrollReply, EnrollRequest, Facts, JoinReply, NodeState, Refusal
from hostlib.errors import StepError

ID = "ab" * 16
TOKEN = "secret"
FACTS = Facts(fqdn="node2.example.com", address="192.0.2.12")
Moment = Literal["before", "during", "after"]


class PowerCut(BaseException):
    """Nothing may catch it."""


class EndlessError(BaseException):
    """It has waited longer than the test allows."""


@dataclass
class Cluster:
    """What the members know."""

    states: dict[str, NodeState] = field(default_factory=dict)
    uses: int = 1
    policy: NodeState = "approved"
    members: set[str] = field(default_factory=set)
    joining: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    made: int = 0
    accepted: int = 0

    def enroll(self, token: str) -> EnrollReply:
        if ID not in self.states:
            if token != TOKEN or not self.uses:
                raise refused("token-used-up" if token == TOKEN else "token-unknown")
            self.uses -= 1
            self.states[ID] = self.policy
        return self.read(ID)

    def read(self, node: str) -> EnrollReply:
        if node not in self.states:
            raise refused("node-unknown")
        state = self.states[node]
        known = state not in {"requested", "rejected", "removed"}
        return EnrollReply(id=node, state=state, certificate="C" * known, ca="A" * known)

    def read_join(self) -> JoinReply:
        if self.states.get(ID) not in {"approved", "joined"}:
            raise refused("not-approved")
        self.members.discard("node2")
        self.joining.clear()
        self.made += 1
        self.tokens = {f"t{self.made}"}
        return JoinReply(
            server_name="node2", cluster_address="", cluster_certificate="", cluster_token=f"t{self.made}"
        )

    def tell_joined(self) -> EnrollReply:
        if "node2" not in self.members:
            raise refused("not-a-member")
        self.states[ID] = "serving"
        return self.read(ID)


def refused(code: Code, retry_seconds: int | None = None) -> RefusedError:
    refusal = Refusal(code=code, reason="no", todo="do that", retry_seconds=retry_seconds)
    return RefusedError("https://192.0.2.10:8007", refusal)


@dataclass
class Node:
    """The node: `agent.enrollment.Machine`."""

    root: Path
    cluster: Cluster = field(default_factory=Cluster)
    has_token: bool = True
    kept: tuple[str, str] | None = None
    standing: Standing = Standing.ALONE
    answers: bool = True
    """Whether Incus does."""
    cut: tuple[int, Moment] | None = None
    effects: int = 0
    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    patience: float = 4000.0
    clock: float = 0.0
    down_until: float = 0.0
    """No member can be reached before."""
    on_sleep: Callable[[], None] = lambda: None
    full: set[str] = field(default_factory=set)
    """What cannot be written."""

    @property
    def path(self) -> Path:
        return self.root / "enrollment.json"

    def boot(self) -> None:
        self.cut, self.effects = None, 0

    def effect(self, act: Callable[[], None], half: Callable[[], None] = lambda: None) -> None:
        number, moment = self.cut or (-1, "before")
        hit = number == self.effects
        self.effects += 1
        if hit and moment != "after":
            if moment == "during":
                half()
            raise PowerCut
        act()
        if hit:
            raise PowerCut

    def write(self, name: str, act: Callable[[], None]) -> None:
        if name in self.full:
            raise OSError(errno.ENOSPC, "No space left on device", f"/var/lib/slipway/{name}")
        self.effect(act)

    def reach(self) -> None:
        if self.clock < self.down_until:
            raise UnreachableError("https://192.0.2.10:8007: no connection: No route to host; check")

    def load(self) -> Enrollment:
        return load_enrollment(self.path)[0]

    def save(self, enrollment: Enrollment) -> None:
        self.write("state", lambda: save_enrollment(enrollment, self.path))

    def make_request(self) -> EnrollRequest:
        return EnrollRequest(token=TOKEN if self.has_token else "", csr="R", facts=FACTS)

    def ask(self, act: Callable[[], EnrollReply]) -> EnrollReply:
        self.reach()
        answers: list[EnrollReply] = []
        # Cut in the middle, the member has done it and the answer is lost: that is `after`.
        self.effect(lambda: answers.append(act()))
        return answers[0]

    def enroll(self, request: EnrollRequest) -> EnrollReply:
        return self.ask(lambda: self.cluster.enroll(request.token))

    def read_enrollment(self, node: str) -> EnrollReply:
        return self.ask(lambda: self.cluster.read(node))

    def read_join(self, node: str) -> JoinReply:
        assert self.kept
        self.reach()
        replies: list[JoinReply] = []
        self.effect(lambda: replies.append(self.cluster.read_join()))
        return replies[0]

    def tell_joined(self, node: str) -> EnrollReply:
        return self.ask(self.cluster.tell_joined)

    def keep(self, certificate: str, ca: str) -> None:
        def act() -> None:
            self.kept = (certificate, ca)

        self.write("certificate", act)

    def drop_token(self) -> None:
        assert self.load().state == "approved", "the state must be on disk first"

        def act() -> None:
            self.has_token = False

        self.effect(act)

    def read_standing(self) -> Standing:
        if not self.answers:
            raise StepError("command failed: incus admin waitready")
        return self.standing

    def reset_incus(self) -> None:
        assert self.standing is not Standing.MEMBER or not self.answers

        def half() -> None:
            self.answers = False

        def act() -> None:
            self.standing, self.answers = Standing.CLEAN, True

        self.effect(act, half)

    def join_cluster(self, reply: JoinReply) -> None:
        assert self.standing is Standing.CLEAN
        if reply.cluster_token not in self.cluster.tokens:
            raise StepError("Error: No matching cluster join operation found")
        if "node2" in self.cluster.joining:
            raise StepError("Error: UNIQUE constraint failed: nodes.name")
        self.effect(self.join, self.half_join)

    def half_join(self) -> None:
        self.cluster.tokens.clear()
        self.cluster.joining.add("node2")
        self.standing, self.answers = Standing.HALF, self.effects % 2 == 0

    def join(self) -> None:
        assert "node2" not in self.cluster.members
        self.cluster.accepted += 1
        self.cluster.tokens.clear()
        self.cluster.members.add("node2")
        self.standing = Standing.MEMBER

    def tell(self, reason: str) -> None:
        self.told.append(reason)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock += seconds
        if self.clock > self.patience:
            raise EndlessError
        self.on_sleep()

    def random(self) -> float:
        return 0.5
