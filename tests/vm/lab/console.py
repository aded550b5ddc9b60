"""The serial console: everything the machine says on ttyS0, as text to wait for and as a screen."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyte

from tests.vm.lab.errors import LabError, LabTimeout, MachineDied
from tests.vm.lab.text import PlainText

COLUMNS: Final = 80
LINES: Final = 24
_TAIL_LINES: Final = 40


def connect_console(path: Path) -> socket.socket:
    """Connect to QEMU's socket at `path`. Raises LabError: nobody listens there."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise LabError(f"{path}: no serial console: {error}") from error
    return connection


class Console:
    """A connection to a serial console, read by a thread of its own."""

    def __init__(self, connection: socket.socket, *, diagnose: Callable[[], str]) -> None:
        """Begin to read.

        Args:
            connection: leads to the console; it is closed by `close`.
            diagnose: called when a wait fails; its text (where a screenshot lies, how QEMU ended) goes into the error.
        """
        self._diagnose = diagnose
        self._changed = threading.Condition()
        self._text = ""
        self._mark = 0
        self._ended = False
        self._plain = PlainText()
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._socket = connection
        self._reader = threading.Thread(target=self._read, name="console", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            with self._changed:
                if not data:
                    self._ended = True
                    self._changed.notify_all()
                    return
                self._text += self._plain.feed(data)
                self._stream.feed(data)
                self._changed.notify_all()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(timeout=5)
        self._socket.close()

    def send(self, text: str) -> None:
        r"""Type text, as UTF-8; a line ends with `\r`.

        Raises:
            MachineDied: QEMU has ended.
        """
        try:
            self._socket.sendall(text.encode())
        except OSError as error:
            raise MachineDied(self._explain("nothing can be typed")) from error

    def wait_for(self, pattern: str, timeout_seconds: float) -> re.Match[str]:
        r"""Wait until the console has said something, from where the last wait ended.

        Args:
            pattern: regular expression (`re.MULTILINE`) over the text without escape sequences, lines ending in `\n`.
            timeout_seconds: how long to wait.

        Returns:
            The match. The next wait starts behind it.

        Raises:
            LabTimeout: it was not said in time; the text holds the last 40 lines and where a screenshot lies.
            MachineDied: QEMU ended before it was said.
        """
        compiled = re.compile(pattern, re.MULTILINE)

        def find() -> re.Match[str] | None:
            return compiled.search(self._text, self._mark)

        match = self._wait(find, timeout_seconds, what=f"the console never said {pattern!r}")
        self._mark = match.end()
        return match

    def wait_screen(self, pattern: str, timeout_seconds: float) -> re.Match[str]:
        """Wait until the screen of the serial terminal (80x24) shows something.

        Args:
            pattern: regular expression (`re.MULTILINE`) over the screen's lines.
            timeout_seconds: how long to wait.

        Returns:
            The match.

        Raises:
            LabTimeout: it was not shown in time.
            MachineDied: QEMU ended before it was shown.
        """
        compiled = re.compile(pattern, re.MULTILINE)

        def show() -> str:
            return "\n".join(line.rstrip() for line in self._screen.display)

        try:
            return self._wait(
                lambda: compiled.search(show()),
                timeout_seconds,
                what=f"the screen of the console never showed {pattern!r}",
            )
        except LabError as error:
            # What an installer draws is no line of a console.
            error.add_note(f"the screen of the console:\n{show()}")
            raise

    def _wait(
        self, find: Callable[[], re.Match[str] | None], timeout_seconds: float, *, what: str
    ) -> re.Match[str]:
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while (match := find()) is None:
                remaining = deadline - time.monotonic()
                if self._ended or remaining <= 0:
                    break
                self._changed.wait(remaining)
            ended = self._ended
        if match is not None:
            return match
        # The lock is free here: a screenshot may take seconds, and the reader must go on.
        if ended:
            raise MachineDied(self._explain(what))
        raise LabTimeout(self._explain(f"{what} in {timeout_seconds:g} s"))

    def _explain(self, what: str) -> str:
        return f"{what}\n{self._diagnose()}\nlast lines of the console:\n{self.tail()}"

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """Give the last lines that were said, without blank ones."""
        with self._changed:
            text = self._text
        said = [line for line in text.split("\n") if line.strip()]
        return "\n".join(said[-lines:])

    @property
    def text(self) -> str:
        """Everything that was said so far, without escape sequences."""
        with self._changed:
            return self._text

    @property
    def screen(self) -> list[str]:
        """The 24 lines that a serial terminal of 80 columns shows now."""
        with self._changed:
            return list(self._screen.display)

    def marked(self, background: str) -> list[str]:
        """Give the texts that have a background colour (pyte's name for it), one for each line that has any."""
        with self._changed:
            lines = [self._screen.buffer[line] for line in range(LINES)]
            texts = [
                "".join(line[column].data for column in range(COLUMNS) if line[column].bg == background)
                for line in lines
            ]
        return [text.strip() for text in texts if text.strip()]
