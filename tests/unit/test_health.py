from __future__ import annotations

import dataclasses
import os
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.health import (
    Array,
    Health,
    ThinPool,
    Trouble,
    check_array,
    check_certificate,
    check_fill,
    check_thin_pool,
    keep_health,
    make_heartbeat,
    parse_health,
    read_kept_health,
    render_health,
)
from agent.health_read import parse_failed_units, parse_mdstat, parse_thin_pools, read_health
from agent.protocol import LIMIT_BYTES
from hostlib.check_report import Counts, SavedReport, render_json
from hostlib.checks import Finding
from hostlib.errors import CommandError
from hostlib.tls import make_self_signed
from tests.unit.health_data import MDSTAT, NOW, TROUBLES, lvs, make_node
from tests.unit.installer_fakes import FakeRunner

FAILED = (
    '[{"unit":"lldpd.service","load":"loaded","active":"failed","sub":"failed","description":"LLDP daemon"}]'
)


@pytest.fixture(autouse=True)
def _roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_blocks=1000, f_bfree=600, f_bavail=550))


def runner(**answers: str) -> FakeRunner:
    return FakeRunner({"lvs": lvs(), "systemctl": "[]", **answers})


def test_thin_pools_are_told_from_other_volumes() -> None:
    assert parse_thin_pools(lvs()) == [ThinPool("pve/data", 41.27, 12.03)]
    assert parse_thin_pools(lvs("", "")) == [ThinPool("pve/data", None, None)]


@pytest.mark.parametrize(
    ("percent", "level"),
    [(0.0, ""), (80.0, ""), (80.01, "warning"), (95.0, "warning"), (95.01, "critical"), (100.0, "critical")],
)
def test_how_full_is_too_full(percent: float, level: str) -> None:
    assert [trouble.level for trouble in check_fill("/", "is", percent, "")] == [level] * bool(level)


def test_thin_pool() -> None:
    data, metadata = check_thin_pool(ThinPool("pve/data", 96.24, 81.5))
    assert str(data) == (
        "thin pool pve/data: is 96.2 % full, over 95 %; "
        "delete guests or snapshots, or grow it: lvextend -L +10G pve/data"
    )
    assert (metadata.level, metadata.what) == ("warning", "its metadata is 81.5 % full, over 80 %")
    assert [trouble.what for trouble in check_thin_pool(ThinPool("pve/data", None, None))] == ["not active"]


def test_arrays_are_read() -> None:
    assert parse_mdstat(MDSTAT) == [
        Array("md0", True, False, "raid1", (), 0, "check = 27.3%"),
        Array("md1", True, False, "raid1", ("sdb2",), 1, ""),
        Array("md2", True, False, "raid5", (), 1, "recovery = 12.6%"),
        Array("md3", False, False, "", (), 0, ""),
        Array("md127", False, True, "", (), 0, ""),
        Array("md4", True, False, "raid0", (), 0, ""),
    ]
    assert parse_mdstat("Personalities :\nunused devices: <none>\n") == []


def test_arrays_are_judged() -> None:
    found = {
        array.name: [(trouble.level, trouble.what) for trouble in check_array(array, "clean")]
        for array in parse_mdstat(MDSTAT)
    }
    assert found == {
        "md0": [],
        "md1": [("critical", "raid1 is degraded: 1 missing, failed: sdb2")],
        "md2": [("warning", "being rebuilt (recovery = 12.6%)")],
        "md3": [("critical", "the array is not running")],
        "md127": [],
        "md4": [],
    }
    spare = Array("md5", True, False, "raid1", ("sdz1",), 0, "")
    assert [trouble.level for trouble in check_array(spare, "clean")] == ["warning"]
    striped = Array("md4", True, False, "raid0", (), 0, "")
    assert [trouble.what for trouble in check_array(striped, "broken")] == [
        "raid0 is broken: a member is gone"
    ]


def test_failed_units() -> None:
    assert parse_failed_units(FAILED) == ["lldpd.service"]
    assert parse_failed_units("") == []


@pytest.mark.parametrize(
    ("left", "level", "what"),
    [
        (timedelta(days=21), "", ""),
        (timedelta(days=20), "warning", "expires on 2026-03-21, in 20 days"),
        (timedelta(days=7), "critical", "expires on 2026-03-08, in 7 days"),
        (timedelta(seconds=-1), "critical", "expired on 2026-03-01"),
    ],
)
def test_certificate(left: timedelta, level: str, what: str) -> None:
    found = check_certificate(Path("/x.cert"), NOW + left, NOW)
    assert [(trouble.level, trouble.what) for trouble in found] == [(level, what)] * bool(level)


def test_a_healthy_node(tmp_path: Path) -> None:
    make_node(tmp_path)
    health = read_health(runner(), NOW, tmp_path)
    assert (health.troubles, health.state, health.thin_pool_percent) == ((), "ok", 41.27)
    assert health.certificate_expires == int((NOW + timedelta(days=3652)).timestamp())


def test_everything_at_once_the_worst_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_node(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_blocks=1000, f_bfree=150, f_bavail=100))
    (tmp_path / "proc/mdstat").write_text(MDSTAT)
    (tmp_path / "sys/block/md4/md").mkdir(parents=True)
    (tmp_path / "sys/block/md4/md/array_state").write_text("broken\n")
    old = make_self_signed("node1", ["node1"], [], datetime(2016, 3, 15, tzinfo=NOW.tzinfo))
    (tmp_path / "etc/cockpit/ws-certs.d/50-slipway.cert").write_bytes(old.certificate_pem)
    write_findings(tmp_path)
    # That certificate begins and ends as any of now: what it is judged by is the clock.
    health = read_health(runner(lvs=lvs("81.0"), systemctl=FAILED), NOW + timedelta(days=3650), tmp_path)
    assert [(trouble.level, trouble.where) for trouble in health.troubles] == [
        ("critical", "/dev/md1"),
        ("critical", "/dev/md3"),
        ("critical", "/dev/md4"),
        ("critical", "/etc/cockpit/ws-certs.d/50-slipway.cert"),
        ("critical", "/dev/sda"),
        ("warning", "thin pool pve/data"),
        ("warning", "/"),
        ("warning", "/dev/md2"),
        ("warning", "lldpd.service"),
        ("warning", "/dev/sdb"),
    ]
    assert health.state == "critical"
    # 850 of 950 blocks that are not reserved.
    assert "is 89.5 % full" in next(trouble.what for trouble in health.troubles if trouble.where == "/")


def write_findings(root: Path) -> None:
    def finding(severity: str, device: str, **more: bool) -> Finding:
        values = {"id": "disk-health", "severity": severity, "device": device, **more}
        return Finding.model_validate({**values, "measured": "3", "text": "worn", "todo": "replace it"})

    findings = (
        finding("warning", "/dev/sdb"),
        finding("blocking", "/dev/sdc", allowed=True),
        finding("blocking", "/dev/sda"),
    )
    report = SavedReport(purpose="system", counts=Counts(), findings=findings, time=NOW)
    path = root / "var/lib/slipway/findings.json"
    path.parent.mkdir(parents=True)
    path.write_text(render_json(report))


def test_what_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "var/lib/slipway").mkdir(parents=True)
    (tmp_path / "var/lib/slipway/findings.json").write_text("{")
    broken = FakeRunner({"systemctl": "[{}]"}, {"lvs": "WARNING: x\n  Failed to find device"})
    health = read_health(broken, NOW, tmp_path)
    assert [trouble.where for trouble in health.troubles] == [
        "lvs",
        "systemctl",
        "the node's certificate",
        "/var/lib/slipway/findings.json",
    ]
    assert health.troubles[0].what == "cannot be read: exit status 1 (  Failed to find device)"
    assert (health.state, health.thin_pool_percent) == ("warning", None)


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    def refuse(_line: str) -> None:
        raise CommandError("lvs", "cannot be started: No such file or directory", "")

    make_node(tmp_path)
    missing = runner()
    missing.before = refuse
    assert read_health(missing, NOW, tmp_path).troubles[0].what == (
        "cannot be read: cannot be started: No such file or directory"
    )


def test_a_heartbeat_tells_the_worst_and_stays_small() -> None:
    health = Health(1, TROUBLES, 96.2, 2)
    beat = make_heartbeat(health, "node1.example.com", "0.1.0")
    assert (beat.state, beat.thin_pool_percent, beat.certificate_expires) == ("critical", 96.2, 2)
    assert beat.findings[1] == (
        "critical: /dev/md1: raid1 is degraded: 1 missing, failed: sdb2; replace the disk"
    )
    many = dataclasses.replace(health, troubles=(Trouble("warning", "x", "\U0001f525" * 900, "y"),) * 99)
    beat = make_heartbeat(many, "node1.example.com", "0.1.0")
    assert len(beat.findings) == 64
    assert beat.findings[-1] == "and 36 more"
    assert len(beat.model_dump_json().encode()) < LIMIT_BYTES
    exact = dataclasses.replace(health, troubles=TROUBLES[:1] * 64)
    assert "more" not in make_heartbeat(exact, "n", "").findings[-1]


HOUR = 3600.0


def test_what_is_kept_is_read_again_while_it_is_new(tmp_path: Path) -> None:
    health = Health(int(NOW.timestamp()), TROUBLES, 96.2, 2)
    assert parse_health(render_health(health)) == health
    path = tmp_path / "health.json"
    keep_health(health, path)
    assert read_kept_health(NOW + timedelta(seconds=179), HOUR, path) == health
    # The clock was a year ahead when the agent ended.
    assert read_kept_health(NOW - timedelta(days=365), HOUR, path) != health
    for text in (None, "", "{", "[]", '{"time": 1}'):
        if text is not None:
            path.write_text(text)
        silent = read_kept_health(NOW + timedelta(seconds=180), HOUR, path)
        assert [trouble.where for trouble in silent.troubles] == ["slipway-agent"]


def test_a_node_that_has_just_been_switched_on_is_not_blamed_for_its_agents_silence(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    assert read_kept_health(NOW, 179.0, path).troubles == ()
    keep_health(Health(int(NOW.timestamp()), TROUBLES), path)
    assert read_kept_health(NOW, 179.0, path).troubles == TROUBLES
