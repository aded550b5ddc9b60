"""A person in front of a machine: types keys and reads what a console shows."""

from __future__ import annotations

import re
import time
from typing import Final, Protocol

from tests.vm.lab.console import Console
from tests.vm.lab.errors import LabTimeout
from tests.vm.lab.machine import Vm

SEEN_SECONDS: Final = 60.0
"""Until a screen shows what a key leads to, on a slow and busy host."""
_LETTERS: Final = {
    " ": ("spc",),
    "-": ("minus",),
    "_": ("shift", "minus"),
    ".": ("dot",),
    ",": ("comma",),
    "/": ("slash",),
    ":": ("shift", "semicolon"),
    "@": ("shift", "2"),
    "+": ("shift", "equal"),
    "=": ("equal",),
}
_SEQUENCES: Final = {
    "enter": "\r",
    "tab": "\t",
    "shift-tab": "\x1b[Z",
    "space": " ",
    "ctrl-c": "\x03",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "backspace": "\x7f",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f10": "\x1b[21~",
}
_CURSOR: Final = "white"
"""Background of what has the cursor, as pyte calls it."""
_MOST_KEYS: Final = 20
_KEY_SECONDS: Final = 2.0
"""Until a key has moved the cursor, on a slow and busy host."""
_KEYS: Final = {"enter": "ret", "space": "spc", "shift-tab": "shift tab", "ctrl-c": "ctrl c"}


class Person(Protocol):
    """Whoever sits at a console. Keys are called as in `_SEQUENCES`; `'text in quotes'` is typed letter by letter."""

    def press(self, key: str) -> None:
        """Press one key."""

    def type(self, text: str) -> None:
        """Type letters."""

    def sees(self, pattern: str, seconds: float = SEEN_SECONDS) -> re.Match[str]:
        """Wait until the console shows something (`re.MULTILINE` over its lines). Raises LabTimeout, MachineDied."""


def enter_keys(person: Person, script: str) -> None:
    """Enter a script of keys: `tab tab 'node1.lab.test' enter`."""
    for quoted, name in re.findall(r"'([^']*)'|(\S+)", script):
        if name:
            person.press(name)
        else:
            person.type(quoted)


class TerminalPerson:
    """At the serial console or a terminal over ssh, which a terminal emulator with 80x24 characters shows."""

    def __init__(self, console: Console) -> None:
        """Take the console."""
        self._console = console

    def press(self, key: str) -> None:
        """Press one key."""
        self._console.send(_SEQUENCES[key])

    def type(self, text: str) -> None:
        """Type letters."""
        self._console.send(text)

    def sees(self, pattern: str, seconds: float = SEEN_SECONDS) -> re.Match[str]:
        """Wait until the console shows something."""
        return self._console.wait_screen(pattern, seconds)

    def go_to(self, text: str, key: str = "tab") -> None:
        """Press a key until something that holds a text has the cursor. Raises LabTimeout."""
        for _ in range(_MOST_KEYS):
            deadline = time.monotonic() + _KEY_SECONDS
            while time.monotonic() < deadline:
                if any(text in marked for marked in self._console.marked(_CURSOR)):
                    return
                time.sleep(0.05)
            self.press(key)
        raise LabTimeout(f"the cursor never came to {text!r} on\n" + "\n".join(self._console.screen))


class ScreenPerson:
    """At the machine's own keyboard and screen. The guest program `watch_screen` tells what the screen shows."""

    def __init__(self, vm: Vm) -> None:
        """Take the machine, whose keyboard has the layout of the United States."""
        self._vm = vm
        self._shown = ""

    def press(self, key: str) -> None:
        """Press one key."""
        self._vm.qmp.send_keys(*_KEYS.get(key, key).split())

    def type(self, text: str) -> None:
        """Type letters, on the keys that have them in the United States."""
        for letter in text:
            shift = ("shift",) if letter.isupper() else ()
            self._vm.qmp.send_keys(*_LETTERS.get(letter, (*shift, letter.lower())))

    def sees(self, pattern: str, seconds: float = SEEN_SECONDS) -> re.Match[str]:
        """Wait until the screen shows something."""
        compiled = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + seconds
        while (match := compiled.search(self._shown)) is None:
            try:
                message = self._vm.report.wait("screen", deadline - time.monotonic())
            except LabTimeout as error:
                raise LabTimeout(
                    f"the screen never showed {pattern!r}\n{error}\nit shows:\n{self._shown}"
                ) from error
            self._shown = str(message["text"])
        return match
