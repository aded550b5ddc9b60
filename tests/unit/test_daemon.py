"""Whole daemons against each other on loopback."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from unittest.mock import AsyncMock, Mock, patch

import pytest

from agent import node_duties
from agent.authority import RECORD
from agent.ca import (
    CaRecord,
    read_ca_key,
    rotate_ca,
    write_ca_key,
)
from agent.csr import CheckedRequest, check_csr
from agent.enroll_policy import plan_remove
from agent.enrollment import Enrollment
from agent.notify import ALIVE, READY, STOPPING
from agent.records import parse_nodes, render_record
from agent.status import parse_enrollment
from hostlib.errors import StepError
from hostlib.seed import SeedEnrollment, read_seed, write_seed
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
    make_seed,
    node_of,
    record_of,
    running,
    serving,
    until,
)
from tests.unit.enroll_fakes import TOKEN, in_loop

_cheap_hashes = enroll_fakes.cheap_hashes
site, _closed_world = daemon_fakes.site, daemon_fakes.closed_world
COCKPIT = "etc/cockpit/ws-certs.d/50-slipway"


async def rotate(site: Site, node: Running) -> CaRecord:
    """What `slipway ca rotate` does on a member."""
    folder = node.root / STATE / "ca"
    old = await record_of(site)
    key, record = rotate_ca(old, read_ca_key(old, folder), datetime.now(tz=UTC))
    write_ca_key(key, folder)
    await site.store.write(RECORD, record.model_dump_json(), (await site.store.read_all())[1])
    return record


@in_loop
async def test_from_the_first_node_to_the_removal_of_the_second(site: Site) -> None:
    async with running(site, BOOTSTRAP) as first:
        await serving(site, first)
        assert first.told[0].startswith("STATUS=enrolment: new")
        assert first.told.index(READY) < first.told.index("STATUS=enrolment: serving")
        await add_token(site)
        async with running(site, join_seed("node2", await fingerprint(site), TOKEN)) as second:
            await check_join(site, first, second)
            await check_rotation(site, first, second)
            await check_removal(site, second)
        assert second.told[-1] == STOPPING


async def check_join(site: Site, first: Running, second: Running) -> None:
    await serving(site, second)
    assert site.members == {"node1", "node2"}
    assert read_seed(second.root).enrollment.token is None
    await until((second.root / STATE / "ca").exists, lambda: second.hurry("enrolment service"))
    await until(lambda: keys_of(second) == keys_of(first))
    assert len(keys_of(first)) == 1
    await check_heartbeat(site, second, first)
    await check_heartbeat(site, first, second)
    await check_console(first)
    await check_console(second)
    assert TOKEN not in "".join(path.read_text() for path in second.root.rglob("*") if path.is_file())


async def check_heartbeat(site: Site, one: Running, other: Running) -> None:
    """One tells the other how it is, and what `slipway status` reads names both."""
    seen = other.daemon.member.service._seen
    await until(lambda: one.daemon.kept.current.id in seen, lambda: one.hurry("heartbeat"))

    def shown() -> tuple[str, str, int]:
        kept = parse_enrollment(one.read(f"{STATE}/enrollment.json"))
        return kept.state, kept.reason, len(kept.urls)

    # The other has heard of it before the answer, which names both, is here and kept.
    await until(lambda: shown() == ("serving", "", 2))
    assert (await node_of(site, one)).state == "serving"


async def check_console(node: Running) -> None:
    await until(lambda: "agetty --reload" in node.runner.commands)
    assert node.read(f"{COCKPIT}.cert") == node.read(f"{STATE}/node.crt")
    assert node.read(f"{COCKPIT}.key") == node.read(f"{STATE}/node.key")
    assert "systemctl try-restart cockpit.service" in node.runner.commands
    assert "Certificate  SHA-256" in node.read("etc/issue.d/50-slipway.issue")

    def is_well() -> bool:
        return not json.loads(node.read("run/slipway/health.json"))["troubles"]

    await until(is_well, lambda: node.hurry("health"))
    assert ALIVE in node.told


async def check_rotation(site: Site, first: Running, second: Running) -> None:
    record = await rotate(site, first)
    for node in (first, second):
        await check_renewal(site, node, record)
    seen = first.daemon.member.service._seen
    seen.clear()
    second.hurry("heartbeat")
    await until(lambda: second.daemon.kept.current.id in seen)


async def check_renewal(site: Site, node: Running, record: CaRecord) -> None:
    certificate = node.root / STATE / "node.crt"

    def is_shown() -> bool:
        # Who knows the new CA alone trusts this.
        shown = node.daemon.member._in_use[0]
        try:
            console = node.read(f"{COCKPIT}.cert")
        except FileNotFoundError:
            # While its pair is exchanged.
            return False
        return shown == console == certificate.read_text() and is_by(certificate, record)

    await until(is_shown, lambda: node.hurry("enrolment service", "certificate"))
    assert node.read(f"{STATE}/ca.crt") == "".join(one.certificate for one in record.authorities)
    assert (await node_of(site, node)).certificate == certificate.read_text()
    assert len(keys_of(node)) == 1


async def check_removal(site: Site, second: Running) -> None:
    gone = plan_remove(await node_of(site, second), int(time.time()))
    await site.store.write_all(render_record(gone), (await site.store.read_all())[1])
    second.hurry("heartbeat")
    await until(lambda: second.state == "removed" and not second.daemon.member.port)
    kept = parse_enrollment(second.read(f"{STATE}/enrollment.json"))
    assert "the cluster has removed this node" in kept.reason
    assert "install this machine again" in kept.reason
    # It signs for this cluster no more.
    await until(lambda: not keys_of(second))


@in_loop
async def test_a_node_without_a_cluster_keeps_its_health_and_nothing_else(site: Site) -> None:
    seed = make_seed("node1", SeedEnrollment())
    write_seed(seed, site.root / "node1")
    path = site.root / "node1/etc/slipway/seed.json"
    # As an older version wrote it.
    old = {key: value for key, value in json.loads(path.read_text()).items() if key != "enrollment"}
    path.write_text(json.dumps(old))
    async with running(site, seed) as node:
        await until((node.root / "run/slipway/health.json").exists)
        await until(lambda: all(duty.since is None for duty in node.duties.values()))
    assert not [line for line in node.runner.commands if line.startswith("incus")]
    # The folder for backups, and nothing of a cluster.
    assert sorted(path.name for path in node.root.iterdir()) == ["etc", "run", "var"]
    assert not (node.root / STATE).exists()
    assert await site.store.keys() == ()


@in_loop
async def test_it_ends_at_once_while_it_waits_to_be_let_in(site: Site) -> None:
    async with running(site, join_seed("node2", "0" * 64, TOKEN)) as node:
        await until(lambda: "no connection" in node.daemon.kept.current.reason)
        assert "STATUS=enrolment: new: https://192.0.2.11:8007" in "".join(node.told)
        begin = time.monotonic()
    assert time.monotonic() - begin < 1
    assert node.state == "new"
    assert read_seed(node.root).enrollment.token is not None


@in_loop
async def test_a_cluster_of_one_hears_itself_after_a_restart_too(site: Site) -> None:
    async with running(site, BOOTSTRAP) as node:
        await serving(site, node)
    async with running(site, BOOTSTRAP) as again:
        await serving(site, again)
        seen = again.daemon.member.service._seen
        await until(lambda: again.daemon.kept.current.id in seen)
        assert again.daemon.kept.current.reason == ""
        for chance in (0.0, 1.0):
            again.daemon.duties._chance = lambda chance=chance: chance  # type: ignore[misc]
            assert 20 <= await again.daemon.duties.heartbeat() <= 30
    assert len(parse_nodes((await site.store.read_all())[0])) == 1
    assert [line for line in again.runner.commands if "cluster enable" in line] == []


@in_loop
async def test_a_member_that_is_alone_for_now_says_so_and_is_seen_all_the_same(site: Site) -> None:
    async with running(site, BOOTSTRAP) as node:
        await serving(site, node)
        seen = node.daemon.member.service._seen
        await until(lambda: seen)
        site.members.add("node2")
        node.daemon.member.service._cluster._read_at = -100.0  # type: ignore[attr-defined]
        await until(lambda: len(node.daemon.kept.current.urls) == 2, lambda: node.hurry("heartbeat"))
        seen.clear()
        node.hurry("heartbeat")
        await until(lambda: "https://192.0.2.12:8007" in node.daemon.kept.current.reason)
        assert node.state == "serving"
        assert seen


@in_loop
async def test_what_the_cluster_does_for_a_member_in_need(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(site, BOOTSTRAP) as first:
        await serving(site, first)
        await add_token(site)
        async with running(site, join_seed("node2", await fingerprint(site), TOKEN)) as second:
            await serving(site, second)
            keeps_no_key = StepError("/var/lib/slipway/ca: no space")
            monkeypatch.setattr(second.daemon.member.authority, "take_key", Mock(side_effect=keeps_no_key))
            record = await rotate(site, first)

            def hurry() -> None:
                first.hurry("enrolment service")
                second.hurry("enrolment service", "certificate")

            # Another member signs, and the service goes on with what it has.
            await until(lambda: is_by(second.root / STATE / "node.crt", record), hurry)
            assert second.daemon.member.port
            await until(lambda: second.duties["enrolment service"].failure == str(keeps_no_key))
            node = await node_of(site, second)
            gone: dict[str, str | None] = dict.fromkeys(render_record(node))
            await site.store.write_all(gone, (await site.store.read_all())[1])
            await until(lambda: second.daemon.kept.current.reason, lambda: second.hurry("heartbeat"))
            assert second.daemon.kept.current.reason.startswith(
                "the cluster does not know this node any more"
            )
            await site.store.write_all(render_record(node), (await site.store.read_all())[1])
            await until(lambda: not second.daemon.kept.current.reason, lambda: second.hurry("heartbeat"))


@in_loop
async def test_a_web_console_that_cannot_be_set_keeps_no_certificate_from_being_renewed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_duties, "ensure_console", Mock(side_effect=StepError("no console")))
    async with running(site, BOOTSTRAP) as node:
        await serving(site, node)
        record = await rotate(site, node)
        certificate = node.root / STATE / "node.crt"
        await until(
            lambda: is_by(certificate, record), lambda: node.hurry("enrolment service", "certificate")
        )
        await until(lambda: node.duties["certificate"].failure == "no console")


@in_loop
async def test_a_join_that_incus_refuses_is_told_on_the_node(site: Site) -> None:
    async with running(site, BOOTSTRAP) as first:
        await serving(site, first)
        await add_token(site)
        # Another machine has the name, and works under it.
        site.members.add("node2")
        async with running(site, join_seed("node2", await fingerprint(site), TOKEN)) as second:
            second.runner.name = "other"
            await until(lambda: "Online" in second.daemon.kept.current.reason)
            assert (
                "192.0.2.11:8007: Incus lets no node join now: node2: is a member of the cluster, Online (status 503)"
                in second.daemon.kept.current.reason
            )


@in_loop
async def test_a_certificate_for_another_key_is_not_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(site, BOOTSTRAP) as node:
        await serving(site, node)
        await until(lambda: "agetty --reload" in node.runner.commands)
        before, other = node.read(f"{STATE}/node.crt"), enroll_fakes.Node()
        authority = node.daemon.member.authority
        checked = check_csr(other.csr(), other.facts)
        assert isinstance(checked, CheckedRequest)
        signed = authority.sign(checked)
        await rotate(site, node)
        monkeypatch.setattr(authority, "sign", lambda _: signed)
        duty = node.duties["certificate"]
        await until(lambda: duty.failure, lambda: node.hurry("certificate", "enrolment service"))
        assert "not for the key of this node" in duty.failure
        assert node.read(f"{STATE}/node.crt") == node.read(f"{COCKPIT}.cert") == before


@in_loop
async def test_a_bootstrap_that_cannot_be_is_told_and_tried_again(site: Site) -> None:
    long = make_seed("node1", SeedEnrollment(mode="bootstrap", cluster_name="x" * 60))
    async with running(site, long) as node:
        await until(lambda: node.daemon.kept.current.reason)
        assert "cluster-name: the name has 60 bytes" in node.daemon.kept.current.reason
        write_seed(BOOTSTRAP, node.root)
        assert READY in node.told
    async with running(site, BOOTSTRAP) as node:
        await serving(site, node)
        assert node.daemon.kept.current.reason == ""


@in_loop
async def test_a_lost_key_of_the_ca_is_told(site: Site) -> None:
    async with running(site, BOOTSTRAP) as node:
        await serving(site, node)
        (key,) = (node.root / STATE / "ca").iterdir()
        key.unlink()
        duty = node.duties["enrolment service"]
        await until(lambda: duty.failure, duty.hurry)
        assert duty.failure.endswith("there is no other member; make a new one: slipway ca rotate --key-lost")
        assert node.daemon.member.port


@in_loop
async def test_a_node_that_lost_its_state_after_it_joined_finds_back(site: Site) -> None:
    async with running(site, BOOTSTRAP) as first:
        await serving(site, first)
        await add_token(site)
        seed = join_seed("node2", await fingerprint(site), TOKEN)
        async with running(site, seed) as second:
            await serving(site, second)
        (second.root / STATE / "enrollment.json").unlink()
        # Its Incus was set back too.
        site.members.discard("node2")
        async with running(site, seed) as again:
            await serving(site, again)
        assert len([line for line in again.runner.commands if "admin init" in line]) == 1
        assert len(parse_nodes((await site.store.read_all())[0])) == 2


@in_loop
async def test_a_node_that_was_rejected_before_it_had_a_certificate_sends_no_heartbeat(site: Site) -> None:
    async with running(site, make_seed("node2", SeedEnrollment())) as node:
        duties = node.daemon.duties
        duties._settled = True
        node.daemon.kept.keep(Enrollment(state="rejected", id="ab" * 16, urls=("https://192.0.2.11:8007",)))
        send = AsyncMock(side_effect=FileNotFoundError("node.crt"))
        with patch.object(duties, "_send_heartbeat", send):
            assert await duties.heartbeat() <= 30
