"""Real terminals: each a terminal emulator behind a pseudo-terminal, and the program that serves them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte

from installer.live_consoles import SCREEN
from installer.tui.consoles import run_consoles
from installer.tui.shells import Shells
from tests.tui.harness import Demo, machine
from tests.unit.installer_fakes import FakeRunner

LIMIT_SECONDS = 20
NAMES = {
    "down": "\x1b[B",
    "enter": "\r",
    "tab": "\t",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f10": "\x1b[21~",
    "ctrl-s": "\x13",
}


class Emulator:
    """A terminal at the other end of a line."""

    def __init__(self, columns: int, rows: int, *, knows_size: bool = True) -> None:
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

    @property
    def settings(self) -> list[object]:
        return termios.tcgetattr(self.slave)

    def press(self, script: str) -> None:
        for word in script.replace("'", " ' ").split():
            os.write(self.master, NAMES.get(word, word).encode())

    def take(self) -> None:
        # The other end may be closed.
        with contextlib.suppress(OSError):
            while select.select([self.master], [], [], 0)[0]:
                data = os.read(self.master, 65536)
                self.raw += data
                self.stream.feed(data)

    def close(self) -> None:
        for descriptor in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)


class Runner(FakeRunner):
    """The shell on a console lasts until a test ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.ended = threading.Event(), threading.Event()
        self.before = self.visit

    def visit(self, line: str) -> None:
        if line.startswith("systemctl start --wait"):
            self.begun.set()
            assert self.ended.wait(LIMIT_SECONDS)


class Bench:
    """Two consoles and the program that serves them."""

    def __init__(self, folder: Path) -> None:
        self.screen = Emulator(132, 50)
        self.serial = Emulator(80, 24, knows_size=False)
        self.emulators = [self.screen, self.serial]
        (folder / SCREEN).symlink_to(self.screen.name)
        (folder / "ttyS0").symlink_to(self.serial.name)
        self.before = self.serial.settings
        self.socket = folder / "run/tui.socket"
        self.runner, self.lent = Runner(), set[str]()
        self.controller = Demo(machine("nvme-server"))
        self.controller.rescan()
        self.controller.work()
        names = [SCREEN, "ttyS0", "ttyS7"]
        arguments = self.controller, names, Shells(self.runner, self.lent), folder, self.socket
        self.thread = threading.Thread(target=run_consoles, args=arguments, daemon=True)
        self.thread.start()

    def add(self, columns: int = 80, rows: int = 24) -> Emulator:
        """Give one more terminal; nobody serves it yet."""
        emulator = Emulator(columns, rows)
        self.emulators.append(emulator)
        return emulator

    def wait(self, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while not ready():
            for emulator in self.emulators:
                emulator.take()
            assert time.monotonic() < end, "\n".join(emulator.text for emulator in self.emulators)
            time.sleep(0.01)

    def wait_for(self, text: str, emulators: Sequence[Emulator] = ()) -> None:
        self.wait(lambda: all(text in emulator.text for emulator in emulators or (self.screen, self.serial)))

    def end(self) -> None:
        """Leave on the screen, and wait for the end."""
        self.screen.press("f10 tab enter")
        self.wait(lambda: not self.thread.is_alive())

    def close(self) -> None:
        self.runner.ended.set()
        for emulator in self.emulators:
            emulator.close()
