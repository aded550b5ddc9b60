"""Nodes that come back after their certificate has run out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.api_client import ApiClient, UnreachableError
from agent.ca import read_ca_key, sign_request
from agent.csr import CheckedRequest, check_csr
from agent.enrollment import load_enrollment, save_enrollment
from agent.protocol import NodeState
from agent.records import render_record
from tests.unit import daemon_fakes, enroll_fakes
from tests.unit.daemon_fakes import (
    BOOTSTRAP,
    STATE,
    Running,
    Site,
    add_token,
    fingerprint,
    is_by,
    join_seed,
    keys_of,
    node_of,
    record_of,
    running,
    serving,
    until,
)
from tests.unit.enroll_fakes import TOKEN, in_loop

_cheap_hashes = enroll_fakes.cheap_hashes
ID = "ab" * 16
site, _closed_world = daemon_fakes.site, daemon_fakes.closed_world


async def let_it_run_out(site: Site, member: Running, node: Running, state: NodeState) -> None:
    """Have a node that does not run be one that was switched off 100 days ago in this state."""
    record, known = await record_of(site), await node_of(site, node)
    checked = check_csr(known.csr, known.facts)
    assert isinstance(checked, CheckedRequest)
    key = read_ca_key(record, member.root / STATE / "ca")
    old = sign_request(checked, key, record, datetime.now(tz=UTC) - timedelta(days=100))
    known = known.model_copy(update={"state": state, "certificate": old})
    await site.store.write_all(render_record(known), (await site.store.read_all())[1])
    (node.root / STATE / "node.crt").write_text(old)
    path = node.root / STATE / "enrollment.json"
    save_enrollment(load_enrollment(path)[0].model_copy(update={"state": state}), path)


@pytest.mark.parametrize("state", ["approved", "joined", "serving"])
@in_loop
async def test_a_node_that_was_off_for_longer_than_its_certificate_lasts_finds_back(
    site: Site, state: NodeState
) -> None:
    async with running(site, BOOTSTRAP) as first:
        await serving(site, first)
        await add_token(site)
        seed = join_seed("node2", await fingerprint(site), TOKEN)
        async with running(site, seed) as second:
            await serving(site, second)
            await until(lambda: keys_of(second) if (second.root / STATE / "ca").exists() else False)
        await let_it_run_out(site, first, second, state)
        if state == "approved":
            site.members.discard("node2")
        async with running(site, seed) as again:
            await serving(site, again)
            record = await record_of(site)
            certificate = again.root / STATE / "node.crt"
            await until(lambda: is_by(certificate, record), lambda: again.hurry("certificate"))
            seen = first.daemon.member.service._seen
            seen.clear()
            await until(lambda: again.daemon.kept.current.id in seen, lambda: again.hurry("heartbeat"))


@in_loop
async def test_a_member_that_takes_no_certificate_because_of_a_clock_is_told(site: Site) -> None:
    async with running(site, BOOTSTRAP) as first:
        await serving(site, first)
        await add_token(site)
        async with running(site, join_seed("node2", await fingerprint(site), TOKEN)) as second:
            await serving(site, second)
        await let_it_run_out(site, first, second, "approved")
        # As if the member's clock, TLS in it too, were ahead of the node's.
        before = datetime.now(tz=UTC) - timedelta(days=100)
        client = ApiClient(["https://192.0.2.11:8007"], "", lambda: before, root=second.root)
        with pytest.raises(UnreachableError, match=r"clock: it says .*, but that of the cluster says"):
            await client.read_join(ID)
        client.now = lambda: datetime.now(tz=UTC)
        with pytest.raises(UnreachableError, match="closed before the answer"):
            await client.read_join(ID)
