"""Runs the screens on terminals that come and go: one event loop, one `App` a terminal, all on one controller."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import signal
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

import urwid

from installer.tui.app import PALETTE, App, make_flow
from installer.tui.controller import Controller, State
from installer.tui.join import MONOCHROME, is_plain_here
from installer.tui.place import OWN, Place

LOG = logging.getLogger("slipway.tui")
TICK_SECONDS: Final = 1.0
INPUT_BYTES: Final = 4096


def end_all() -> NoReturn:
    """End the screens on all terminals."""
    raise urwid.ExitMainLoop


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Terminal:
    """A terminal to show the screens on."""

    screen: urwid.display.raw.Screen
    ascii_only: bool
    place: Place = OWN
    leave: Callable[[], None] = end_all
    """Called from a key when a person leaves."""
    shell: Callable[[], None] = _nothing
    """Called from a key when a person asks for the shell that `place` offers."""


class OwnScreen(urwid.display.raw.Screen):
    """urwid's screen on this program's own terminal, which may go away."""

    def _read_raw_input(self, timeout: int) -> bytearray:
        descriptor = self._input_fileno()
        if descriptor not in self._wait_for_input_ready(timeout):
            return bytearray()
        data = os.read(descriptor, INPUT_BYTES)
        if not data:
            # urwid itself would ask again for good.
            raise OSError(errno.EIO, "end of input")
        return bytearray(data)

    def start(self, *arguments: object, **named: object) -> object:
        """Take the terminal, with Ctrl-C and the like as keys: a person is asked before anything ends."""
        # urwid takes the descriptor of Python's own input without it.
        self.tty_signal_keys(*["undefined"] * 5, fileno=self._input_fileno())
        return super().start(*arguments, **named)


class Show:
    """The screens on all terminals. Everything but `call` belongs to the thread that runs it."""

    def __init__(self, controller: Controller) -> None:
        """Take the controller that all terminals share."""
        self.events = urwid.SelectEventLoop()
        self._controller = controller
        self._flow = make_flow(controller, self._refresh)
        self._shown: dict[Terminal, tuple[App, urwid.MainLoop]] = {}
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        # Never closed: whoever still watches after the end must not write into another file.
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)
        self.events.watch_file(self._wake, self._take_calls)
        controller.watch(lambda: self.call(_nothing))

    def add(self, terminal: Terminal) -> App:
        """Show the screens on one more terminal. Raises OSError, termios.error. Not from a key."""
        app = App(
            self._controller,
            self._flow,
            terminal.leave,
            ascii_only=terminal.ascii_only,
            place=terminal.place,
            shell=terminal.shell,
        )
        loop = urwid.MainLoop(
            app, PALETTE, screen=terminal.screen, event_loop=self.events, handle_mouse=False, pop_ups=False
        )
        loop.start()
        self._shown[terminal] = app, loop
        return app

    def remove(self, terminal: Terminal) -> bool:
        """Show them there no more; give whether they were. Not from a key."""
        if terminal not in self._shown:
            return False
        _, loop = self._shown.pop(terminal)
        try:
            loop.stop()
        except (OSError, termios.error) as error:
            LOG.info("a terminal is gone: %s", error)
        return True

    def later(self, work: Callable[[], None], seconds: float = 0) -> None:
        """Do something from the loop itself, not in the middle of a key or of reading several terminals."""
        self.events.alarm(seconds, work)

    def call(self, work: Callable[[], None]) -> None:
        """Do something in the thread of the loop, then draw; from any thread."""
        self._calls.put(work)
        # A full pipe will wake the loop anyhow.
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b"!")

    def run(self) -> None:
        """Show them until a person ends them."""
        self.later(self._tick)
        try:
            self.events.run()
        finally:
            for terminal in list(self._shown):
                self.remove(terminal)

    def _take_calls(self) -> None:
        os.read(self._wake, INPUT_BYTES)
        while not self._calls.empty():
            self._calls.get()()
        self._refresh()

    def _refresh(self) -> None:
        for app, _ in self._shown.values():
            app.refresh()

    def _tick(self) -> None:
        """Let the clock go on, and follow terminals that tell nobody when their size changes."""
        self._controller.tick()
        self._refresh()
        for terminal, (_, loop) in self._shown.items():
            if loop.screen_size not in {None, terminal.screen.get_cols_rows()}:
                loop.screen_size = None
                loop.screen.clear()
        self.later(self._tick, TICK_SECONDS)


@contextlib.contextmanager
def finishing(controller: Controller) -> Iterator[None]:
    """Whatever ends the screens: an installation that runs is brought to its end first."""
    try:
        yield
    finally:
        while controller.state in {State.CONFIRMED, State.INSTALLING}:
            time.sleep(TICK_SECONDS)


def run_here(controller: Controller, *, ascii_only: bool, place: Place = OWN) -> None:
    """Show the screens on the terminal that this program was started from, until a person leaves.

    Where the terminal goes away, as one over ssh may, an installation that runs is brought to its end.
    """
    # The encoding decides what is sent, and every terminal takes ASCII.
    urwid.set_encoding("utf-8")
    screen = OwnScreen(bracketed_paste_mode=True)
    if os.environ.get("TERM", "") in MONOCHROME:
        screen.set_terminal_properties(colors=1)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with finishing(controller):
            show = Show(controller)
            show.add(Terminal(screen, ascii_only or is_plain_here(), place))
            show.run()
    except (OSError, termios.error) as error:
        LOG.warning("the terminal is gone: %s", error)
