"""A cluster of daemons in one process: Incus is faked, the members' records are shared, their ports are on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent.authority import RECORD, parse_record
from agent.ca import CaRecord, ca_fingerprint, needs_renewal
from agent.records import NodeRecord, parse_node, render_record
from agent.serve import Daemon, make_daemon, run_daemon
from agent.store import MemoryStore
from agent.supervisor import Duty
from hostlib.seed import NodeSeed, SeedEnrollment, read_seed, write_seed
from tests.unit.cluster_fakes import FakeRunner
from tests.unit.cluster_fakes import members as render_members
from tests.unit.enroll_fakes import new_token

PATIENCE_SECONDS = 60.0
STATE = "var/lib/slipway"


def make_seed(name: str, enrollment: SeedEnrollment) -> NodeSeed:
    return NodeSeed(
        install_id="3f0c8f0e-1c2d-4a5b-8e9f-000000000001",
        installed_at="2026-03-01T11:55:00Z",
        version="0.1.0",
        fqdn=f"{name}.example.com",
        address=f"192.0.2.1{name[-1]}/24",
        enrollment=enrollment,
    )


def join_seed(name: str, fingerprint: str, token: str) -> NodeSeed:
    url = "https://192.0.2.11:8007"
    enrollment = SeedEnrollment(mode="join", urls=(url,), fingerprint=fingerprint, token=SecretStr(token))
    return make_seed(name, enrollment)


@dataclass
class Site:
    """What the nodes share."""

    root: Path
    store: MemoryStore = field(default_factory=MemoryStore)
    members: set[str] = field(default_factory=set)
    ports: dict[str, int] = field(default_factory=dict)
    """Management address -> port on loopback."""


@dataclass
class NodeRunner(FakeRunner):
    """The programs of one node."""

    site: Site
    name: str
    commands: list[str] = field(default_factory=list)

    def run_systemctl(self, argv: list[str]) -> tuple[int, str] | None:
        return (0, "[]") if argv[0] == "list-units" else None

    def run_agetty(self, argv: list[str]) -> None:
        pass

    def run_lvs(self, argv: list[str]) -> tuple[int, str]:
        return 0, '{"report": [{"lv": []}]}' if "json" in argv else "  data,twi-aotz--,\n"

    def run_incus(self, argv: list[str], given: str = "") -> tuple[int, str] | None:
        match argv:
            case ["cluster", "enable", name]:
                self.site.members.add(name)
            case ["admin", "init", "--preseed"]:
                self.site.members.add(json.loads(given)["cluster"]["server_name"])
            case ["--quiet", "cluster", "add", _]:
                return 0, "Incus-join-token\n"
            case ["admin", "sql", *_]:
                return 0, json.dumps({"rows": None})
            case ["query", "/1.0/cluster"]:
                inside = self.name in self.site.members
                return 0, json.dumps({"server_name": self.name if inside else "", "enabled": inside})
            case ["query", "/1.0/cluster/members?recursion=1"]:
                return 0, render_members(*sorted(self.site.members))
            case ["query", path]:
                config = {"cluster.https_address": "192.0.2.11:8443"}
                server = {"config": config, "environment": {"certificate": "PEM"}}
                return 0, json.dumps(server) if path == "/1.0" else ""
            case _:
                assert argv[:2] == ["admin", "waitready"] or "PATCH" in argv
        return None


@dataclass
class Running:
    """A daemon at work."""

    daemon: Daemon
    runner: NodeRunner
    root: Path
    told: list[str]
    duties: dict[str, Duty]

    def hurry(self, *names: str) -> None:
        for name in names:
            self.duties[name].hurry()

    @property
    def state(self) -> str:
        return self.daemon.kept.current.state

    def read(self, path: str) -> str:
        return (self.root / path).read_text()


@asynccontextmanager
async def running(site: Site, seed: NodeSeed) -> AsyncIterator[Running]:
    """Run a node's daemon until the end of the block."""
    name = seed.fqdn.split(".", 1)[0]
    root, told, runner = site.root / name, list[str](), NodeRunner(site, name)
    if not root.exists():
        write_seed(seed, root)
    now: Callable[[], datetime] = lambda: datetime.now(tz=UTC)  # noqa: E731
    daemon = make_daemon(runner, site.store, now, told.append, root=root, listen=("127.0.0.1", 0))
    duties = {duty.name: duty for duty in daemon.duties.all}
    end = asyncio.Event()
    task = asyncio.create_task(run_daemon(daemon, end))
    try:
        yield Running(daemon, runner, root, told, duties)
    finally:
        end.set()
        await task


async def until(condition: Callable[[], object], hurry: Callable[[], None] = lambda: None) -> None:
    """Wait; from time to time, for a member takes few requests of one address, hurry."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        tries = 0
        while not condition():
            if tries % 10 == 0:
                hurry()
            tries += 1
            await asyncio.sleep(0.01)


BOOTSTRAP = make_seed("node1", SeedEnrollment(mode="bootstrap", cluster_name="rack 7"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return Site(tmp_path)


@pytest.fixture(autouse=True)
def closed_world(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the fixture of all unit tests: a node's port is one on loopback."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert address[1] == 8007
        if not (port := site.ports.get(address[0])):
            raise ConnectionRefusedError
        connect(self, ("127.0.0.1", port))

    monkeypatch.setattr(socket.socket, "connect", guarded)


async def node_of(site: Site, node: Running) -> NodeRecord:
    found = parse_node((await site.store.read_all())[0], node.daemon.kept.current.id)
    assert found is not None
    return found


async def record_of(site: Site) -> CaRecord:
    text, _ = await site.store.read(RECORD)
    return parse_record(text or "")


async def serving(site: Site, node: Running) -> None:
    await until(lambda: node.state == "serving" and node.daemon.member.port)
    site.ports[read_seed(node.root).address.partition("/")[0]] = node.daemon.member.port


async def add_token(site: Site, uses: int = 1) -> None:
    _, token = new_token(int(time.time()), uses=uses)
    await site.store.write_all(render_record(token), (await site.store.read_all())[1])


async def fingerprint(site: Site) -> str:
    return ca_fingerprint(await record_of(site)).replace(":", "").lower()


def keys_of(node: Running) -> set[str]:
    return {path.name for path in (node.root / STATE / "ca").iterdir()}


def is_by(path: Path, record: CaRecord) -> bool:
    return not needs_renewal(path.read_text(), record.authorities[0].certificate, datetime.now(tz=UTC))
