"""The consoles of the live system: the screen and every serial line. None of them can stop an installation."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import termios
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LOG = logging.getLogger("slipway.consoles")
SCREEN: Final = "tty1"
STALL_SECONDS: Final = 1.0
"""How long a console may take nothing (flow control, nobody there) before the text is dropped."""
SEQUENCE_SECONDS: Final = 0.05
"""The rest of an escape sequence follows its first byte within this time."""
_REPORT = re.compile(rb"\x1b\[[0-9;?>]+[Rcnty]")


def parse_consoles(active: str, cmdline: str) -> tuple[str, ...]:
    """Give the names of the consoles, the screen first.

    `active` is /sys/class/tty/console/active. All virtual terminals are the one screen.
    """
    named = re.findall(r"(?:^|\s)console=([^\s,]+)", cmdline)
    others = [name for name in (*active.split(), *named) if not re.fullmatch(r"tty\d*|null|ttynull", name)]
    return tuple(dict.fromkeys((SCREEN, *others)))


def is_key(data: bytes) -> bool:
    """Tell whether a person pressed a key.

    A terminal's answer to a query (cursor position, attributes) and the zero bytes of a line break or of a
    line that nobody drives are not.
    """
    return bool(_REPORT.sub(b"", data).strip(b"\x00"))


@dataclass(slots=True)
class Console:
    """An open console."""

    name: str
    descriptor: int
    settings: list[Any] | None
    """Its settings before us, to be restored; None when it is no terminal."""
    stalled: bool = False

    def write(self, text: str) -> None:
        """Write what the console takes. Never raises; what a stalled console does not take is lost."""
        data = text.encode(errors="replace")
        with contextlib.suppress(OSError):
            while data:
                wait = 0.0 if self.stalled else STALL_SECONDS
                self.stalled = not select.select([], [self.descriptor], [], wait)[1]
                if self.stalled:
                    return
                data = data[os.write(self.descriptor, data) :]

    def read(self) -> bytes | None:
        """Give what was typed; None when the console is gone."""
        try:
            return os.read(self.descriptor, 4096) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None

    def close(self) -> None:
        """Give the console back as it was."""
        if self.settings:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.descriptor, termios.TCSANOW, self.settings)
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


def open_console(name: str, dev: Path = Path("/dev")) -> Console | None:
    """Open a console for text and single keys; None when that fails.

    It does not become the controlling terminal, and no missing carrier blocks it.
    """
    try:
        descriptor = os.open(dev / name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        LOG.info("console %s cannot be opened: %s", name, error.strerror)
        return None
    try:
        settings = termios.tcgetattr(descriptor)
    except termios.error as error:
        # A serial port that is named on the command line but not built in.
        LOG.info("console %s is no terminal: %s", name, error)
        os.close(descriptor)
        return None
    console = Console(name, descriptor, settings)
    keys = [*settings[:6], list(settings[6])]
    keys[0] |= termios.IGNBRK | termios.IGNPAR
    keys[1] |= termios.OPOST | termios.ONLCR
    keys[2] |= termios.CLOCAL | termios.CREAD
    keys[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    # Ctrl-S is a key like any other, and each key is given at once.
    keys[6][termios.VSTART] = keys[6][termios.VSTOP] = b"\0"
    keys[6][termios.VMIN], keys[6][termios.VTIME] = 1, 0
    with contextlib.suppress(termios.error):
        termios.tcsetattr(descriptor, termios.TCSANOW, keys)
    return console


class Consoles:
    """All consoles together."""

    def __init__(self, consoles: Iterable[Console]) -> None:
        """Take the open consoles; there may be none."""
        self._consoles = list(consoles)

    @property
    def serial(self) -> list[str]:
        """Names of the consoles other than the screen."""
        return [console.name for console in self._consoles if console.name != SCREEN]

    def say(self, text: str) -> None:
        """Write `text` to every console."""
        for console in self._consoles:
            console.write(text)

    def countdown(self, seconds: int, text: str) -> bool:
        """Count down visibly; give whether a key on any console stopped it.

        `text` holds `{seconds}`. What was typed before does not count.
        """
        for console in self._consoles:
            with contextlib.suppress(termios.error):
                termios.tcflush(console.descriptor, termios.TCIFLUSH)
        listening = list(self._consoles)
        end = time.monotonic() + seconds
        for left in range(seconds, 0, -1):
            self.say("\r" + text.format(seconds=left) + "  ")
            if self._wait_key(listening, end - left + 1):
                self.say("\n")
                return True
        self.say("\n")
        return False

    def _wait_key(self, listening: list[Console], until: float) -> bool:
        while (rest := until - time.monotonic()) > 0:
            ready = select.select([console.descriptor for console in listening], [], [], rest)[0]
            if ready:
                time.sleep(SEQUENCE_SECONDS)
            for console in [console for console in listening if console.descriptor in ready]:
                data = console.read()
                if data is None:
                    listening.remove(console)
                elif is_key(data):
                    LOG.info("key pressed on %s", console.name)
                    return True
        return False

    def close(self) -> None:
        """Give all consoles back. Harmless when repeated."""
        while self._consoles:
            self._consoles.pop().close()


def open_consoles(names: Iterable[str]) -> Consoles:
    """Open the consoles that can be opened."""
    return Consoles(console for name in names if (console := open_console(name)))
