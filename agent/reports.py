"""What the members of a cluster say of its nodes: each node tells one member how it is, so all of them are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.api_client import ApiClient
from agent.member import Member
from agent.protocol import Heartbeat
from agent.records import StatusReply
from hostlib.errors import SlipwayError
from hostlib.sizes import MIB

TIMEOUT_SECONDS: Final = 10.0
LIMIT_BYTES: Final = 16 * MIB
"""Of a member's answer: a thousand nodes with all the findings that a heartbeat can have."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The last heartbeat of a node, wherever it went."""

    age_seconds: int
    """By the clock of the member that got it."""
    heartbeat: Heartbeat


def merge_replies(replies: Iterable[StatusReply]) -> dict[str, Sighting]:
    """Give the latest heartbeat of each node, by id. Pure."""
    found: dict[str, Sighting] = {}
    for reply in replies:
        for node in reply.nodes:
            if node.seen is None or node.heartbeat is None:
                continue
            age = max(0, reply.time - node.seen)
            if node.id not in found or age < found[node.id].age_seconds:
                found[node.id] = Sighting(age, node.heartbeat)
    return found


def read_reports(member: Member, urls: Sequence[str]) -> tuple[Mapping[str, Sighting], list[str]]:
    """Ask all members at once; give what they know, and a line for each that does not answer."""
    return asyncio.run(ask_members(member, urls))


async def ask_members(member: Member, urls: Sequence[str]) -> tuple[Mapping[str, Sighting], list[str]]:
    """See `read_reports`."""
    answers = await asyncio.gather(*(_ask(member, url) for url in urls))
    replies = [answer for answer in answers if isinstance(answer, StatusReply)]
    return merge_replies(replies), [answer for answer in answers if isinstance(answer, str)]


async def _ask(member: Member, url: str) -> StatusReply | str:
    client = ApiClient([url], "", member.now, root=member.root)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await client.call("GET", "/v1/status", StatusReply, mutual=True, limit_bytes=LIMIT_BYTES)
    except TimeoutError:
        return f"{url}: no answer within {TIMEOUT_SECONDS:.0f} s"
    except SlipwayError as error:
        return str(error)
    except OSError as error:
        # This node's certificate, or the CA's.
        name = error.filename or url
        return f"{name}: {error.strerror or error}; look: journalctl -u slipway-agent"
