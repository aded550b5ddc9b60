"""Incus's cluster as the enrolment service uses it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from agent.cluster import make_join_reply
from agent.protocol import JoinReply, Refusal
from agent.service import RefusedError
from hostlib.errors import CommandError, StepError, printable
from hostlib.incus import Incus, Member
from hostlib.ports import ENROLLMENT

KEPT_SECONDS: Final = 10.0
"""Each heartbeat asks for the members, and each question starts a program."""
RETRY_SECONDS: Final = 30
SHOWN_CHARACTERS: Final = 400
ONLINE: Final = "Online"


def render_url(host: str) -> str:
    """Give the URL of the enrolment service at an address or name."""
    return f"https://[{host}]:{ENROLLMENT}" if ":" in host else f"https://{host}:{ENROLLMENT}"


def plan_urls(members: Iterable[Member]) -> dict[str, str]:
    """Give server name -> URL of the enrolment service; who is online comes first, since that one is asked first."""
    ordered = sorted(members, key=lambda member: (member.status != ONLINE, member.server_name))
    hosts = {member.server_name: urlsplit(member.url).hostname for member in ordered}
    return {name: render_url(host) for name, host in hosts.items() if host}


def explain_fault(error: StepError) -> Refusal:
    """Say to a node why it is not let into the cluster yet.

    Of a program only the line with its error is told: what else it prints may be a join token.
    """
    if isinstance(error, CommandError):
        said = [line.strip() for line in error.output.splitlines() if line.lstrip().startswith("Error:")]
        what, todo = f"{error.command}: {said[-1] if said else error.reason}", ""
    else:
        what, _, todo = str(error).partition("; ")
    return Refusal(
        code="unavailable",
        reason=printable(f"Incus lets no node join now: {what}")[:SHOWN_CHARACTERS],
        todo=printable(todo)[:SHOWN_CHARACTERS] or "look at `incus cluster list` on that member",
        retry_seconds=RETRY_SECONDS,
    )


class IncusMembership:
    """See `agent.service.Cluster`. Incus is asked beside the loop, one question after the other."""

    def __init__(self, incus: Incus, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the daemon, and a clock in seconds."""
        self._incus = incus
        self._clock = clock
        self._one_read, self._one_invitation = asyncio.Lock(), asyncio.Lock()
        self._read_at = -KEPT_SECONDS
        self._members: dict[str, str] = {}

    async def members(self, *, now: bool = True) -> Mapping[str, str]:
        """See Cluster."""
        async with self._one_read:
            if now or self._clock() - self._read_at >= KEPT_SECONDS or not self._members:
                self._members = plan_urls(await asyncio.to_thread(self._incus.read_members))
                self._read_at = self._clock()
            return self._members

    async def invite(self, server_name: str, address: str) -> JoinReply:
        """See Cluster."""
        async with self._one_invitation:
            try:
                return await asyncio.to_thread(make_join_reply, self._incus, server_name, address)
            except StepError as error:
                raise RefusedError(explain_fault(error)) from error
