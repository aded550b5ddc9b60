"""`slipway check`: what it prints, and what it keeps."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import pytest

from agent.cli import main
from hostlib.check_report import SavedReport
from hostlib.inventory import Inventory, parse_inventory
from hostlib.sizes import MIB
from installer.cli import main as install

ONE = parse_inventory((Path(__file__).parents[1] / "machines/one-virtio-uefi.json").read_text())
DATA = ONE.disks[0].model_copy(update={"name": "vdb", "serial": "SLIPWAY1"})
TWO = ONE.model_copy(update={"disks": (*ONE.disks, DATA)})
SMALL = TWO.model_copy(update={"memory_bytes": 512 * MIB})

Outcome = tuple[int, str, str]


@pytest.fixture
def findings(tmp_path: Path) -> Path:
    return tmp_path / "var/lib/slipway/findings.json"


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, findings: Path
) -> Callable[..., Outcome]:
    def run_check(machine: Inventory, *arguments: str) -> Outcome:
        monkeypatch.setattr("hostlib.probe.read_inventory", lambda _: machine)
        status = main(["check", *arguments], findings_path=findings)
        return status, *capsys.readouterr()

    return run_check


@pytest.mark.parametrize("machine", [TWO, SMALL])
@pytest.mark.parametrize("arguments", [[], ["--json"], ["--purpose", "zfs"], ["--allow", "memory-minimum"]])
def test_the_node_says_what_the_installer_says(
    run: Callable[..., Outcome],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    findings: Path,
    machine: Inventory,
    arguments: list[str],
) -> None:
    recorded = tmp_path / "machine.json"
    recorded.write_text(machine.model_dump_json(by_alias=True))
    status = install(["check", "--inventory", str(recorded), *arguments])
    assert status == (3 if machine is SMALL and "--allow" not in arguments else 0)
    assert (status, *capsys.readouterr()) == run(machine, *arguments)
    assert not findings.exists()


def test_findings_are_kept_and_told_to_the_journal(run: Callable[..., Outcome], findings: Path) -> None:
    status, out, err = run(SMALL, "--save", "--purpose", "ceph")
    assert (status, err) == (0, "")
    trouble, summary = out.splitlines()
    assert trouble.startswith("<3>memory-minimum: memory: less than 1 GiB of memory (512.0 MiB usable); ")
    assert summary.startswith("<6>ceph: 1 blocks, no warnings, ")
    kept = SavedReport.model_validate_json(findings.read_text())
    assert (kept.purpose, [found.id for found in kept.findings]) == ("ceph", ["memory-minimum"])
    assert kept.time.utcoffset() is not None
    assert stat.S_IMODE(findings.stat().st_mode) == 0o640


def test_nothing_wrong_is_kept_too(run: Callable[..., Outcome], findings: Path) -> None:
    run(SMALL, "--save")
    status, out, err = run(ONE, "--save")
    assert (status, err) == (0, "")
    assert out.startswith("<6>system: nothing blocks, no warnings, ")
    kept = json.loads(findings.read_text())
    assert kept["findings"] == []
    assert kept["counts"]["ok"] > 0
    assert datetime.fromisoformat(kept["time"]).microsecond == 0


def test_what_cannot_be_read_is_kept_and_told_to_the_journal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], findings: Path
) -> None:
    def complain(_: object) -> Inventory:
        logging.getLogger("slipway.probe").warning("LVM: cannot be read")
        return ONE

    monkeypatch.setattr("hostlib.probe.read_inventory", complain)
    assert main(["check", "--save"], findings_path=findings) == 0
    assert capsys.readouterr().err == "<4>slipway.probe: LVM: cannot be read\n"
    assert json.loads(findings.read_text())["unread"] == ["LVM: cannot be read"]


def test_a_full_disk_leaves_the_findings_of_the_last_time(
    run: Callable[..., Outcome], findings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(SMALL, "--save")
    before = findings.read_bytes()

    def full(_descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, out, err = run(ONE, "--save")
    assert (status, err) == (
        4,
        f"{findings}: the findings cannot be written (No space left on device); those of the last time are kept; "
        "free some space on its file system, or run it as root\n",
    )
    assert out.startswith("<6>system: nothing blocks, ")
    assert findings.read_bytes() == before


def test_wrong_names_are_refused_before_the_machine_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], findings: Path
) -> None:
    monkeypatch.setattr("hostlib.probe.read_inventory", lambda _: pytest.fail("it is read"))
    for form in ([], ["--save"]):
        assert main(["check", *form, "--allow", "raid"], findings_path=findings) == 2
        assert capsys.readouterr().err.startswith("--allow: no check is called 'raid'; ")
    assert not findings.exists()


def test_a_defect_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], findings: Path
) -> None:
    monkeypatch.setattr("hostlib.probe.read_inventory", lambda _: 1 / 0)
    assert main(["check"], findings_path=findings) == 1
    assert capsys.readouterr().err.startswith(
        "slipway: internal error: ZeroDivisionError: division by zero; "
    )
