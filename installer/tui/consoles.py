"""The screens on the consoles of the live system: several at once, none of which can stop the others."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import termios
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import urwid

from hostlib.errors import ExitStatus
from hostlib.paths import TUI_SOCKET
from installer.live_consoles import SCREEN, Console, open_console
from installer.tui import place
from installer.tui.app import App
from installer.tui.controller import Controller, State
from installer.tui.jobs import Spawn, in_thread
from installer.tui.join import MONOCHROME, Door, Guest, farewell, listening
from installer.tui.loop import Show, Terminal, finishing
from installer.tui.page import text_dialog
from installer.tui.shells import Shells

LOG = logging.getLogger("slipway.tui")
USUAL_SIZE: Final = (80, 24)
"""Of a serial line, which does not know the size of the terminal at its other end."""
IDLE_SECONDS: Final = 20
"""After this time whoever types may have come anew, and sees nothing of what was drawn before."""


class Output:
    """Writes to a console beside the screens: a slow or stalled line holds up nobody."""

    def __init__(self, console: Console, *, ascii_only: bool) -> None:
        """Take the console, and whether it shows ASCII alone."""
        self._console = console
        self._encoding = "ascii" if ascii_only else "utf-8"
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._pending: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.lost = False
        """Something was not taken: all must be drawn again."""

    def write(self, text: str) -> None:
        """Take what is to be written."""
        self._pending.append(text)

    def flush(self) -> None:
        """Have it written."""
        self._queue.put("".join(self._pending))
        self._pending.clear()

    def fileno(self) -> int:
        """Give the descriptor, which is asked for the size."""
        return self._console.descriptor

    def close(self) -> None:
        """Wait until all is written, which a stalled console does not delay for long."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (text := self._queue.get()) is not None:
            self._console.write(text.encode(self._encoding, "replace").decode())
            self.lost = self.lost or self._console.stalled


class ConsoleScreen(urwid.display.raw.Screen):
    """urwid's screen on a console that is not this program's own terminal."""

    def __init__(
        self,
        console: Console,
        *,
        ascii_only: bool,
        term: str = "linux",
        gone: Callable[[], None] = lambda: None,
    ) -> None:
        """Take an open console, its TERM, and who is told when it is gone."""
        self._console = console
        self._output = Output(console, ascii_only=ascii_only)
        self._gone = False
        self._tell_gone = gone
        self._typed = time.monotonic()
        super().__init__(input=None, output=self._output, bracketed_paste_mode=True)
        # The console has its settings. urwid would make its own, and wait for good for a line that takes nothing.
        self._signal_keys_set = True
        # Terminals and their emulators are at one about these colours, but not about bright backgrounds.
        colors = 1 if term in MONOCHROME else 16
        self.set_terminal_properties(colors=colors, bright_is_bold=True, has_underline=True)
        self.back_color_erase = term == "linux"

    @property
    def descriptor(self) -> int:
        """The console's file descriptor."""
        return self._console.descriptor

    def signal_init(self) -> None:
        """Take no signals: those are of this program's own terminal."""

    def signal_restore(self) -> None:
        """Give none back."""

    def get_cols_rows(self) -> tuple[int, int]:
        """Give the size of the terminal; the usual one for a line that knows none."""
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self._console.descriptor)
            if size.columns > 0 and size.lines > 0:
                return size.columns, size.lines
        return USUAL_SIZE

    def get_input_descriptors(self) -> list[int]:
        """Give what is waited for; nothing once the console is gone."""
        return [] if self._gone or not self._started else [self._console.descriptor]

    def get_available_raw_input(self) -> list[int]:
        """Give what was typed. A console that is gone is not asked again."""
        data = self._console.read()
        if data is None:
            self._gone = True
            urwid.emit_signal(self, urwid.display.common.INPUT_DESCRIPTORS_CHANGED)
            self._tell_gone()
            data = b""
        if data and time.monotonic() - self._typed > IDLE_SECONDS:
            self.clear()
        self._typed = time.monotonic()
        codes: list[int] = [*self._partial_codes, *data]
        # The rest of a sequence that had not come whole, which urwid keeps here.
        self._partial_codes: list[int] = []
        return codes

    def draw_screen(self, size: tuple[int, int], canvas: urwid.Canvas) -> None:
        """Draw what has changed; all of it where something was lost."""
        if self._output.lost:
            self._output.lost = False
            self.clear()
        super().draw_screen(size, canvas)

    def stop(self) -> None:
        """Leave the console; one that is gone needs nothing."""
        with contextlib.suppress(OSError, termios.error):
            super().stop()

    def close(self) -> None:
        """Give the console back as it was."""
        self._output.close()
        self._console.close()


class Floor:
    """Which terminals have the screens: the machine's consoles, and guests. All but `close` runs in the loop."""

    def __init__(self, controller: Controller, dev: Path, shells: Shells, spawn: Spawn = in_thread) -> None:
        """Take the folder of the consoles, who lends them to shells, and what does something beside the screens."""
        self.show = Show(controller)
        self._controller = controller
        self._dev = dev
        self._shells = shells
        self._spawn = spawn
        self._consoles: dict[str, Terminal] = {}
        self._guests: dict[Guest, Terminal] = {}
        self._door: Door | None = None

    def listen(self, listener: socket.socket) -> None:
        """Let guests in."""
        self._door = Door(listener, self.show.events, self._enter, self._leave)

    # The machine's consoles.

    def open(self, name: str) -> App | None:
        """Show the screens on a console, where it can be opened."""
        console = open_console(name, self._dev)
        if console is None:
            return None
        main = name == SCREEN
        terminal = Terminal(
            ConsoleScreen(console, ascii_only=not main),
            ascii_only=not main,
            place=place.SCREEN if main else place.SERIAL,
            shell=self._controller.show_shell if main else lambda: self.show.later(lambda: self._lend(name)),
        )
        self._consoles[name] = terminal
        return self.show.add(terminal)

    def _lend(self, name: str) -> None:
        terminal = self._consoles.pop(name, None)
        if terminal is None:
            return
        self.show.remove(terminal)

        def back(trouble: str) -> None:
            self.show.call(lambda: self._take_back(name, trouble))

        self._shells.lend(name, terminal.screen.close, back)

    def _take_back(self, name: str, trouble: str) -> None:
        # The shell has hung the terminal up: all of it is new.
        try:
            app = self.open(name)
        except (OSError, termios.error):
            # Of this console alone: the others go on.
            LOG.exception("the screens cannot come back to %s", name)
            return
        if app and trouble:
            app.open(text_dialog(app, "Shell", trouble))

    # Terminals that have been handed over.

    def _enter(self, guest: Guest) -> None:
        console = open_console(guest.terminal)
        if console is None or os.fstat(console.descriptor).st_rdev in self._devices():
            if console:
                console.close()
            self._dismiss(
                guest, {"refused": f"{guest.terminal} cannot be opened, or has the screens already"}
            )
            return
        screen = ConsoleScreen(
            console, ascii_only=guest.ascii_only, term=guest.term, gone=lambda: self._leave(guest)
        )

        def leave() -> None:
            self._leave(guest)

        self._guests[guest] = Terminal(
            screen, ascii_only=guest.ascii_only, place=place.JOINED, leave=leave, shell=leave
        )
        LOG.info("%s has joined", guest.terminal)
        try:
            self.show.add(self._guests[guest])
        except Exception:
            LOG.exception("the screens cannot be shown on %s", guest.terminal)
            self._leave(guest)

    def _devices(self) -> set[int]:
        terminals = [*self._consoles.values(), *self._guests.values()]
        return {os.fstat(terminal.screen.descriptor).st_rdev for terminal in terminals}

    def _leave(self, guest: Guest) -> None:
        self.show.later(lambda: self._part(guest))

    def _part(self, guest: Guest) -> None:
        terminal = self._guests.pop(guest, None)
        if terminal is None:
            # What came of the connection and of the terminal together.
            return
        LOG.info("%s has left", guest.terminal)
        self.show.remove(terminal)
        self._dismiss(guest, self._last_words(goes_on=True), terminal)

    def _dismiss(self, guest: Guest, message: dict[str, object], terminal: Terminal | None = None) -> None:
        """Give a terminal back; beside the screens, because it may be a slow one."""
        if self._door:
            self._door.release(guest.connection)

        def part() -> None:
            if terminal:
                terminal.screen.close()
            farewell(guest.connection, message)

        self._spawn(part)

    def _last_words(self, *, goes_on: bool) -> dict[str, object]:
        failed = self._controller.state is State.FAILED
        return {"status": ExitStatus.STEP_FAILED if failed else ExitStatus.DONE, "goes_on": goes_on}

    def close(self) -> None:
        """Give all terminals back, after the end of the loop."""
        if self._door:
            self._door.close()
        for terminal in self._consoles.values():
            terminal.screen.close()
        for guest, terminal in self._guests.items():
            terminal.screen.close()
            farewell(guest.connection, self._last_words(goes_on=False))


def run_consoles(
    controller: Controller,
    names: Iterable[str],
    shells: Shells,
    dev: Path = Path("/dev"),
    path: Path = TUI_SOCKET,
) -> None:
    """Show the screens on all of these consoles that can be opened, until a person leaves on one of them.

    Other terminals join by the socket at `path`, see `installer.tui.join`.
    """
    urwid.set_encoding("utf-8")
    with finishing(controller), listening(path) as listener:
        floor = Floor(controller, dev, shells)
        try:
            opened = [app for name in names if (app := floor.open(name))]
            if listener:
                floor.listen(listener)
            if opened or listener:
                floor.show.run()
        finally:
            floor.close()
