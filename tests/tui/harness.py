"""A console without a terminal: takes keys as a person types them, and gives the picture as text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
import urwid

from hostlib.inventory import Inventory, parse_inventory
from installer.tui.app import App, ScreenClass, make_flow
from installer.tui.demo import DemoController
from installer.tui.flow import Flow

SCREENS = Path(__file__).parent / "screens"
MACHINES = Path(__file__).parents[1] / "machines"
SIZES = [(80, 24), (132, 50)]
KEY_NAMES = {
    "shift-tab": "shift tab",
    "meta-tab": "meta tab",
    "page-down": "page down",
    "page-up": "page up",
    "ctrl-c": "ctrl c",
    "begin-paste": "begin paste",
    "end-paste": "end paste",
    "space": " ",
}

# Keys that lead to a screen, from the start on the machine nvme-server.
TO_DISK = "enter "
TO_LOCALE = TO_DISK + "enter enter "
"""With the first disk, which is empty."""
ENTER_LOCALE = "'aust' down enter tab tab tab enter "
ENTER_PASSWORD = "'long enough' tab 'long enough' tab 'ops@example.test' tab tab enter "
ENTER_NETWORK = "tab tab tab tab tab tab enter "
ENTER_CLUSTER = "tab tab enter "
TO_PASSWORD = TO_LOCALE + ENTER_LOCALE
TO_NETWORK = TO_PASSWORD + ENTER_PASSWORD
TO_CLUSTER = TO_NETWORK + ENTER_NETWORK
TO_SUMMARY = TO_CLUSTER + ENTER_CLUSTER
TO_SUMMARY_OF_FULL_DISK = (
    TO_DISK + "down down enter enter " + ENTER_LOCALE + ENTER_PASSWORD + ENTER_NETWORK + ENTER_CLUSTER
)


def machine(name: str) -> Inventory:
    return parse_inventory((MACHINES / f"{name}.json").read_text())


class Demo(DemoController):
    """The demonstration without its pauses. What takes time is done when a test says `work()`."""

    def __init__(self, inventory: Inventory, fail_at: str = "") -> None:
        self.waiting: list[Callable[[], None]] = []
        self.seconds = 1000.0
        self.switched = False
        super().__init__(
            inventory,
            fail_at=fail_at,
            spawn=self.waiting.append,
            clock=lambda: self.seconds,
            sleep=lambda _: None,
        )

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def show_shell(self) -> None:
        self.switched = True

    def _now(self) -> str:
        return "2026-01-02 03:04 UTC"


class Console:
    """One console on a controller; a second one takes the first's flow."""

    def __init__(
        self,
        controller: Any,
        size: tuple[int, int] = (80, 24),
        *,
        other: Console | None = None,
        ascii_only: bool = False,
    ) -> None:
        urwid.set_encoding("utf-8")
        self.controller = controller
        self.size = size
        self.left = False
        self.flow: Flow[ScreenClass] = other.flow if other else make_flow(controller, lambda: None)
        self.app = App(controller, self.flow, self._leave, ascii_only=ascii_only)

    def _leave(self) -> None:
        self.left = True

    def keys(self, script: str) -> Console:
        """Press keys: names as urwid has them, `'text in quotes'` letter by letter."""
        for quoted, name in re.findall(r"'([^']*)'|(\S+)", script):
            # A terminal draws between keys, but for those that come at once.
            self._canvas()
            for key in [KEY_NAMES.get(name, name)] if name else list(quoted):
                self.app.keypress(self.size, key)
        return self

    def work(self) -> Console:
        """Let what takes time be done, and look."""
        self.controller.work()
        self.app.refresh()
        return self

    @property
    def title(self) -> str:
        return self.app.screen.title

    @property
    def state(self) -> str:
        return str(self.controller.state.value)

    @property
    def text(self) -> str:
        return "\n".join(line.decode().rstrip() for line in self._canvas().text)

    @property
    def words(self) -> str:
        """The text without frames and line breaks."""
        return " ".join(self.text.replace("│", " ").split())

    @property
    def focus(self) -> str:
        """What stands out because it has the cursor."""
        runs = [run for line in self._canvas().content() for run in line]
        return " ".join(
            text.decode().strip() for attr, _, text in runs if attr in {"focus", "field focus"}
        ).strip()

    def _canvas(self) -> Any:
        return self.app.render(self.size, focus=True)


class Pictured(Protocol):
    """What a picture can be taken of."""

    size: tuple[int, int]

    @property
    def text(self) -> str: ...

    @property
    def focus(self) -> str: ...


def check_screens(console: Pictured, name: str, *, update: bool) -> None:
    """Compare the pictures of both sizes with the stored ones; `pytest --update-screens` stores them."""
    changes: list[str] = []
    for columns, rows in SIZES:
        console.size = (columns, rows)
        path = SCREENS / f"{name}-{columns}x{rows}.txt"
        got = f"{console.text}\n-- cursor: {console.focus}\n"
        if update:
            path.write_text(got)
        wanted = path.read_text() if path.exists() else ""
        lines = wanted.splitlines(), got.splitlines()
        changes += difflib.unified_diff(*lines, f"stored {path.name}", "shown", lineterm="")
    console.size = SIZES[0]
    if changes:
        pytest.fail("\n".join(["the picture has changed", *changes]), pytrace=False)
