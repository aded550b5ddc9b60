from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from agent.authority import RECORD, StoreAuthority
from agent.ca import (
    BACKDATED,
    MARGIN,
    NODE_LIFETIME,
    bundle,
    make_ca,
    needs_renewal,
    read_ca_key,
    rotate_ca,
    sign_request,
)
from agent.csr import CheckedRequest, check_csr
from agent.store import MemoryStore, StoreError
from hostlib.errors import StepError
from tests.unit.enroll_fakes import Node, in_loop, pem

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = NODE_LIFETIME + MARGIN


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


async def put(store: MemoryStore, text: str) -> None:
    await store.write(RECORD, text, (await store.read_all())[1])


def request() -> CheckedRequest:
    node = Node()
    found = check_csr(node.csr(), node.facts)
    assert isinstance(found, CheckedRequest)
    return found


@in_loop
async def test_a_rotation_by_another_member(tmp_path: Path) -> None:
    store, clock = MemoryStore(), Clock()
    ours = StoreAuthority(store, tmp_path / "ours", clock)
    theirs = StoreAuthority(store, tmp_path / "theirs", clock)
    with pytest.raises(StepError, match="not been read"):
        ours.bundle()
    await ours.ensure("c")
    await ours.ensure("c")
    await theirs.refresh()
    assert ours.has_key()
    assert not theirs.has_key()
    with pytest.raises(StepError, match="another member gives it"):
        theirs.sign(request())
    theirs.take_key(ours.key())
    first = theirs.record
    assert not needs_renewal(theirs.sign(request()), ours.bundle(), NOW)
    # It comes into force with the next look at the store, and without its key nothing is signed.
    key, second = rotate_ca(first, read_ca_key(first, tmp_path / "ours"), NOW)
    await put(store, second.model_dump_json())
    await theirs.refresh()
    assert (theirs.bundle(), theirs.has_key()) == (bundle(second), False)
    with pytest.raises(StepError, match="key of the CA"):
        theirs.take_key("none")
    with pytest.raises(StepError):
        theirs.take_key(ours.key())
    theirs.take_key(pem(key).decode())
    signed = theirs.sign(request())
    assert not needs_renewal(signed, theirs.bundle(), NOW)
    assert len(list((tmp_path / "theirs").iterdir())) == 1


@in_loop
async def test_what_is_out_of_date_counts_for_nothing_by_that_clock_alone(tmp_path: Path) -> None:
    store, clock = MemoryStore(), Clock()
    key, first = make_ca("c", NOW)
    _, second = rotate_ca(first, key, NOW)
    await put(store, second.model_dump_json())
    authority = StoreAuthority(store, tmp_path, clock)
    known = []
    for after in (LONG - timedelta(seconds=1), LONG, timedelta(0)):
        clock.now = NOW + after
        await authority.refresh()
        known.append(len(authority.record.authorities))
    assert known == [2, 1, 2]
    assert (await store.read(RECORD))[0] == second.model_dump_json()


@in_loop
async def test_a_store_without_a_ca_and_one_of_a_newer_version(tmp_path: Path) -> None:
    store = MemoryStore()
    authority = StoreAuthority(store, tmp_path, Clock())
    with pytest.raises(StepError, match="holds none"):
        await authority.refresh()
    await put(store, '{"version": 2}')
    with pytest.raises(StoreError, match="newer version"):
        await authority.refresh()
    assert not authority.known


def test_when_a_certificate_is_renewed() -> None:
    key, first = make_ca("c", NOW)
    ours = request()
    signed = sign_request(ours, key, first, NOW)
    trusted = bundle(first)
    due = NOW + NODE_LIFETIME * 2 / 3
    assert not needs_renewal(signed, trusted, due - timedelta(seconds=1))
    assert needs_renewal(signed, trusted, due)
    assert not needs_renewal(signed, trusted, NOW - BACKDATED)
    # Signed while the clock was ahead: nobody would take it until then.
    assert needs_renewal(signed, trusted, NOW - BACKDATED - timedelta(seconds=1))
    _, second = rotate_ca(first, key, NOW)
    assert needs_renewal(signed, bundle(second), NOW)
    for certificate, ca in (
        ("", trusted),
        (signed, ""),
        (pem(ec.generate_private_key(ec.SECP256R1())).decode(), trusted),
    ):
        assert needs_renewal(certificate, ca, NOW)
