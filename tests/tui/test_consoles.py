"""The screens on real terminals: two consoles of one machine, each a terminal emulator behind a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from installer.live_consoles import SCREEN
from installer.tui.consoles import run_consoles
from installer.tui.demo import DemoController
from tests.tui.harness import machine

LIMIT_SECONDS = 20
NAMES = {"down": "\x1b[B", "enter": "\r", "tab": "\t", "f1": "\x1bOP", "f10": "\x1b[21~"}


class Emulator:
    """A terminal at the other end of a line."""

    def __init__(self, columns: int, rows: int, *, knows_size: bool) -> None:
        self.master, self.slave = pty.openpty()
        if knows_size:
            fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.name = os.ttyname(self.slave)
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, script: str) -> None:
        for word in script.replace("'", " ' ").split():
            os.write(self.master, NAMES.get(word, word).encode())

    def take(self) -> None:
        while select.select([self.master], [], [], 0)[0]:
            data = os.read(self.master, 65536)
            self.raw += data
            self.stream.feed(data)

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


class Bench:
    """Two consoles and the program that serves them."""

    def __init__(self, dev: Path) -> None:
        self.screen = Emulator(132, 50, knows_size=True)
        self.serial = Emulator(80, 24, knows_size=False)
        (dev / SCREEN).symlink_to(self.screen.name)
        (dev / "ttyS0").symlink_to(self.serial.name)
        self.before = termios.tcgetattr(self.serial.slave)
        self.controller = DemoController(machine("nvme-server"), sleep=lambda _: None)
        self.controller.rescan()
        names = [SCREEN, "ttyS0", "ttyS7"]
        self.thread = threading.Thread(target=run_consoles, args=(self.controller, names, dev), daemon=True)
        self.thread.start()

    def wait(self, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while not ready():
            for emulator in (self.screen, self.serial):
                emulator.take()
            assert time.monotonic() < end, f"{self.screen.text}\n{self.serial.text}"
            time.sleep(0.01)

    def wait_for(self, text: str) -> None:
        self.wait(lambda: text in self.screen.text and text in self.serial.text)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.screen.close()
    bench.serial.close()


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
    assert termios.tcgetattr(bench.serial.slave) == bench.before


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
    bench.screen.press("f10 tab enter")
    bench.wait(lambda: not bench.thread.is_alive())
