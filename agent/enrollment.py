"""How a node comes to be in a cluster, its own side: new → requested → approved → joined → serving.

`transition` is pure; `run_enrollment` does what the state asks for, through `Machine`. The power may go at any
moment: every effect may be repeated, and a state is on disk before anything relies on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from pydantic import ConfigDict, Field, ValidationError

from agent.api_client import RefusedError
from agent.cluster import Standing
from agent.protocol import EnrollReply, EnrollRequest, JoinReply, Refusal
from hostlib.errors import SlipwayError, StepError
from hostlib.files import write_atomic
from hostlib.paths import STATE
from hostlib.record import Record

SCHEMA: Final = 1
ENROLLMENT: Final = STATE / "enrollment.json"
FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 300.0
JITTER: Final = 0.5
"""Machines of a rack that were switched on together do not ask together."""
WHAT_TO_DO: Final = {
    "rejected": "on a member: `slipway node approve {id}`; then here: systemctl restart slipway-agent",
    "removed": "to take it back, install this machine again",
}

State = Literal["new", "requested", "approved", "joined", "serving", "rejected", "removed"]
ORDER: Final = ("new", "requested", "approved", "joined", "serving")
STOPPED: Final = ("rejected", "removed")


class Enrollment(Record):
    """Where the node stands, as it is kept."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    state: State = "new"
    id: str = ""
    """Of the node, once it has asked."""
    reason: str = ""
    """For a person: what it waits for, or why it goes no further. Empty when all is well."""
    urls: tuple[str, ...] = ()
    """Of the members that it asks."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Told:
    """A member told where the node stands."""

    reply: EnrollReply


@dataclass(frozen=True, slots=True)
class Refused:
    """A member refused."""

    refusal: Refusal
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not work this time."""

    reason: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The node's Incus is a member of the cluster."""


Event = Told | Refused | Failed | Joined


class Machine(Protocol):
    """What the enrolment touches. Each may raise StepError or OSError, and may be cut and done again."""

    def load(self) -> Enrollment:
        """Give the kept state; that of a new node when there is none."""

    def save(self, enrollment: Enrollment) -> None:
        """Keep the state: after this it is on disk, or OSError is raised and the one before is."""

    def make_request(self) -> EnrollRequest:
        """Give what the node asks with; its key is made here and kept."""

    def enroll(self, request: EnrollRequest) -> EnrollReply:
        """Ask to be enrolled."""

    def read_enrollment(self, node: str) -> EnrollReply:
        """Ask where the node stands."""

    def read_join(self, node: str) -> JoinReply:
        """Ask for what Incus needs to join."""

    def tell_joined(self, node: str) -> EnrollReply:
        """Tell that Incus has joined."""

    def keep(self, certificate: str, ca: str) -> None:
        """Keep the node's certificate and the CA's (PEM)."""

    def drop_token(self) -> None:
        """Remove the enrolment token from the disk."""

    def read_standing(self) -> Standing:
        """Tell where Incus stands; StepError when it does not answer."""

    def reset_incus(self) -> None:
        """Have Incus begin anew."""

    def join_cluster(self, reply: JoinReply) -> None:
        """Have Incus join."""

    def tell(self, reason: str) -> None:
        """Show what it waits for."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def random(self) -> float:
        """Give a number of 0 to 1."""


def transition(now: Enrollment, event: Event) -> Enrollment:
    """Give the next state. Pure."""
    match event:
        case Joined():
            return _to(now, "joined")
        case Failed(reason):
            # What to do about a node that was turned away stays to be read.
            return now if now.state in STOPPED else _to(now, now.state, reason)
        case Refused(refusal, reason):
            return _refused(now, refusal, reason)
        case Told(reply):
            return _told(now.model_copy(update={"id": reply.id}), reply)


def _told(now: Enrollment, reply: EnrollReply) -> Enrollment:
    match reply.state:
        case "rejected" | "removed":
            return stopped(now, reply.state, reply.reason)
        case "requested":
            return _to(now, "requested", reply.reason or "waits to be approved by a member")
        case "joined" | "serving" if now.state == "joined":
            return _to(now, "serving")
        case _ if now.state == "joined":
            return _to(now, "joined", reply.reason or f"the cluster says that this node is {reply.state}")
        case _:
            # Also when the cluster knows it as joined: it has lost its state, and looks at its Incus itself.
            return _to(now, "approved")


def _refused(now: Enrollment, refusal: Refusal, reason: str) -> Enrollment:
    match refusal.code:
        case "rejected" | "removed":
            return stopped(now, refusal.code, refusal.reason)
        case "not-a-member" if now.state == "joined":
            # It looks at its Incus again, and joins again where that was taken out of the cluster.
            return _to(now, "approved", reason)
        case "not-approved" | "not-this-node" | "node-unknown" if now.state in {"approved", "joined"}:
            # The answer to where it stands brings the certificate again.
            return _to(now, "requested", reason)
        case "not-approved" | "not-this-node" | "node-unknown" if now.state == "requested":
            # The cluster has lost the node; a node that is known may ask again at any time.
            return _to(now, "new", reason)
        case "node-unknown" if now.state in STOPPED:
            # Its record is dropped after a time; what to do about it is still the same.
            return now
        case _:
            return _to(now, now.state, reason)


def stopped(now: Enrollment, state: Literal["rejected", "removed"], reason: str) -> Enrollment:
    """Give the state of a node that the cluster has turned away, with what to do about it. Pure."""
    todo = WHAT_TO_DO[state].format(id=now.id)
    said = f" ({reason})" if reason else ""
    return _to(now, state, f"the cluster has {state} this node{said}; {todo}")


def _to(now: Enrollment, state: State, reason: str = "") -> Enrollment:
    return now.model_copy(update={"state": state, "reason": reason})


def plan_pause(tries: int, chance: float, at_least: float = 0.0) -> float:
    """Give the seconds to wait after `tries` times (from 1) that led nowhere: 1 s, doubled up to 5 minutes.

    `chance` (0 to 1) spreads it by a half up and down; `at_least` is what a member asked for.
    """
    wait = min(FIRST_WAIT_SECONDS * 2.0 ** min(tries - 1, 16), LONGEST_WAIT_SECONDS)
    return max(min(wait * (1 - JITTER + 2 * JITTER * chance), LONGEST_WAIT_SECONDS), at_least)


def run_enrollment(machine: Machine) -> Enrollment:
    """Bring the node into its cluster, however long it takes; give the state `serving`, `rejected` or `removed`.

    A node that was rejected or removed asks once more whether that still holds.
    """
    now = machine.load()
    furthest, tries = _rank(now), 0
    while now.state != "serving":
        event = _perform(now, machine)
        after = transition(now, event)
        if _save(now, after, machine):
            now = after
            if now.state in STOPPED and _is_answer(event):
                break
        # A state that it has been in before is no reason to hurry.
        tries = 0 if _rank(now) > furthest else tries + 1
        furthest = max(furthest, _rank(now))
        if tries or now.reason:
            asked = event.refusal.retry_seconds if isinstance(event, Refused) else None
            machine.sleep(plan_pause(max(tries, 1), machine.random(), min(asked or 0, LONGEST_WAIT_SECONDS)))
    return now


def _rank(enrollment: Enrollment) -> int:
    return ORDER.index(enrollment.state) if enrollment.state in ORDER else -1


def _is_answer(event: Event) -> bool:
    return isinstance(event, Told) or (isinstance(event, Refused) and event.refusal.code != "rate-limited")


def _save(before: Enrollment, after: Enrollment, machine: Machine) -> bool:
    if after == before:
        return True
    try:
        machine.save(after)
    except OSError as error:
        machine.tell(f"{ENROLLMENT}: cannot be written ({error.strerror or error}); free some space in /var")
        return False
    machine.tell(after.reason)
    return True


def _perform(now: Enrollment, machine: Machine) -> Event:
    try:
        return _act(now, machine)
    except RefusedError as error:
        return Refused(error.refusal, str(error))
    except SlipwayError as error:
        return Failed(str(error))
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return Failed(f"{name}{error.strerror or error}")


def _act(now: Enrollment, machine: Machine) -> Event:
    match now.state:
        case "new":
            return _keep(machine.enroll(machine.make_request()), machine)
        case "approved":
            return _join(now, machine)
        case "joined":
            return Told(machine.tell_joined(now.id))
        case _:
            return _keep(machine.read_enrollment(now.id), machine)


def _keep(reply: EnrollReply, machine: Machine) -> Event:
    if reply.state in {"approved", "joined", "serving"}:
        if not (reply.certificate and reply.ca):
            return Failed("the cluster has approved this node, but sent no certificate; update the members")
        machine.keep(reply.certificate, reply.ca)
    return Told(reply)


def _join(now: Enrollment, machine: Machine) -> Event:
    # The state `approved` is on disk, so the token has done what it was for.
    machine.drop_token()
    try:
        standing = machine.read_standing()
    except StepError:
        # A join that was cut can keep Incus from starting, and so can a cluster that is out of reach. A member
        # that makes a join token tells the two apart: then the cluster is there.
        standing = Standing.HALF
    if standing is not Standing.MEMBER:
        reply = machine.read_join(now.id)
        if standing is not Standing.CLEAN:
            machine.reset_incus()
        machine.join_cluster(reply)
        if machine.read_standing() is not Standing.MEMBER:
            return Failed("Incus has joined, but is no member of the cluster; look at `incus cluster list`")
    return Joined()


def load_enrollment(path: Path) -> tuple[Enrollment, str | None]:
    """Read the kept state, and say what was odd about it.

    A file that is damaged or of a newer version is kept beside as `*.odd`, and the node asks anew: its key says who
    it is, and what is done already is found done. Raises OSError.
    """
    try:
        return Enrollment.model_validate_json(path.read_bytes()), None
    except FileNotFoundError:
        return Enrollment(), None
    except ValidationError:
        aside = path.with_name(f"{path.name}.odd")
        path.replace(aside)
        return Enrollment(), f"{path}: damaged or of a newer version; kept as {aside}, the node asks anew"


def save_enrollment(enrollment: Enrollment, path: Path) -> None:
    """Write the state. Raises OSError; then the one before is still there."""
    write_atomic(path, enrollment.model_dump_json(by_alias=True, indent=2) + "\n")
