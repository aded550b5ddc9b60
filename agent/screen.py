"""`python3 -m agent.lean_screen`: the status screen of tty1 and of serial consoles. Enter ends it.

The units getty@tty1 and serial-getty@ run it and then agetty, whatever became of it: image/layer/usr/lib/slipway/console.
When a session ends, or nobody logs in, systemd starts them again. It is no verb of `slipway`: that brings libraries
which would stay in memory for good.
"""

from __future__ import annotations

import os
import sys
import termios
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import urwid

from agent.health import read_kept_health
from agent.status import Status, read_status
from agent.status_render import render_status
from hostlib.errors import ExitStatus, printable
from hostlib.run import SystemRunner

REFRESH_SECONDS: Final = 10.0
"""Between the end of reading and the next, while the node is on its way: three programs are run for it."""
SETTLED_SECONDS: Final = 30.0
"""The same once it has arrived; a key does not wait for it. A node has two screens or more."""
REDRAW_SECONDS: Final = 60.0
"""Whoever has plugged in a serial cable sees all of it after this time, and what the kernel wrote over it goes."""
USUAL_SIZE: Final = (80, 24)
CLEAR: Final = "\x1b[0m\x1b[H\x1b[2J"
FAILED: Final = b"x"
KEY: Final = "Enter: login prompt"
PALETTE: Final = [
    ("title", "white,bold", "default", "bold"),
    ("good", "light green", "default"),
    ("warning", "yellow", "default", "bold"),
    ("critical", "light red", "default", "bold,standout"),
    ("key", "black", "light gray", "standout"),
]


class StatusScreen(urwid.Widget):
    """Shows a status; knows nothing of where it comes from."""

    _sizing = frozenset([urwid.BOX])
    _selectable = True

    def __init__(
        self,
        login: Callable[[], None],
        renew: Callable[[], None],
        clock: Callable[[], str],
        *,
        ascii_only: bool,
    ) -> None:
        """Take what Enter does, what every other key does, the time of day as text, and what the terminal shows."""
        super().__init__()
        self._login = login
        self._renew = renew
        self._clock = clock
        self._ascii_only = ascii_only
        self._status: Status | None = None

    def show(self, status: Status) -> None:
        """Show this from now on."""
        self._status = status
        self._invalidate()

    def keypress(self, _size: tuple[int, int], key: str) -> None:
        """Take every key."""
        (self._login if key == "enter" else self._renew)()

    def render(self, size: tuple[int, int], focus: bool = False) -> urwid.Canvas:  # noqa: FBT001, FBT002, ARG002 - urwid's signature
        """Give the lines, and in the last one the key."""
        columns, rows = size
        lines = [(" The status of this node is being read.", "")]
        if self._status:
            # A free column on either side, and the last line.
            lines = [
                (f" {line.text}", line.style) for line in render_status(self._status, columns - 2, rows - 1)
            ]
        texts = [urwid.Text((style or None, self._plain(text)), wrap="clip") for text, style in lines]
        foot = f" {KEY}{self._clock():>{max(0, columns - len(KEY) - 2)}} "
        pile = urwid.Pile(
            [
                *((1, urwid.Filler(text)) for text in texts[: rows - 1]),
                urwid.SolidFill(" "),
                (1, urwid.Filler(urwid.AttrMap(urwid.Text(foot, wrap="clip"), "key"))),
            ]
        )
        return urwid.CompositeCanvas(pile.render(size))

    def _plain(self, text: str) -> str:
        text = printable(text)
        return text.encode("ascii", "replace").decode() if self._ascii_only else text


class Terminal(urwid.display.raw.Screen):
    """urwid's screen on this program's terminal, which may go away or not know its size."""

    def start(self, *arguments: object, **named: object) -> object:
        """Take the terminal, with Ctrl-C and the like as keys."""
        self._before = termios.tcgetattr(self._input_fileno())
        self.tty_signal_keys(*["undefined"] * 5, fileno=self._input_fileno())
        return super().start(*arguments, **named)

    def stop(self) -> None:
        """Give the terminal back as it was: agetty is told to leave it alone."""
        super().stop()
        termios.tcsetattr(self._input_fileno(), termios.TCSANOW, self._before)

    def get_cols_rows(self) -> tuple[int, int]:
        """Give the size; the usual one on a serial line, which knows none."""
        try:
            size = os.get_terminal_size(self._input_fileno())
        except OSError:
            return USUAL_SIZE
        return (size.columns, size.lines) if size.columns > 0 and size.lines > 1 else USUAL_SIZE

    def _read_raw_input(self, timeout: int) -> bytearray:
        descriptor = self._input_fileno()
        if descriptor not in self._wait_for_input_ready(timeout):
            return bytearray()
        data = os.read(descriptor, 4096)
        if not data:
            # urwid itself would ask again for good.
            raise urwid.ExitMainLoop
        return bytearray(data)


class Show:
    """The screen on one terminal: reads beside it, so that no slow program holds up the way to the login prompt."""

    def __init__(
        self,
        screen: urwid.display.raw.Screen,
        read: Callable[[], Status],
        clock: Callable[[], str],
        *,
        ascii_only: bool,
    ) -> None:
        """Take the terminal, what gathers the status (in a thread), the time of day, and what the terminal shows."""
        self._read = read
        self._ended = False
        self._wanted = threading.Event()
        self._latest: Status | None = None
        self.widget = StatusScreen(_leave, self._renew, clock, ascii_only=ascii_only)
        self._loop = urwid.MainLoop(
            self.widget, PALETTE, screen=screen, event_loop=urwid.SelectEventLoop(), handle_mouse=False
        )

    def run(self) -> None:
        """Show it until somebody presses Enter or the terminal is gone. Raises OSError, termios.error."""
        # Closed by the end of the program: the thread may still want to write.
        waker = self._loop.watch_pipe(self._take)
        reader = threading.Thread(target=self._gather, args=(waker,), daemon=True)
        self._loop.set_alarm_in(REDRAW_SECONDS, self._redraw_again)
        reader.start()
        try:
            self._loop.run()
        finally:
            self._ended = True
            self._wanted.set()

    def _gather(self, waker: int) -> None:
        try:
            while not self._ended:
                self._wanted.clear()
                self._latest = self._read()
                os.write(waker, b"!")
                # `not enrolled` is what a node says, too, that has not begun yet.
                arrived = self._latest.enrollment.state == "serving"
                self._wanted.wait(SETTLED_SECONDS if arrived else REFRESH_SECONDS)
        except Exception:
            # What stays on the screen would be taken for true. The unit shows the login prompt, and starts it again.
            os.write(waker, FAILED)
            raise

    def _take(self, data: bytes) -> bool:
        if FAILED in data:
            _leave()
        if self._latest:
            self.widget.show(self._latest)
        return True

    def _renew(self) -> None:
        self._redraw()
        self._wanted.set()

    def _redraw(self) -> None:
        self._loop.screen.clear()

    def _redraw_again(self, *_: object) -> None:
        self._redraw()
        self._loop.set_alarm_in(REDRAW_SECONDS, self._redraw_again)


def _leave() -> None:
    raise urwid.ExitMainLoop


def is_plain(terminal: str) -> bool:
    """Tell whether a terminal device is to be given ASCII alone: all but the machine's own screen."""
    name = terminal.removeprefix("/dev/tty")
    return name == terminal or not name.isdigit()


def run_screen() -> ExitStatus:
    """Show the status on this program's terminal until somebody wants to log in."""
    urwid.set_encoding("utf-8")
    runner = SystemRunner()
    show = Show(
        Terminal(),
        lambda: read_status(
            runner, lambda: read_kept_health(datetime.now(tz=UTC), time.clock_gettime(time.CLOCK_BOOTTIME))
        ),
        lambda: time.strftime("%Y-%m-%d %H:%M %Z"),
        ascii_only=is_plain(os.ttyname(sys.stdin.fileno())),
    )
    try:
        show.run()
    except (OSError, termios.error) as error:
        sys.stderr.write(f"the terminal is gone: {error}\n")
        return ExitStatus.STEP_FAILED
    sys.stdout.write(CLEAR)
    return ExitStatus.DONE
