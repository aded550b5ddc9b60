from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from hostlib import check_report
from hostlib.check_report import (
    PURPOSES,
    CheckReport,
    SavedReport,
    keep_report,
    make_report,
    render_journal,
    render_json,
    render_report,
    render_summary,
)
from hostlib.checks import Finding, Purpose, Severity
from hostlib.errors import ExitStatus
from hostlib.inventory import Firmware, parse_inventory
from hostlib.record import Dmi

ONE = parse_inventory((Path(__file__).parents[1] / "machines/one-virtio-uefi.json").read_text())
NOON = datetime(2026, 2, 28, 12, tzinfo=UTC)


def finding(name: str, severity: Severity, device: str = "/dev/disk/by-id/x") -> Finding:
    todo = "" if severity == "ok" else "replace it"
    return Finding(id=name, severity=severity, device=device, measured="97 %", text="is worn", todo=todo)


MIXED = (
    finding("a", "ok"),
    finding("b", "warning"),
    finding("c", "blocking"),
    finding("d", "blocking"),
    finding("d", "ok"),
)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_report, "run_checks", lambda *_: list(MIXED))


@pytest.mark.usefixtures("checked")
def test_counts_and_status() -> None:
    report = make_report(ONE, "zfs")
    assert report.counts.model_dump() == {"blocking": 2, "warning": 1, "allowed": 0, "ok": 2}
    assert report.exit_status is ExitStatus.CHECK_BLOCKS
    report = make_report(ONE, "zfs", allow=["b", "d"])
    assert report.counts.model_dump() == {"blocking": 1, "warning": 0, "allowed": 2, "ok": 2}
    assert report.exit_status is ExitStatus.CHECK_BLOCKS
    assert make_report(ONE, "zfs", allow=["c", "d"]).exit_status is ExitStatus.DONE


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize(
    ("allow", "unread", "line"),
    [
        ([], [], "2 block, 1 warning, 2 checks passed"),
        (["b", "c"], [], "1 blocks, no warnings, 2 allowed, 2 checks passed"),
        (["c", "d"], ["LVM: x", "x"], "nothing blocks, 1 warning, 2 allowed, 2 checks passed, 2 could not be read"),
    ],
)  # fmt: skip
def test_summary(allow: list[str], unread: list[str], line: str) -> None:
    assert render_summary(make_report(ONE, "system", allow=allow, unread=unread)) == line


def test_purposes_are_those_of_the_checks() -> None:
    assert set(PURPOSES) == set(get_args(Purpose))


@pytest.mark.parametrize(
    ("dmi", "firmware", "line"),
    [
        (
            Dmi(vendor="Dell Inc.", product="PowerEdge R640", serial="7X1"),
            Firmware(mode="uefi", secure_boot=True),
            "machine  Dell Inc. PowerEdge R640, serial number 7X1, started by UEFI, Secure Boot on",
        ),
        (Dmi(), Firmware(mode="bios"), "machine  of an unknown vendor, no serial number, started by BIOS"),
        (
            Dmi(product="a\x1b[2J\nb"),
            Firmware(mode="bios"),
            "machine  a\\x1b[2J\\nb, no serial number, started by BIOS",
        ),
    ],
)
def test_the_machine_in_one_line(dmi: Dmi, firmware: Firmware, line: str) -> None:
    machine = ONE.model_copy(update={"dmi": dmi, "firmware": firmware})
    assert render_report(machine, make_report(machine, "system")).splitlines()[0] == line


@pytest.mark.usefixtures("checked")
def test_the_journal_has_a_line_with_a_priority_for_each_trouble() -> None:
    where = "/dev/disk/by-id/x: is worn (97 %); replace it"
    assert render_journal(make_report(ONE, "ceph", allow=["d"])).splitlines() == [
        f"<3>c: {where}",
        f"<4>b: {where}",
        f"<6>d, allowed: {where}",
        "<6>ceph: 1 blocks, 1 warning, 1 allowed, 2 checks passed",
    ]


@pytest.mark.usefixtures("checked")
def test_what_is_kept() -> None:
    report = make_report(ONE, "ceph", allow=["d"], unread=["LVM: x"])
    text = render_json(keep_report(report, NOON))
    assert list(json.loads(text)) == ["schema", "purpose", "counts", "unread", "findings", "time"]
    kept = SavedReport.model_validate_json(text)
    assert (kept.time, kept.purpose, kept.counts, kept.unread) == (NOON, "ceph", report.counts, ("LVM: x",))
    assert [(found.id, found.allowed) for found in kept.findings] == [("b", False), ("c", False), ("d", True)]


def test_json_is_ascii_and_read_back() -> None:
    report = make_report(ONE, "system", unread=["disk \x9b \u2028: x"])
    assert render_json(report).isascii()
    assert CheckReport.model_validate_json(render_json(report)) == report
