"""Two members take in a node each within one moment: Incus's ETag keeps the writers of one member apart, no others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from agent.records import parse_nodes
from agent.service import RefusedError, Service
from agent.store import MemoryStore
from tests.unit.enroll_fakes import NOW, Member, Node, in_loop


class TwoDaemons(MemoryStore):
    """Once `meeting` is set, the next two writes wait for each other, and neither counts as too late."""

    def __init__(self) -> None:
        super().__init__()
        self.meeting: asyncio.Barrier | None = None

    async def write_all(self, changes: Mapping[str, str | None], etag: str) -> None:
        if meeting := self.meeting:
            await meeting.wait()
            self.meeting = None
            etag = (await self.read_all())[1]
        await super().write_all(changes, etag)


@in_loop
async def test_the_last_use_is_not_given_twice(tmp_path: Path) -> None:
    store = TwoDaemons()
    member = Member(tmp_path, store)
    await member.add_token(uses=2)
    other = Service(store, member.ca, member.cluster, lambda: NOW)
    first, one, two = (Node(f"n{number}.example.test") for number in range(3))
    await member.service.enroll(first.request())
    store.meeting = asyncio.Barrier(2)
    asked = member.service.enroll(one.request()), other.enroll(two.request())
    answers = await asyncio.gather(*asked, return_exceptions=True)
    (refused,) = (answer for answer in answers if isinstance(answer, RefusedError))
    assert refused.refusal.code == "token-used-up"
    taken = {answer.id for answer in answers if not isinstance(answer, BaseException)}
    assert len(taken) == 1
    assert set(parse_nodes((await store.read_all())[0])) == {first.id, *taken}
