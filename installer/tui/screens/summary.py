"""Summary: everything that will be done, what is lost, and the last question."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.controller import Intent
from installer.tui.page import Item, Screen, Scroll, text_dialog
from installer.tui.screens.save import SaveAnswer
from installer.tui.widgets import Button, Field, Live, Markup, Switch


class Summary(Screen):
    """The last screen before anything is written."""

    title = "Summary"
    next_label = "Install"
    help = (
        "Nothing has been written so far. Install erases the disk that is named here. When the disk is not empty, the last "
        "characters of its serial number must be typed first, so that the right one is erased: compare them with the label "
        "on the disk. Save answer file keeps what has been entered, without the password, for further machines."
    )

    def items(self) -> Sequence[Item]:
        """Give what will be done, and the question."""
        intent = self.controller.intent()
        self._asks = bool(intent and intent.confirmation)
        self._why = ""
        after = [("reboot", "restart"), ("power-off", "switch off")]
        confirm = [Field(self.controller, "confirmation", "To erase it, type", columns=8, hint=_hint(intent))]
        return [
            Live(self._rows),
            urwid.Divider(),
            Live(self._disk),
            (1, Scroll(self._also)),
            *(confirm if self._asks else []),
            Switch(self.controller, "reboot_mode", "Afterwards", after),
            Live(lambda: ("error", self._why)),
        ]

    def buttons(self) -> Sequence[Button]:
        """Give the way to keep all this besides the ways on and back."""
        return [
            *super().buttons(),
            Button("Save answer file", lambda: self.host.open(SaveAnswer(self.controller, self.host))),
        ]

    def make(self) -> None:
        """Begin where something is to be typed."""
        super().make()
        self.page.go_to("confirmation")

    def refresh(self) -> None:
        """Show the state; ask for the confirmation when it has come to be needed."""
        intent = self.controller.intent()
        if bool(intent and intent.confirmation) != self._asks:
            self.make()
        super().refresh()

    def complete(self) -> bool:
        """Begin the installation; an empty disk needs a yes instead of what is typed."""
        intent = self.controller.intent()
        if intent is None or intent.confirmation:
            self._start()
            return False
        text = f"{intent.disk}\n\nThis disk is empty. Partition it and install {intent.rows[0][1]}?"
        buttons = Button("Cancel", self.host.close), Button("Install", self._confirmed)
        self.host.open(text_dialog(self.host, "Install?", text, *buttons))
        return False

    def _confirmed(self) -> None:
        self.host.close()
        self._start()

    def _start(self) -> None:
        self._why = self.controller.start_install()
        if self._why and self._asks:
            self.page.go_to("confirmation")

    def _rows(self) -> Markup:
        intent = self.controller.intent()
        if intent is None:
            return [("error", "It cannot be installed yet:\n"), "\n".join(self.controller.open_problems())]
        return "\n".join(f"{name:<14}{value}" for name, value in intent.rows)

    def _disk(self) -> Markup:
        intent = self.controller.intent()
        if intent is None:
            return ""
        lost = "It is empty."
        if intent.lost:
            lost = f"Everything on it will be lost: {'; '.join(intent.lost)}"
        return [("title", f"{intent.disk}\n"), ("error" if intent.lost else "default", lost)]

    def _also(self) -> list[str]:
        intent = self.controller.intent()
        return [f"Note: {line}" for line in intent.also] if intent else []


def _hint(intent: Intent | None) -> str:
    return intent.confirmation_hint if intent else ""
