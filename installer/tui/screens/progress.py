"""Progress: how far the installation is."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.controller import State
from installer.tui.page import Item, Screen, Scroll
from installer.tui.widgets import Button, Drawn, Live, Markup


class Progress(Screen):
    """Shown while the installation runs."""

    title = "Installing"
    first = True
    help = (
        "The installation runs; it takes a few minutes and needs nobody. F3 shows its log. If it fails, the next screen "
        "tells what failed and what has been written to the disk."
    )

    def items(self) -> Sequence[Item]:
        """Give the bar and what is being done."""
        return [
            Live(self._phase),
            urwid.Divider(),
            Drawn(self._bar),
            urwid.Divider(),
            Live(self._elapsed),
            urwid.Divider(),
            (1, Scroll(self._warnings, end=True)),
        ]

    def buttons(self) -> Sequence[Button]:
        """Give the log, for keyboards without F3. There is nothing to be done but to wait."""
        return [Button("Log", self.host.show_log)]

    def _phase(self) -> Markup:
        if self.controller.state is State.CONFIRMED:
            return "Looking at the machine a last time. Nothing has been written yet."
        return f"Now: {self.controller.progress().phase}"

    def _bar(self, columns: int) -> Markup:
        percent = self.controller.progress().percent
        width = columns - 7
        full = percent * width // 100
        glyphs = self.host.glyphs
        return [("good", glyphs.full * full), glyphs.empty * (width - full), f"  {percent:3d} %"]

    def _elapsed(self) -> Markup:
        seconds = self.controller.progress().elapsed_seconds
        return ("hint", f"Elapsed: {seconds // 60}:{seconds % 60:02d}")

    def _warnings(self) -> list[str]:
        return [f"warning: {text}" for text in self.controller.progress().warnings]
