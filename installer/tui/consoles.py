"""The screens on the consoles of the live system: several at once, none of which can stop the others."""

from __future__ import annotations

import contextlib
import os
import queue
import termios
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import urwid

from installer.live_consoles import SCREEN, Console, open_console
from installer.tui.controller import Controller
from installer.tui.loop import Terminal, run_terminals

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

    def __init__(self, console: Console, *, ascii_only: bool) -> None:
        """Take an open console."""
        self._console = console
        self._output = Output(console, ascii_only=ascii_only)
        self._gone = False
        self._typed = time.monotonic()
        super().__init__(input=os.fdopen(console.descriptor, "rb", 0, closefd=False), output=self._output)
        # Terminals and their emulators are at one about these colours, but not about bright backgrounds.
        self.set_terminal_properties(colors=16, bright_is_bold=True, has_underline=True)

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


def run_consoles(controller: Controller, names: Iterable[str], dev: Path = Path("/dev")) -> None:
    """Show the screens on all of these consoles that can be opened, until a person leaves."""
    urwid.set_encoding("utf-8")
    opened = [(name, console) for name in names if (console := open_console(name, dev))]
    terminals = [
        Terminal(ConsoleScreen(console, ascii_only=name != SCREEN), ascii_only=name != SCREEN)
        for name, console in opened
    ]
    if not terminals:
        return
    try:
        run_terminals(controller, terminals)
    finally:
        for terminal in terminals:
            terminal.screen.close()
