"""Fixtures of the VM tests: the ISO, a lab for each test, disks that were installed once for all, measured times."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from filelock import BaseFileLock, FileLock, Timeout

from tests.vm.lab.accel import Accel, choose_accel
from tests.vm.lab.bench import OUT, PROJECT, KeyPair, Lab, Shared
from tests.vm.lab.http import Site
from tests.vm.lab.media import GIB, need_free_bytes
from tests.vm.lab.programs import run_program
from tests.vm.lab.timings import Timing, Timings, collect_timings, render_timings

LONGEST: Final = (
    "test_vm_cluster_cuts.py",
    "test_vm_tui_screen.py",
    "test_vm_cluster.py",
    "test_vm_tui_serial.py",
)
_DISKS: Final = ("*.raw", "*.qcow2", "*.img")
_RUN: Final = pytest.StashKey[str]()
_LOCK: Final = pytest.StashKey[BaseFileLock]()
_PASSED: Final = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Name this test run, the same in all its workers, and begin with an empty folder of shared disks."""
    config.stash[_RUN] = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    if "PYTEST_XDIST_WORKER" not in os.environ and not config.option.collectonly:
        OUT.mkdir(parents=True, exist_ok=True)
        lock = FileLock(OUT / "run.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            pytest.exit(f"{OUT}: another run of the VM tests is at work here; wait for its end", returncode=2)
        config.stash[_LOCK] = lock
        shutil.rmtree(OUT / "shared", ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as `vm`, whoever wrote it; the longest tests come first.

    A worker that gets one of them last would leave the other without work for a quarter of an hour. Each of two workers
    is given two at the start, in turn: the two cluster tests fall to one of them, because with five machines on two
    processors members take each other for lost, and all takes longer.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("vm")
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the lab fixture know whether its test passed."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture(scope="session")
def iso() -> Path:
    """Give the image under test: `SLIPWAY_TEST_ISO`, else the newest one in `out/`."""
    named = os.environ.get("SLIPWAY_TEST_ISO")
    found = [Path(named)] if named else sorted((PROJECT / "out").glob("slipway-*-amd64.iso"), key=_age)
    if not found or not found[-1].is_file():
        pytest.fail(
            "no ISO to test: run `make iso PROFILE=test`, or name one in SLIPWAY_TEST_ISO", pytrace=False
        )
    return found[-1].resolve()


@pytest.fixture(scope="session")
def bundle() -> Path:
    """Give the netboot bundle under test: `SLIPWAY_TEST_NETBOOT`, else the newest one in `out/`."""
    named = os.environ.get("SLIPWAY_TEST_NETBOOT")
    found = [Path(named)] if named else sorted((PROJECT / "out").glob("netboot*"), key=_age)
    if not found or not (found[-1] / "boot.ipxe").is_file():
        pytest.fail(
            "no netboot bundle to test: run `make netboot PROFILE=test`, or name one in SLIPWAY_TEST_NETBOOT",
            pytrace=False,
        )
    return found[-1].resolve()


def _age(path: Path) -> float:
    return path.stat().st_mtime


@pytest.fixture(scope="session")
def accel(iso: Path) -> Accel:
    """Give the accelerator that runs the image's kernel on this host."""
    return choose_accel(iso, OUT)


@pytest.fixture(scope="session")
def keys(request: pytest.FixtureRequest) -> KeyPair:
    """Give an ssh key pair, the same for all workers of a run."""
    folder = OUT / "shared" / request.config.stash[_RUN]
    folder.mkdir(parents=True, exist_ok=True)
    private = folder / "id_ed25519"
    with FileLock(folder / "keys.lock"):
        if not private.exists():
            run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", private])
    return KeyPair(private, private.with_suffix(".pub").read_text(encoding="utf-8").strip())


@pytest.fixture(scope="session")
def shared(iso: Path, accel: Accel, keys: KeyPair, request: pytest.FixtureRequest) -> Shared:
    """Give the disks that are installed once in a run."""
    return Shared(OUT / "shared" / request.config.stash[_RUN], iso, accel, keys)


@pytest.fixture
def timings(record_property: Callable[[str, object], None]) -> Timings:
    """Take durations of the test, for the table at the end and for `out/test/report.json`."""
    return Timings(record_property)


@pytest.fixture
def lab(iso: Path, accel: Accel, timings: Timings, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Give a lab with an empty folder named after the test."""
    folder = OUT / request.node.name.replace("[", "-").replace("]", "").replace("/", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    need_free_bytes(folder, 10 * GIB)
    yield Lab(folder, iso, accel, timings)
    if request.node.stash.get(_PASSED, False):
        for pattern in _DISKS:
            for path in folder.rglob(pattern):
                path.unlink()


@pytest.fixture
def site(bundle: Path, lab: Lab) -> Iterator[Site]:
    """Give a site that serves the netboot bundle; what it was asked is kept in the test's folder."""
    site = Site(folders={"/": bundle})
    yield site
    site.write_log(lab.folder / "requests.jsonl")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say at once how a test ended, and why: the whole run takes half an hour, and may be cut."""
    if "PYTEST_XDIST_WORKER" not in os.environ and (report.when == "call" or report.failed):
        ending = f"\n{report.nodeid}: {report.outcome} after {report.duration:.0f} s\n"
        os.write(1, (ending + (report.longreprtext if report.failed else "")).encode())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the measured times and write them down, in the process that hears of all tests."""
    reports = [
        report
        for group in ("passed", "failed")
        for report in terminalreporter.stats.get(group, ())
        if report.when == "call"
    ]
    timings = [row for report in reports for row in collect_timings(report.nodeid, report.user_properties)]
    lines = render_timings(timings)
    if not lines:
        return
    terminalreporter.section("measured times")
    for line in lines:
        terminalreporter.write_line(line)
    _write_report(reports, timings)


def _write_report(reports: list[pytest.TestReport], timings: list[Timing]) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    content = {
        "tests": {
            report.nodeid: {"outcome": report.outcome, "seconds": report.duration} for report in reports
        },
        "timings": [timing._asdict() for timing in timings],
    }
    (OUT / "report.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the shared disks, gigabytes of them, unless something failed and they may be looked at."""
    # Whoever only lists the tests holds no lock, and another run may be at work.
    if _LOCK in session.config.stash and session.exitstatus == pytest.ExitCode.OK:
        shutil.rmtree(OUT / "shared", ignore_errors=True)
