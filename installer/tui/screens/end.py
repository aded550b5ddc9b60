"""How it ended: the node is installed, or what failed and what can be done now."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.page import Item, Screen, Scroll
from installer.tui.screens.save import SaveAnswer, SaveLog
from installer.tui.widgets import Button, Live, Markup


class Done(Screen):
    """The node is installed."""

    title = "Installed"
    first = True
    help = (
        "The node is installed. Remove the medium when the machine restarts, or it may start this installer once more. "
        "The first start takes a few minutes; then the web console answers at the address on this screen, user root. "
        "Stay here stops the countdown."
    )

    def items(self) -> Sequence[Item]:
        """Give the address and the countdown."""
        return [Live(self._text), urwid.Divider(), Live(self._countdown), (1, urwid.SolidFill(" "))]

    def buttons(self) -> Sequence[Button]:
        """Give what can be done now."""
        return [
            Button("Restart now" if self._restarts else "Switch off now", self.controller.reboot),
            Button("Stay here", self.controller.stop_reboot),
            Button("Save answer file", lambda: self.host.open(SaveAnswer(self.controller, self.host))),
        ]

    @property
    def _restarts(self) -> bool:
        return self.controller.draft.reboot_mode == "reboot"

    def _text(self) -> Markup:
        outcome = self.controller.outcome()
        seconds = self.controller.progress().elapsed_seconds
        return [
            ("good", f"{outcome.node} is installed, in {seconds // 60}:{seconds % 60:02d} minutes.\n\n"),
            "Remove the medium when the machine restarts, not before: this system runs from it.\n\n",
            "The first start takes a few minutes. Then the node is at\n\n    ",
            ("title", outcome.url),
            "\n\nLog in as root with the password that you have chosen.",
        ]

    def _countdown(self) -> Markup:
        job = self.controller.job("reboot")
        if job.text:
            return ("error" if job.state == "failed" else "title", job.text)
        seconds = self.controller.reboot_seconds()
        if seconds is None:
            return "The machine waits for you."
        return f"The machine {'restarts' if self._restarts else 'is switched off'} in {seconds} s."


class Failure(Screen):
    """The installation has failed."""

    title = "The installation has failed"
    first = True
    help = (
        "The text tells what failed and whether the disk has been written to. F3 shows the log, F2 tells how to get a shell. "
        "Save log keeps the log on a stick or sends it to a URL. Try again leads back to the summary with all that has "
        "been entered, from where another disk can be chosen too."
    )

    def items(self) -> Sequence[Item]:
        """Give the reason."""
        return [
            urwid.Text(("error", "The node is not installed.")),
            urwid.Divider(),
            (1, Scroll(self._reason)),
            urwid.Text(("hint", "F3 shows the log, F2 tells how to get a shell.")),
        ]

    def buttons(self) -> Sequence[Button]:
        """Give what can be done now."""
        return [
            Button("Try again", self.controller.retry),
            Button("Save log", lambda: self.host.open(SaveLog(self.controller, self.host))),
        ]

    def _reason(self) -> list[str]:
        return self.controller.outcome().reason.splitlines()
