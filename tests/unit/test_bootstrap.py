from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_pem_x509_certificate

from agent.authority import RECORD, StoreAuthority, parse_record
from agent.bootstrap import run_bootstrap
from agent.ca import FOLDER, check_peer, needs_renewal, read_ca_key
from agent.cluster import Standing, read_standing
from agent.enroll_policy import plan_remove
from agent.node_key import CA, CERTIFICATE
from agent.protocol import Facts
from agent.records import NodeRecord, parse_nodes, render_record
from agent.store import MemoryStore
from agent.this_node import ThisNode
from hostlib.errors import StepError
from hostlib.release import Release
from hostlib.tls import names_of
from tests.unit.cluster_fakes import FakeNode, Moment, PowerCut, cut_files

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACTS = Facts(fqdn="node2.example.com", address="192.0.2.12")


class CutStore(MemoryStore):
    """Each write is an effect of the node."""

    def __init__(self, fake: FakeNode) -> None:
        super().__init__()
        self._fake = fake

    async def write_all(self, changes: Mapping[str, str | None], etag: str) -> None:
        done: list[Any] = []

        def act() -> None:
            done.append(None)
            # A write of this store waits for nothing.
            with pytest.raises(StopIteration):
                super(CutStore, self).write_all(changes, etag).send(None)

        self._fake.effect(act)
        assert done


def this(fake: FakeNode, facts: Facts = FACTS) -> ThisNode:
    return ThisNode(fake.node, facts, Release(version="0.1.0"), lambda: NOW)


def bootstrap(fake: FakeNode, store: MemoryStore, facts: Facts = FACTS) -> NodeRecord:
    node = this(fake, facts)
    authority = StoreAuthority(store, node.path(FOLDER), node.now)
    return asyncio.run(run_bootstrap(node, store, authority))


def values_of(store: MemoryStore) -> dict[str, str]:
    return asyncio.run(store.read_all())[0]


def assert_one_cluster(fake: FakeNode, store: MemoryStore, node: NodeRecord) -> None:
    assert read_standing(fake.node) is Standing.MEMBER
    record = parse_record(values_of(store)[RECORD])
    assert len(record.authorities) == 1
    assert "Slipway cluster slipway" in load(record.authorities[0].certificate).subject.rfc4514_string()
    read_ca_key(record, fake.node.path(FOLDER))
    assert len(list(fake.node.path(FOLDER).glob("*.key"))) == 1
    assert list(parse_nodes(values_of(store))) == [node.id]
    assert (node.state, node.token, node.facts) == ("serving", "", FACTS)
    certificate = fake.node.path(CERTIFICATE).read_text()
    assert certificate == node.certificate
    assert not needs_renewal(certificate, fake.node.path(CA).read_text(), NOW)
    assert names_of(load(certificate)) == {"node2.example.com", "node2", "192.0.2.12"}
    assert check_peer(load(certificate).public_bytes(Encoding.DER), record, NOW) == node.id


def load(pem: str) -> Certificate:
    return load_pem_x509_certificate(pem.encode())


@pytest.mark.parametrize("moment", get_args(Moment))
def test_the_power_may_go_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: Moment
) -> None:
    whole = FakeNode(tmp_path / "whole")
    with monkeypatch.context() as patched:
        cut_files(whole, patched)
        bootstrap(whole, CutStore(whole))
    assert whole.effects >= 11
    for number in range(whole.effects):
        fake = FakeNode(tmp_path / f"node{number}", cut=(number, moment))
        store = CutStore(fake)
        with monkeypatch.context() as patched:
            cut_files(fake, patched)
            with pytest.raises(PowerCut):
                bootstrap(fake, store)
            fake.boot()
            node = bootstrap(fake, store)
            assert_one_cluster(fake, store, node)
            # Once more at the next start: nothing is changed.
            fake.effects = 0
            assert bootstrap(fake, store) == node
            assert fake.effects == 0


def test_a_removed_node_begins_nothing_anew(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path)
    store = MemoryStore()
    node = bootstrap(fake, store)
    gone = plan_remove(node, 1)
    asyncio.run(store.write_all(render_record(gone), asyncio.run(store.read_all())[1]))
    fake.node.path(CERTIFICATE).unlink()
    assert bootstrap(fake, store) == gone
    assert not fake.node.path(CERTIFICATE).exists()


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path)
    store = MemoryStore()
    node = bootstrap(fake, store)
    # Its key was lost, and with it who it is.
    fake.node.path(CERTIFICATE).with_suffix(".key").unlink()
    with pytest.raises(StepError, match=f"belongs to the node {node.id}.*slipway node remove {node.id}"):
        bootstrap(fake, store)
    odd = FACTS.model_copy(update={"serial": "\x1b"})
    with pytest.raises(StepError, match=r"this node: facts\.serial: "):
        bootstrap(FakeNode(tmp_path / "odd"), MemoryStore(), odd)
