from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field

import pytest

from agent.membership import KEPT_SECONDS, IncusMembership, explain_fault, plan_urls
from agent.service import RefusedError
from hostlib.errors import CommandError, StepError
from hostlib.incus import Incus, Member
from tests.unit.cluster_fakes import FakeMember
from tests.unit.enroll_fakes import in_loop


@dataclass
class Incuses(FakeMember):
    """Counts who asks at one moment."""

    at_once: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run_incus(self, argv: list[str]) -> tuple[int, str] | None:
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.001)
        try:
            return super().run_incus(argv)
        finally:
            with self.lock:
                self.at_once -= 1


def test_who_is_online_is_asked_first() -> None:
    members = [
        Member(server_name="a", url="https://192.0.2.1:8443", status="Offline"),
        Member(server_name="b", url="https://[2001:db8::1]:8443", status="Online"),
        Member(server_name="c", url="", status="Online"),
    ]
    assert list(plan_urls(members).items()) == [
        ("b", "https://[2001:db8::1]:8007"),
        ("a", "https://192.0.2.1:8007"),
    ]


@in_loop
async def test_members_are_kept_for_those_who_need_not_know_it_now() -> None:
    fake, clock = FakeMember(), [100.0]
    membership = IncusMembership(Incus(fake), lambda: clock[0])
    assert await membership.members(now=False) == {"node1": "https://192.0.2.11:8007"}
    fake.statuses["node2"] = "Online"
    assert len(await membership.members(now=False)) == 1
    assert len(await membership.members()) == 2
    del fake.statuses["node2"]
    clock[0] += KEPT_SECONDS
    assert len(await membership.members(now=False)) == 1
    assert len(fake.commands) == 3


@in_loop
async def test_invitations_are_made_one_after_the_other() -> None:
    fake = Incuses(joining={"node2": "192.0.2.12:8443"})
    membership = IncusMembership(Incus(fake))
    replies = await asyncio.gather(*(membership.invite("node2", "192.0.2.12") for _ in range(4)))
    assert {reply.cluster_token for reply in replies} == {fake.token}
    assert fake.most == 1
    assert fake.joining == {}


@in_loop
async def test_why_nobody_can_join_is_told_to_the_node() -> None:
    fake = FakeMember(statuses={"node1": "Online", "node2": "Online"})
    with pytest.raises(RefusedError) as caught:
        await IncusMembership(Incus(fake)).invite("node2", "192.0.2.12")
    refusal = caught.value.refusal
    assert (refusal.code, refusal.retry_seconds) == ("unavailable", 30)
    assert refusal.reason == "Incus lets no node join now: node2: is a member of the cluster, Online"
    assert refusal.todo == "look at `incus cluster list`"


def test_no_output_of_a_program_is_told_but_its_error() -> None:
    error = CommandError(
        "incus --quiet cluster add n", "exit status 1", "eyJzZWNyZXQ\nError: no\x1b quorum\n"
    )
    told = explain_fault(error)
    assert told.reason == r"Incus lets no node join now: incus --quiet cluster add n: Error: no\x1b quorum"
    quiet = explain_fault(CommandError("incus cluster add n", "no end after 300 s", "eyJzZWNyZXQ"))
    assert "eyJ" not in quiet.reason + quiet.todo
    assert "no end after 300 s" in quiet.reason
    assert len(explain_fault(StepError("x" * 1000)).reason) == 400
