"""Dialogs that save a file to a stick: the answer file, the log. The log can be sent to a URL too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import urwid

from installer.tui.controller import Controller, JobName
from installer.tui.page import Dialog, Host, Item, Page, Scroll
from installer.tui.widgets import Button, Line, LineRow, Live, Markup, button_row


class SaveDialog(Dialog):
    """A stick to choose, and how the saving is going."""

    name: ClassVar[str]
    text: ClassVar[str]
    job: ClassVar[JobName]

    def __init__(self, controller: Controller, host: Host) -> None:
        """Take the controller, and the console that shows the dialog."""
        self.controller = controller
        self._targets = controller.targets()
        super().__init__(host, self.name, self._items(host), columns=74, lines=18)

    def _items(self, host: Host) -> list[Item]:
        sticks = [
            button_row(Button(target.label, partial(self.save, target.key))) for target in self._targets
        ] or [urwid.Text(("hint", "There is no stick. Plug one in and choose Look again."))]
        buttons = [
            Button("Close", host.close),
            Button("Look again", self.controller.rescan),
            *self.more_buttons(host),
        ]
        return [
            urwid.Text(self.text),
            urwid.Divider(),
            *sticks,
            urwid.Divider(),
            *self.other_ways(),
            Live(self._state),
            (1, urwid.SolidFill(" ")),
            button_row(*buttons),
        ]

    def refresh(self) -> None:
        """Show the sticks that are there now."""
        targets = self.controller.targets()
        if targets != self._targets:
            self._targets = targets
            field = self.page.field
            self.page = Page(self._items(self.host))
            self.page.go_to(field)
            self._w = self.page
        super().refresh()

    def save(self, target: str) -> None:
        """Begin to save to a stick."""
        raise NotImplementedError

    def other_ways(self) -> Sequence[Item]:
        """Give what stands between the sticks and the state."""
        return []

    def more_buttons(self, host: Host) -> Sequence[Button]:
        """Give more buttons beside Close."""
        del host
        return []

    def _state(self) -> Markup:
        now = self.controller.job(self.job)
        return ("error" if now.state == "failed" else "good", now.text)


class SaveAnswer(SaveDialog):
    """Saves the answer file, or shows it."""

    name = "Save answer file"
    text = (
        "The answer file installs the same without typing: a machine that finds answer.toml on a stick labelled SLIPWAY "
        "asks nothing. The password is kept as a hash only, a token for a cluster not at all."
    )
    job = "save-answer"

    def save(self, target: str) -> None:
        """Begin to save to a stick."""
        self.controller.save_answer(target)

    def more_buttons(self, host: Host) -> Sequence[Button]:
        """Show it on the screen."""
        lines = Scroll(lambda: self.controller.answer_text().splitlines())
        items = [(1, lines), urwid.Divider(), button_row(Button("Close", host.close))]
        shown = Dialog(host, "answer.toml", items, columns=120, lines=40)
        return [Button("Show it", lambda: host.open(shown))]


class SaveLog(SaveDialog):
    """Saves the log, or sends it to a URL."""

    name = "Save log"
    text = "The log holds no password. It goes to a file on the stick, or is sent by POST."
    job = "save-log"

    def __init__(self, controller: Controller, host: Host, line: Line) -> None:
        """Take the line for the URL, too: what has been typed outlives the dialog."""
        self._line = line
        super().__init__(controller, host)

    def save(self, target: str) -> None:
        """Begin to save to a stick."""
        self.controller.save_log(target)

    def other_ways(self) -> Sequence[Item]:
        """Give the line for a URL."""
        row = LineRow("Or to a URL", self._line, self._send, "url")
        return [row, button_row(Button("Send", self._send)), urwid.Divider()]

    def _send(self) -> None:
        self.controller.save_log(self._line.edit_text.strip())
