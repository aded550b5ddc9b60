"""The live system itself, on a machine with 1 GiB: the countdown, the installer for a person, the unit tests."""

from __future__ import annotations

import ast
import importlib.metadata
from pathlib import Path
from typing import Any, Final

from tests.vm.lab.answers import make_answer
from tests.vm.lab.bench import PROJECT, Lab
from tests.vm.lab.installs import LIVE_SECONDS
from tests.vm.lab.media import GIB, content_digest, make_dirty_disk, make_volume
from tests.vm.lab.spec import Bus, Disk, GuestProgram, MachineSpec
from tests.vm.waits import EVENT_SECONDS

LABEL: Final = "LABTESTS"
DISTRIBUTIONS: Final = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
"""pytest and what it needs, all pure Python: taken from where this test runs."""
FOLDERS: Final = ("tests/unit", "tests/machines", "tests/answers", "examples", "docs")
CHECKOUT_ONLY: Final = ("test_rules.py",)
"""Tests of the source files themselves, which lie elsewhere on the image."""
BUILD_HOST_ONLY: Final = ("image", "tests.vm", "hypothesis")
"""Packages that are not on the image; hypothesis is compiled for this host's Python."""


def test_live_system(lab: Lab) -> None:
    """A key stops the countdown; then the live system is judged, and the unit tests run in it."""
    disk = make_dirty_disk(lab.folder / "disk.raw", 20 * GIB, 7)
    before = content_digest(disk)
    answer = {"answer.toml": make_answer(disk={"filesystem": "ext4", "disk-list": ["vda"]}).encode()}
    tests = make_volume(lab.folder / "tests.img", "ext4", LABEL, _collect_tests(), size_mib=96)
    spec = MachineSpec(
        name="live",
        memory_mib=1024,
        iso=lab.iso,
        disks=(
            Disk(path=disk),
            Disk(path=tests),
            Disk(path=make_volume(lab.folder / "answer.img", "fat", "slipway", answer), bus=Bus.USB),
        ),
        guest=GuestProgram(module="judge_live", parameters={"label": LABEL}),
    )
    with lab.vm(spec) as vm:
        vm.console.wait_for(r"Automatic installation starts in", LIVE_SECONDS)
        lab.timings.add("live: power-on to countdown", vm.seconds)
        vm.console.send(" ")
        vm.console.wait_for(r"Nothing has been changed", 60)
        vm.screenshot()
        live = vm.report.wait("live", EVENT_SECONDS)
        outcome: Any = vm.report.wait("unit-tests", EVENT_SECONDS)
        vm.qmp.power_button()
        ending = vm.wait_exit(180)
    lab.timings.add("live: unit tests that ran again", outcome["again"], "tests")
    assert outcome["status"] == 0, outcome["output"]
    assert ending.reason == "guest-shutdown"
    assert live["failed_units"] == []
    assert live["dropped_units"] == ""
    assert _open_ports(live["listening"]) == []
    assert content_digest(disk) == before


def _open_ports(sockets: object) -> list[object]:
    """Give the TCP sockets that are reachable from the network: the live system has no business with any."""
    assert isinstance(sockets, list)
    return [s for s in sockets if s["protocol"] == "tcp" and not s["address"].startswith(("127.", "[::1]"))]


def _collect_tests() -> dict[str, bytes]:
    files = {"pyproject.toml": (PROJECT / "pyproject.toml").read_bytes()}
    for name in DISTRIBUTIONS:
        for file in importlib.metadata.files(name) or ():
            path = Path(str(file.locate()))
            if ".." not in file.parts and path.is_file() and path.suffix != ".pyc":
                files[f"wheels/{file}"] = path.read_bytes()
    for folder in FOLDERS:
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.is_file() and path.suffix != ".pyc" and not _needs_build_host(path):
                files[str(path.relative_to(PROJECT))] = path.read_bytes()
    return files


def _needs_build_host(path: Path) -> bool:
    """Tell whether a test module imports what only the build host has."""
    if path.suffix != ".py":
        return False
    if path.name in CHECKOUT_ONLY:
        return True
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module)
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
    return any(f"{name}.".startswith(f"{package}.") for name in imported for package in BUILD_HOST_ONLY)
