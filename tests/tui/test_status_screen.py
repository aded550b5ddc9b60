"""The status screen of a node's consoles."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urwid

from agent import screen as module
from agent.health import Health
from agent.screen import Show, StatusScreen, Terminal, is_plain
from agent.status import Enrollment, Status
from hostlib.errors import ExitStatus
from tests.tui.harness import check_screens
from tests.tui.terminals import Emulator
from tests.unit.health_data import STATUS, TROUBLES

CLOCK = "2026-03-01 12:00 UTC"
AWAY = dataclasses.replace(STATUS.members[2], status="Offline", message="No heartbeat for 1m2.3s")
TROUBLED = dataclasses.replace(
    STATUS,
    health=Health(1, TROUBLES),
    members=(AWAY, *STATUS.members[:2]),
    services={**STATUS.services, "LLDP": "failed"},
)
WAITING = dataclasses.replace(
    STATUS,
    enrollment=Enrollment(
        "requested",
        "waits for approval: slipway node approve 0123456789abcdef0123456789abcdef on a member",
        "0123456789abcdef" * 2,
        ("https://192.0.2.1:8007", "https://192.0.2.2:8007"),
    ),
    members=(),
)
FIRST_BOOT = dataclasses.replace(
    STATUS,
    first_boot_done=False,
    certificate="",
    ssh_key="",
    enrollment=Enrollment(),
    members=(),
    cluster_trouble="known after first boot",
    services=dict.fromkeys(STATUS.services, "inactive"),
)
PICTURES = {
    "status": STATUS,
    "status-troubled": TROUBLED,
    "status-waiting": WAITING,
    "status-first-boot": FIRST_BOOT,
    "status-reading": None,
}


class Console:
    """The screen without a terminal."""

    def __init__(self, status: Status | None, *, ascii_only: bool = False) -> None:
        urwid.set_encoding("utf-8")
        self.size = (80, 24)
        self.pressed: list[str] = []
        self.screen = StatusScreen(
            lambda: self.pressed.append("login"),
            lambda: self.pressed.append("redraw"),
            lambda: CLOCK,
            ascii_only=ascii_only,
        )
        if status:
            self.screen.show(status)

    @property
    def focus(self) -> str:
        """What is drawn in another colour: the first word of each line."""
        canvas = self.screen.render(self.size, focus=True)
        styles = [next((run[0] for run in line if run[0]), "") for line in canvas.content()]
        return " ".join(f"{row}:{style}" for row, style in enumerate(styles) if style)

    @property
    def text(self) -> str:
        canvas = self.screen.render(self.size, focus=True)
        return "\n".join(line.decode().rstrip() for line in canvas.text)


@pytest.mark.parametrize("name", PICTURES)
def test_picture(name: str, update: bool) -> None:  # noqa: FBT001 - a fixture
    check_screens(Console(PICTURES[name]), name, update=update)


def test_every_size_can_be_drawn() -> None:
    console = Console(TROUBLED)
    for size in [(80, 24), (80, 25), (40, 10), (20, 3), (200, 60)]:
        console.size = size
        lines = console.text.splitlines()
        assert len(lines) == size[1]
        assert lines[-1].startswith(" Enter: login prompt")


def test_a_serial_line_gets_ascii() -> None:
    name = dataclasses.replace(STATUS, name="nöde1.example.com")
    assert "nöde1" in Console(name).text
    assert "n?de1" in Console(name, ascii_only=True).text
    assert not is_plain("/dev/tty1")
    assert all(map(is_plain, ("/dev/ttyS0", "/dev/ttyUSB0", "/dev/hvc0", "/dev/pts/3")))


def test_enter_is_the_way_to_the_login_prompt() -> None:
    console = Console(STATUS)
    for key in ("a", "ctrl c", "f1", "enter"):
        console.screen.keypress(console.size, key)
    assert console.pressed == ["redraw"] * 3 + ["login"]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(80, 24, knows_size=False)
    yield emulator
    emulator.close()


class Bench:
    """The screen on a real terminal."""

    def __init__(
        self, emulator: Emulator, read: Callable[[], Status], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        urwid.set_encoding("utf-8")
        # Signals belong to the main thread, which a test needs itself.
        monkeypatch.setattr(Terminal, "signal_init", lambda _: None)
        monkeypatch.setattr(Terminal, "signal_restore", lambda _: None)
        self.emulator = emulator
        self.streams = [os.fdopen(os.dup(emulator.slave), mode) for mode in ("r", "w")]
        self.show = Show(Terminal(*self.streams), read, lambda: CLOCK, ascii_only=True)
        self.thread = threading.Thread(target=self.show.run, daemon=True)
        self.thread.start()

    def wait(self, ready: Callable[[], bool]) -> None:
        for _ in range(2000):
            self.emulator.take()
            if ready():
                return
            self.thread.join(0.01)
        pytest.fail(self.emulator.text)

    def end(self) -> None:
        self.wait(lambda: not self.thread.is_alive())
        for stream in self.streams:
            stream.close()


def test_it_follows_the_node_and_gives_the_terminal_back(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED_SECONDS", 0.05)
    before = emulator.settings
    now = [STATUS]
    bench = Bench(emulator, lambda: now[0], monkeypatch)
    bench.wait(lambda: "3 members, all online" in emulator.text)
    now[0] = TROUBLED
    bench.wait(lambda: "3 members, 1 not online" in emulator.text)
    assert emulator.raw.isascii()
    # Ctrl-C is a key, and what was written over the screen goes.
    emulator.screen.erase_in_display(2)
    os.write(emulator.master, b"\x03")
    bench.wait(lambda: "Findings     2 critical, 1 warning" in emulator.text)
    emulator.press("enter")
    bench.end()
    assert emulator.settings == before


def test_a_key_reads_a_node_anew_that_has_arrived(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = {"REFRESH_SECONDS": 0.05, "SETTLED_SECONDS": 3600}
    for name, seconds in pauses.items():
        monkeypatch.setattr(module, name, seconds)
    # On its way it is followed, also between first boot and the first word of the agent.
    between = dataclasses.replace(FIRST_BOOT, first_boot_done=True)
    answers = [FIRST_BOOT, between, WAITING, STATUS, TROUBLED]
    bench = Bench(emulator, lambda: answers.pop(0), monkeypatch)
    bench.wait(lambda: "3 members, all online" in emulator.text)
    assert answers == [TROUBLED]
    os.write(emulator.master, b" ")
    bench.wait(lambda: "3 members, 1 not online" in emulator.text)
    emulator.press("enter")
    bench.end()


def test_a_program_that_hangs_does_not_bar_the_way(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = threading.Event()

    def hang() -> Status:
        stuck.wait(20)
        return STATUS

    bench = Bench(emulator, hang, monkeypatch)
    bench.wait(lambda: "The status of this node is being read." in emulator.text)
    emulator.press("enter")
    bench.end()
    stuck.set()


def test_a_defect_ends_it_instead_of_showing_what_was(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED_SECONDS", 0.01)
    told: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    answers = iter([STATUS])
    bench = Bench(emulator, lambda: next(answers), monkeypatch)
    bench.end()
    assert told[0].exc_type is StopIteration


def test_a_terminal_that_goes_away_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    class Gone:
        def __init__(self, *_args: object, **_named: object) -> None:
            pass

        def run(self) -> None:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "Show", Gone)
    monkeypatch.setattr(os, "ttyname", lambda _: "/dev/ttyS0")
    monkeypatch.setattr("sys.stdin", type("In", (), {"fileno": lambda _: 0})())
    assert module.run_screen() is ExitStatus.STEP_FAILED
    assert capsys.readouterr().err == "the terminal is gone: [Errno 5] Input/output error\n"
    monkeypatch.setattr(Gone, "run", lambda _: None)
    assert module.run_screen() is ExitStatus.DONE
    # What the status left there must not stand above the login prompt.
    assert capsys.readouterr().out.endswith("\x1b[2J")
