"""The screens on real terminals: two consoles of one machine."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from installer.tui import consoles
from tests.tui.terminals import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_two_terminals_show_one_installation_until_one_leaves(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.serial.press("enter")
    bench.wait_for("Target disk")
    bench.screen.press("down enter")
    bench.wait_for("(*) nvme-SAMSUNG_")
    bench.serial.press("f10")
    bench.wait(lambda: "Leave the installer?" in bench.serial.text)
    assert bench.serial.raw.isascii()
    assert not bench.screen.raw.isascii()
    bench.serial.press("tab enter")
    bench.wait(lambda: not bench.thread.is_alive())
    assert bench.serial.settings == bench.before


def test_what_is_pasted_stays_in_its_field(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    assert b"\x1b[?2004h" in bench.serial.raw
    bench.serial.press("enter")
    bench.wait_for("Target disk")
    bench.serial.press("down enter tab tab enter tab")
    bench.wait_for("File system and sizes", [bench.serial])
    # It may come in pieces.
    os.write(bench.serial.master, b"\x1b[20")
    os.write(bench.serial.master, b"0~6\r\n")
    os.write(bench.serial.master, b"4\r\x1b[20")
    os.write(bench.serial.master, b"1~")
    bench.wait_for("Disk to use         64 ", [bench.serial])
    assert "File system and sizes" in bench.serial.text
    bench.serial.press("f10")
    bench.wait(lambda: "File system and sizes" not in bench.serial.text)
    bench.end()
    bench.wait(lambda: b"\x1b[?2004l" in bench.serial.raw)


def test_ctrl_s_stops_no_line(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.serial.press("ctrl-s enter")
    bench.wait_for("Target disk")


def test_a_terminal_that_changes_its_size_is_followed(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.screen.screen.resize(30, 90)
    fcntl.ioctl(bench.screen.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
    bench.screen.screen.erase_in_display(2)

    def drawn() -> bool:
        lines = bench.screen.text.splitlines()
        return "Welcome" in lines[0] and "F1 Help" in lines[29]

    bench.wait(drawn)


def test_a_console_that_takes_nothing_holds_up_nobody(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.serial.take = lambda: None  # type: ignore[method-assign]
    for _ in range(40):
        # Ctrl-L: all is drawn again.
        bench.screen.raw = b""
        os.write(bench.serial.master, b"\x0c")
        os.write(bench.screen.master, b"\x0c")
        bench.wait(lambda: b"Welcome" in bench.screen.raw)
    bench.screen.press("enter")
    bench.wait(lambda: "Target disk" in bench.screen.text)
    del bench.serial.take
    os.write(bench.serial.master, b"\x0c")
    bench.wait_for("Target disk")


def test_a_console_that_is_gone_leaves_the_other(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.serial.take = lambda: None  # type: ignore[method-assign]
    os.close(bench.serial.master)
    bench.screen.press("enter")
    bench.wait(lambda: "Target disk" in bench.screen.text)
    bench.serial.master = os.open("/dev/null", os.O_RDWR)
    bench.end()


def test_the_settings_of_a_line_are_never_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A serial line that takes nothing would wait for good: with TCSADRAIN, all that was written goes out first."""
    used: set[int] = set()
    real = termios.tcsetattr

    def note(descriptor: int, when: int, settings: Any) -> None:
        used.add(when)
        real(descriptor, when, settings)

    bench.wait_for("Nothing has been changed.")
    monkeypatch.setattr(termios, "tcsetattr", note)
    bench.end()
    assert used == {termios.TCSANOW}


def test_the_screens_console_switches_to_the_second_one(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.screen.press("f2")
    bench.wait_for("second screen is a root shell", [bench.screen])
    bench.screen.press("enter")
    bench.wait(lambda: bench.controller.switched)
    bench.wait(lambda: "Alt+F1" not in bench.screen.text)


def test_a_serial_console_gives_way_to_a_shell_and_comes_back(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.screen.press("enter")
    bench.wait_for("Target disk")
    bench.serial.press("f2")
    bench.wait_for("A root shell takes this console", [bench.serial])
    bench.serial.press("enter")
    bench.wait(bench.runner.begun.is_set)
    assert (bench.lent, bench.runner.lines) == ({"ttyS0"}, [])
    assert bench.serial.settings == bench.before
    # What is typed now is the shell's.
    bench.serial.press("f1")
    bench.screen.press("down enter")
    bench.wait_for("(*) nvme-SAMSUNG_", [bench.screen])
    typed = os.open(bench.serial.name, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    os.write(bench.serial.master, b"\n")
    assert os.read(typed, 99) == b"\x1bOP\n"
    os.close(typed)
    assert "(*)" not in bench.serial.text
    bench.runner.ended.set()
    bench.wait_for("(*) nvme-SAMSUNG_")
    assert bench.runner.lines == ["systemctl start --wait slipway-visit@ttyS0.service"]
    assert bench.lent == set()
    bench.end()


def test_a_shell_that_cannot_be_had_is_told(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.runner.failures = {"systemctl start": "no such unit"}
    bench.runner.ended.set()
    bench.serial.press("f2 enter")
    bench.wait_for("There is no shell: exit status 1.", [bench.serial])
    assert bench.runner.lines[1:] == ["systemctl stop slipway-visit@ttyS0.service"]


def test_a_console_that_is_gone_after_its_shell_ends_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.serial.press("f2 enter")
    bench.wait(bench.runner.begun.is_set)
    tried = threading.Event()

    def vanish(*_: object) -> None:
        tried.set()
        raise termios.error(5, "Input/output error")

    monkeypatch.setattr(consoles, "open_console", vanish)
    bench.runner.ended.set()
    bench.wait(tried.is_set)
    bench.screen.press("enter")
    bench.wait_for("Target disk", [bench.screen])


def test_a_shell_outlives_the_screens(bench: Bench) -> None:
    bench.wait_for("Nothing has been changed.")
    bench.serial.press("f2 enter")
    bench.wait(bench.runner.begun.is_set)
    bench.end()
    assert bench.lent == {"ttyS0"}
