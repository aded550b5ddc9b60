"""Terminals that join a running installer, as those over ssh do."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import stat
import struct
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostlib.errors import ExitStatus, StepError, UserError
from installer.tui import join as join_module
from installer.tui.join import join, listening
from tests.tui.terminals import Bench, Emulator


class Client:
    """`slipway-install tui` on a terminal."""

    def __init__(self, bench: Bench, *, ascii_only: bool = False) -> None:
        self.emulator: Emulator = bench.add(100, 30)
        self.before = self.emulator.settings
        self.status: int | Exception | None = None
        self.path, self.ascii_only = bench.socket, ascii_only
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.status = join(ascii_only=self.ascii_only, path=self.path, descriptor=self.emulator.slave)
        except (UserError, StepError) as error:
            self.status = error

    def ended(self) -> bool:
        return not self.thread.is_alive()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    bench = Bench(tmp_path)
    bench.wait_for("Nothing has been changed.")
    yield bench
    bench.close()


def test_a_terminal_joins_and_leaves_the_others(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.serial.press("enter")
    bench.wait_for("Target disk")
    client = Client(bench)
    bench.wait_for("Target disk", [client.emulator])
    client.emulator.press("down enter")
    bench.wait_for("(*) nvme-SAMSUNG_", bench.emulators)
    fcntl.ioctl(client.emulator.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    client.emulator.screen.resize(24, 80)
    bench.wait(lambda: "F1 Help" in client.emulator.text.splitlines()[23])
    client.emulator.press("f10")
    bench.wait_for("The screens go on on the other terminals", [client.emulator])
    client.emulator.press("tab enter")
    bench.wait(client.ended)
    assert client.status == ExitStatus.DONE
    assert client.emulator.settings == client.before
    assert "comes back to it" in capsys.readouterr().out
    bench.screen.press("f1")
    bench.wait_for("Choose the disk for the node", [bench.screen])
    assert not bench.emulators[2].raw.isascii()


def test_the_socket_is_for_root_alone(bench: Bench) -> None:
    assert stat.S_IMODE(bench.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(bench.socket.parent.stat().st_mode) == 0o700
    bench.end()
    assert not bench.socket.exists()


def test_another_user_is_sent_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_module, "_peer_uid", lambda _: 65534)
    client = Client(bench)
    bench.wait(client.ended)
    assert isinstance(client.status, StepError)
    assert client.emulator.raw == b""


def test_a_terminal_may_leave_a_running_installation_and_come_back(bench: Bench) -> None:
    client = Client(bench, ascii_only=True)
    bench.wait_for("Nothing has been changed.", [client.emulator])
    bench.controller.installation.confirm()
    bench.wait_for("Looking at the machine", bench.emulators)
    client.emulator.press("f10")
    bench.wait_for("The installation goes on without this terminal", [client.emulator])
    client.emulator.press("tab enter")
    bench.wait(client.ended)
    bench.serial.press("f10")
    bench.wait_for("It cannot be left", [bench.serial])
    again = Client(bench)
    bench.wait_for("Looking at the machine", [again.emulator])
    bench.controller.installation.fail("copy: no space")
    bench.wait_for("copy: no space", [bench.screen, again.emulator])
    again.emulator.press("f2")
    bench.wait_for("Leaving gives the shell", [again.emulator])
    again.emulator.press("enter")
    bench.wait(again.ended)
    assert again.status == ExitStatus.STEP_FAILED
    assert client.emulator.raw.isascii()


def test_the_end_on_a_console_is_the_end_for_all(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    client = Client(bench)
    bench.wait_for("Nothing has been changed.", [client.emulator])
    bench.end()
    bench.wait(client.ended)
    assert (client.status, client.emulator.settings) == (ExitStatus.DONE, client.before)
    assert "left on another terminal" in capsys.readouterr().out


def test_a_terminal_that_goes_away_leaves_the_others(bench: Bench) -> None:
    client = Client(bench)
    bench.wait_for("Nothing has been changed.", [client.emulator])
    os.close(client.emulator.slave)
    os.close(client.emulator.master)
    bench.emulators.remove(client.emulator)
    bench.wait(client.ended)
    assert client.status == ExitStatus.DONE
    bench.screen.press("enter")
    bench.wait_for("Target disk")


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(str(path))
    return connection


def test_a_client_that_dies_takes_its_terminal_along(bench: Bench) -> None:
    emulator = bench.add()
    before = emulator.settings
    connection = _connect(bench.socket)
    socket.send_fds(connection, [b'{"term": "vt100"}'], [emulator.slave])
    bench.wait_for("Nothing has been changed.", [emulator])
    assert re.search(rb"\x1b\[[0-9;]*[34][0-7]m", emulator.raw) is None, "a vt100 has no colours"
    connection.close()
    bench.wait(lambda: emulator.settings == before)
    bench.screen.press("enter")
    bench.wait_for("Target disk")
    assert "Target disk" not in emulator.text


@pytest.mark.parametrize("message", [b"\xff", b"[]", b"{}", b"[" * 4000, b"\x00" * 4096, b"7"])
def test_what_a_bad_client_sends_disturbs_nobody(bench: Bench, message: bytes) -> None:
    with _connect(bench.socket) as connection:
        connection.send(message)
        assert b"refused" in connection.recv(4096)
        assert connection.recv(4096) == b""
    bench.screen.press("enter")
    bench.wait_for("Target disk")


def test_what_is_no_terminal_or_has_the_screens_is_refused(bench: Bench) -> None:
    for path in ("/dev/null", bench.serial.name):
        with _connect(bench.socket) as connection, Path(path).open("rb") as stream:
            socket.send_fds(connection, [b"{}"], [stream.fileno()])
            assert b"refused" in connection.recv(4096)
    bench.screen.press("enter")
    bench.wait_for("Target disk")


def test_who_says_nothing_is_sent_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_module, "HELLO_SECONDS", 0.05)
    with _connect(bench.socket) as connection, _connect(bench.socket):
        assert b"nothing was heard" in connection.recv(4096)
    bench.screen.press("enter")
    bench.wait_for("Target disk")


def test_a_terminal_that_takes_nothing_holds_up_nobody(bench: Bench) -> None:
    client = Client(bench)
    client.emulator.take = lambda: None  # type: ignore[method-assign]
    for _ in range(60):
        os.write(client.emulator.master, b"\x0c")
        time.sleep(0.005)
    bench.screen.press("enter")
    bench.wait_for("Target disk")
    bench.end()
    del client.emulator.take
    bench.wait(client.ended)


def test_nobody_listens(tmp_path: Path) -> None:
    assert join(ascii_only=False, path=tmp_path / "tui.socket") is None
    assert listening_fails(tmp_path / ("a" * 200))


def listening_fails(path: Path) -> bool:
    with listening(path) as listener:
        return listener is None


def test_an_installer_that_dies_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    emulator = Emulator(80, 24)
    with contextlib.closing(emulator), listening(tmp_path / "tui.socket") as listener:
        assert listener
        listener.setblocking(True)

        def die() -> None:
            listener.accept()[0].close()

        threading.Thread(target=die, daemon=True).start()
        with pytest.raises(StepError, match="has ended without a word"):
            join(ascii_only=False, path=tmp_path / "tui.socket", descriptor=emulator.slave)
    assert "\x1b[?1049l" in capsys.readouterr().out
