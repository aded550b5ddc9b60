"""Country, time zone and keyboard."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.page import Item, Screen, Search
from installer.tui.widgets import Line, LineRow, Live, Pick

TITLES = {"country": "Country", "timezone": "Time zone", "keyboard": "Keyboard layout"}


class Locale(Screen):
    """Where the node is, and what the keyboard in front of it is like."""

    title = "Country, time zone, keyboard"
    fields = ("country", "timezone", "keyboard")
    help = (
        "Type the first letters of the country, or press Enter for the list. Time zone and keyboard follow from the country "
        "and can be changed. The keyboard layout is used on this machine's screen at once: try it on the last line before "
        "you type a password. On a serial console the layout of your own terminal counts."
    )

    def items(self) -> Sequence[Item]:
        """Give the three lists and a line to try the keyboard on."""
        picks = [Pick(self.controller, field, TITLES[field], self._open) for field in self.fields]
        spaced = [item for pick in picks for item in (pick, urwid.Divider())]
        job = Live(lambda: ("hint", self.controller.job("keyboard").text))
        return [*spaced, LineRow("Try the keyboard", Line()), job, (1, urwid.SolidFill(" "))]

    def _open(self, field: str, typed: str) -> None:
        choices = [(choice.key, choice.label) for choice in self.controller.choices(field)]

        chosen = str(getattr(self.controller.draft, field))

        def take(key: str) -> None:
            self.controller.set(field, key)
            self.page.step(1)

        self.host.open(Search(self.host, TITLES[field], choices, typed, take, chosen=chosen))
