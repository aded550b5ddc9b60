"""The screens start no process and reach no network: a test that tries fails."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from installer import execute
from installer.tui import live_controller, sticks
from tests.tui.live_fakes import WITH_STICK, FakeSession, Live
from tests.tui.test_draft import GOOD, HASH
from tests.unit.installer_fakes import FakeRunner


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-screens", action="store_true", help="store the pictures in tests/tui/screens anew"
    )


@pytest.fixture(autouse=True)
def _closed_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        pytest.fail("a test of the screens must not start a process or open a connection")

    monkeypatch.setattr(execute, "RUN", tmp_path / "run")
    monkeypatch.setattr(subprocess, "Popen", refuse)
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: str) -> None:
        if self.family != socket.AF_UNIX:
            refuse()
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-screens"))


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner({"openssl": f"{HASH}\n", "blkid": "vfat\n", "ckbcomp": "keycode 1 = Escape\n"})


@pytest.fixture
def live(runner: FakeRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    monkeypatch.setattr(live_controller, "read_inventory", lambda _: WITH_STICK)
    monkeypatch.setattr(live_controller, "read_network", lambda: (WITH_STICK.nics, WITH_STICK.leases))
    monkeypatch.setattr(live_controller, "apply_resolver", lambda _: None)
    monkeypatch.setattr(live_controller, "Session", FakeSession)
    monkeypatch.setattr(FakeSession, "told", [])
    monkeypatch.setattr(sticks, "MOUNT_POINT", tmp_path / "stick")
    controller = Live(runner, tmp_path / "install.log")
    controller.rescan()
    controller.work()
    controller.enter(GOOD)
    return controller
