"""How it ended: the node is installed, or what failed and what can be done now."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.page import Item, Screen, Scroll
from installer.tui.screens.save import SaveAnswer, SaveLog
from installer.tui.widgets import Button, Line, Live, Markup

OF_CLUSTER = (
    " Once the node is in its cluster it shows another one, whose fingerprint is on the node's own console."
)


class Done(Screen):
    """The node is installed."""

    title = "Installed"
    first = True
    help = (
        "The node is installed. Remove the medium when the machine restarts, or it may start this installer once more. "
        "The first start takes a few minutes; then the web console answers at the address on this screen, user root. "
        "The browser does not know its certificate: look at it there, and go on when its SHA-256 fingerprint is the one "
        "on this screen or on the node's own console. Stay here stops the countdown."
    )

    def items(self) -> Sequence[Item]:
        """Give the address, the countdown, and what the installation has warned of."""
        return [
            Live(self._text),
            urwid.Divider(),
            Live(self._countdown),
            urwid.Divider(),
            (1, Scroll(lambda: [f"warning: {text}" for text in self.controller.progress().warnings])),
        ]

    def buttons(self) -> Sequence[Button]:
        """Give what can be done now."""
        return [
            Button("Restart now" if self._restarts else "Switch off now", self.controller.reboot),
            Button("Stay here", self.controller.stop_reboot),
            Button("Save answer file", self._save),
        ]

    def _save(self) -> None:
        # Whoever saves is there, and the machine must not go down while a stick is written to.
        self.controller.stop_reboot()
        self.host.open(SaveAnswer(self.controller, self.host))

    @property
    def _restarts(self) -> bool:
        return self.controller.draft.reboot_mode == "reboot"

    def _text(self) -> Markup:
        outcome = self.controller.outcome()
        seconds = self.controller.progress().elapsed_seconds
        return [
            ("good", f"{outcome.node} is installed, in {seconds // 60}:{seconds % 60:02d} minutes.\n\n"),
            "The first start takes a few minutes. Then the node is at\n\n",
            "  Web console  ",
            ("title", outcome.url),
            "  (user root)\n",
            ("title", "\n".join(outcome.certificate)),
            "\n\nGo on in the browser when the certificate that it shows has this fingerprint.",
            "" if self.controller.draft.cluster == "none" else OF_CLUSTER,
            "\n\n",
            "Remove the medium when the machine restarts, not before: this system runs from it.",
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
        "The text tells what failed and whether the disk has been written to. Try again leads back to what has been "
        "entered, and nothing is written before it is confirmed anew; another disk can be chosen there. Save log keeps the "
        "log on a stick or sends it to a URL. Log and Shell do what F3 and F2 do."
    )

    def items(self) -> Sequence[Item]:
        """Give the reason."""
        self._url = Line()
        return [
            urwid.Text(("error", "The node is not installed.")),
            urwid.Divider(),
            (1, Scroll(self._reason)),
            urwid.Text(("hint", "Try again keeps what has been entered; another disk can be chosen then.")),
        ]

    def buttons(self) -> Sequence[Button]:
        """Give what can be done now."""
        return [
            Button("Try again", self.controller.retry),
            Button("Save log", lambda: self.host.open(SaveLog(self.controller, self.host, self._url))),
            Button("Log", self.host.show_log),
            Button("Shell", self.host.show_shell),
        ]

    def _reason(self) -> list[str]:
        return self.controller.outcome().reason.splitlines()
