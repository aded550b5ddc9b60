import asyncio
import fcntl
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent import store as store_module
from agent.records import (
    NodeRecord,
    node_key,
    parse_node,
    parse_nodes,
    parse_tokens,
    render_record,
    token_key,
)
from agent.store import PREFIX, Conflict, IncusStore, MemoryStore, Store, StoreError
from tests.unit.enroll_fakes import NOW, Node, in_loop

A, B = f"{PREFIX}node.a", f"{PREFIX}node.b"


@pytest.fixture(autouse=True)
def _closed_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert str(address).startswith(str(tmp_path))
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


class Incus:
    """The part of Incus 6.0 that the store relies on, its gap between check and write included."""

    def __init__(self) -> None:
        self.config = {"features.images": "true", "user.other": "x"}
        self.description = "of the administrator"
        self.answer: web.Response | None = None
        self.later: list[dict[str, str]] = []
        """What another member writes at the same moment, from what it has read before."""

    @asynccontextmanager
    async def serving(self, folder: Path) -> AsyncIterator[IncusStore]:
        application = web.Application()
        application.router.add_get("/1.0/projects/default", self._get)
        application.router.add_put("/1.0/projects/default", self._put)
        runner = web.AppRunner(application, shutdown_timeout=0)
        await runner.setup()
        await web.UnixSite(runner, str(folder / "socket")).start()
        try:
            yield IncusStore(folder / "socket", folder / "run/lock")
        finally:
            await runner.cleanup()

    def _etag(self) -> str:
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()

    async def _get(self, _: web.Request) -> web.Response:
        body = {"type": "sync", "metadata": {"config": self.config, "description": self.description}}
        if self.answer is not None:
            return self.answer
        return web.json_response(body, headers={"ETag": f'"{self._etag()}"'})

    async def _put(self, request: web.Request) -> web.Response:
        if request.headers["If-Match"].strip('"') != self._etag():
            return web.json_response({"type": "error", "error": "ETag doesn't match"}, status=412)
        project = await request.json()
        await asyncio.sleep(0.005)
        self.config, self.description = project["config"], project["description"]
        if self.later:
            self.config = self.later.pop()
        return web.json_response({"type": "sync", "metadata": {}})


async def keeps_its_promises(store: Store) -> None:
    assert await store.read(A) == (None, (await store.read_all())[1])
    _, etag = await store.read(A)
    await store.write_all({A: '{"ü": "<&>\\u0000"}', B: "2"}, etag)
    assert (await store.read(A))[0] == '{"ü": "<&>\\u0000"}'
    assert await store.keys() == (A, B)
    assert await store.keys(B) == (B,)
    with pytest.raises(Conflict):
        await store.write(B, "3", etag)
    _, etag = await store.read_all()
    await store.write(A, None, etag)
    assert (await store.read_all())[0] == {B: "2"}
    with pytest.raises(ValueError, match=r"not a key of ours: core\.x"):
        await store.write("core.x", "1", (await store.read_all())[1])
    # Of two that write what they have read at once, one wins and the other is told.
    _, etag = await store.read_all()
    answers = await asyncio.gather(*(store.write(A, str(n), etag) for n in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers].count(Conflict) == 4


@in_loop
async def test_in_memory() -> None:
    await keeps_its_promises(MemoryStore())


@in_loop
async def test_in_incus(tmp_path: Path) -> None:
    incus = Incus()
    async with incus.serving(tmp_path) as store:
        await keeps_its_promises(store)
    assert incus.config == {"features.images": "true", "user.other": "x", A: incus.config[A], B: "2"}
    assert incus.description == "of the administrator"


@in_loop
async def test_what_another_member_has_overwritten_counts_as_not_written(tmp_path: Path) -> None:
    incus = Incus()
    async with incus.serving(tmp_path) as store:
        _, etag = await store.read_all()
        incus.later = [{B: "2"}]
        with pytest.raises(Conflict):
            await store.write(A, "1", etag)
        await store.write(A, "1", (await store.read_all())[1])
    assert incus.config == {A: "1", B: "2"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (web.json_response({"error": "database is locked"}, status=500), "status 500 database is locked"),
        (web.json_response([1], status=403), "status 403"),
        (web.Response(text="<html>"), "no answer that can be read"),
        (web.Response(text="[" * 100_000), "no answer that can be read"),
        (web.json_response({"metadata": {"config": None}}), "its configuration is not in the answer"),
        (web.json_response([]), "its configuration is not in the answer"),
        (web.json_response({"metadata": {"config": {}, "description": ""}}), "there is no ETag"),
    ],
)
def test_odd_answers(tmp_path: Path, answer: web.Response, said: str) -> None:
    async def ask() -> None:
        incus = Incus()
        incus.answer = answer
        async with incus.serving(tmp_path) as store:
            await store.read_all()

    with pytest.raises(StoreError, match=said):
        asyncio.run(ask())


@in_loop
async def test_no_daemon_and_a_lock_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IncusStore(tmp_path / "socket", tmp_path / "lock")
    with pytest.raises(StoreError, match=r"Incus: no answer that can be read"):
        await store.read_all()
    with pytest.raises(StoreError, match=r"Incus: no answer that can be read"):
        await store.write(A, "1", "e")
    # A user of the machine who can read it could hold it, and with it the cluster's records.
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(store_module, "TIMEOUT_SECONDS", 0.05)
    with (tmp_path / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another write holds it"):
            await store.write(A, "1", "e")


def test_a_record_that_cannot_be_read_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    node = Node()
    record = NodeRecord(
        id=node.id, facts=node.facts, state="requested", token="", csr="", requested=NOW, changed=NOW
    )
    good = render_record(record)[node_key(node.id)]
    assert good is not None
    newer, stray = (
        good.replace('"version":1', '"version":2', 1).replace(node.id, "0" * 32),
        node_key("1" * 32),
    )
    values = {node_key(node.id): good, node_key("0" * 32): newer, stray: good, token_key("00000000"): "{}"}
    assert parse_nodes(values) == {node.id: record}
    assert parse_tokens(values) == {}
    assert "of a newer version (version: Input should be 1)" in caplog.text
    # Nor is it written over: the node itself is told to wait.
    with pytest.raises(StoreError, match="bring this member to the release of the others"):
        parse_node(values, "0" * 32)
