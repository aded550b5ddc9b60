"""The screens start no process and reach no network: a test that tries fails."""

from __future__ import annotations

import socket
import subprocess
from typing import NoReturn

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-screens", action="store_true", help="store the pictures in tests/tui/screens anew"
    )


@pytest.fixture(autouse=True)
def _closed_world(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        pytest.fail("a test of the screens must not start a process or open a connection")

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
