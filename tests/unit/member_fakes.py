"""A member of a cluster with its records in memory, for tests of the administrator's commands."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from agent.authority import RECORD
from agent.ca import FOLDER, CaRecord, make_ca, write_ca_key
from agent.member import Member
from agent.protocol import NodeState
from agent.records import NodeRecord, parse_node, render_record
from agent.store import Changes, MemoryStore
from agent.tokens import TokenRecord
from tests.unit.cluster_fakes import FakeMember
from tests.unit.enroll_fakes import Node

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


@dataclass
class FakeIncus(FakeMember):
    """Tells whether it is in a cluster, too."""

    clustered: bool = True

    def get(self, path: str) -> str:
        if path == "/1.0/cluster":
            return json.dumps(
                {"enabled": self.clustered, "server_name": "node1" if self.clustered else "none"}
            )
        return super().get(path)


@dataclass
class Site:
    """The member node1 below `root`."""

    root: Path
    incus: FakeIncus = field(
        default_factory=lambda: FakeIncus({"node1": "Online", "node2": "Online", "node3": "Offline"})
    )
    store: MemoryStore = field(default_factory=MemoryStore)

    @property
    def member(self) -> Member:
        return Member(self.incus, self.store, "node1", self.root, lambda: NOW)

    def write(self, changes: Changes) -> None:
        asyncio.run(self.store.write_all(changes, asyncio.run(self.store.read_all())[1]))

    def add_ca(self, *, key: bool = True) -> CaRecord:
        private, record = make_ca("rack4", NOW)
        if key:
            write_ca_key(private, self.root / FOLDER.relative_to("/"))
        self.write({RECORD: record.model_dump_json()})
        return record

    def add(self, node: Node, state: NodeState = "serving", token: str = "", certificate: str = "") -> str:
        record = NodeRecord(
            id=node.id,
            facts=node.facts,
            state=state,
            token=token,
            csr=node.csr(),
            certificate=certificate,
            requested=SECONDS - 60,
            changed=SECONDS - 60,
        )
        self.write(render_record(record))
        return node.id

    def add_token(self, token: TokenRecord) -> None:
        self.write(render_record(token))

    def node(self, node_id: str) -> NodeRecord:
        found = parse_node(self.member.read(), node_id)
        assert found
        return found
