"""Runs the screens on terminals: one event loop, one `App` a console, all on one controller."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import urwid

from installer.tui.app import PALETTE, App, make_flow
from installer.tui.controller import Controller, State

LOG = logging.getLogger("slipway.tui")
TICK_SECONDS: Final = 1.0
INPUT_BYTES: Final = 4096
MONOCHROME: Final = frozenset({"", "dumb", "vt100", "vt102", "vt220"})
"""Values of TERM for terminals without colours."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal to show the screens on."""

    screen: urwid.display.raw.Screen
    ascii_only: bool


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


def run_here(controller: Controller, *, ascii_only: bool) -> None:
    """Show the screens on the terminal that this program was started from, until a person leaves.

    Where the terminal goes away, as one over ssh may, an installation that runs is brought to its end.
    """
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    # The encoding decides what is sent, and every terminal takes ASCII.
    urwid.set_encoding("utf-8")
    screen = OwnScreen()
    if os.environ.get("TERM", "") in MONOCHROME:
        screen.set_terminal_properties(colors=1)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run_terminals(controller, [Terminal(screen, ascii_only or encoding != "utf8")])
    except (OSError, termios.error) as error:
        LOG.warning("the terminal is gone: %s", error)


def run_terminals(controller: Controller, terminals: Sequence[Terminal]) -> None:
    """Show the screens on all terminals, until a person leaves on one of them.

    Whatever else ends them: an installation that runs is brought to its end first.
    """
    try:
        _serve(controller, terminals)
    finally:
        while controller.state in {State.CONFIRMED, State.INSTALLING}:
            time.sleep(TICK_SECONDS)


def _serve(controller: Controller, terminals: Sequence[Terminal]) -> None:
    events = urwid.SelectEventLoop()
    apps: list[App] = []
    loops: list[urwid.MainLoop] = []

    def refresh() -> None:
        for app in apps:
            app.refresh()

    def leave() -> None:
        raise urwid.ExitMainLoop

    flow = make_flow(controller, refresh)
    for terminal in terminals:
        app = App(controller, flow, leave, ascii_only=terminal.ascii_only)
        apps.append(app)
        loops.append(
            urwid.MainLoop(
                app, PALETTE, screen=terminal.screen, event_loop=events, handle_mouse=False, pop_ups=False
            )
        )
    controller.watch(_waker(loops[0], refresh))
    _every_second(loops, controller, refresh)
    with contextlib.ExitStack() as stack:
        for loop in loops:
            _keys_as_keys(loop.screen)
            stack.enter_context(loop.start())
        events.run()


def _waker(loop: urwid.MainLoop, refresh: Callable[[], None]) -> Callable[[], None]:
    """Give what wakes the loop from any thread, to refresh all consoles."""

    def take(_data: bytes) -> bool:
        refresh()
        return True

    pipe = loop.watch_pipe(take)
    os.set_blocking(pipe, False)

    def wake() -> None:
        # A full pipe will wake the loop anyhow.
        with contextlib.suppress(BlockingIOError):
            os.write(pipe, b"!")

    return wake


def _every_second(
    loops: Sequence[urwid.MainLoop], controller: Controller, refresh: Callable[[], None]
) -> None:
    """Let the clock go on, and follow terminals that tell nobody when their size changes."""

    def tick(*_: object) -> None:
        controller.tick()
        refresh()
        for loop in loops:
            if loop.screen_size not in {None, loop.screen.get_cols_rows()}:
                loop.screen_size = None
                loop.screen.clear()
        loops[0].set_alarm_in(TICK_SECONDS, tick)

    loops[0].set_alarm_in(0, tick)


def _keys_as_keys(screen: urwid.display.raw.Screen) -> None:
    """Take Ctrl-C and the like as keys: a person is asked before anything ends."""
    keys = ["undefined"] * 5
    screen.tty_signal_keys(*keys, fileno=screen._input_fileno())  # noqa: SLF001 - urwid takes that of Python's own input without it
