"""Summary: everything that will be done, what is lost, and the last question."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.controller import Intent
from installer.tui.page import Item, Screen, Scroll, text_dialog
from installer.tui.screens.save import SaveAnswer
from installer.tui.scrolling import Size
from installer.tui.widgets import Button, Field, Live, Markup, Switch


class Summary(Screen):
    """The last screen before anything is written."""

    title = "Summary"
    next_label = "Install"
    help = (
        "Nothing has been written so far. Install erases the disk that is named here. When the disk is not empty, the last "
        "characters of its serial number, or what else no other disk has, must be typed first, so that the right one is "
        "erased: compare them with the label on the disk. Save answer file keeps what has been entered, without password and token, for further machines."
    )

    _seen: Intent | None = None
    """What the picture shows, and so what a person can agree to; `_intent` may not have been drawn yet."""

    def items(self) -> Sequence[Item]:
        """Give what will be done, and the question."""
        intent = self._intent = self.controller.intent()
        self._asks = _question(intent)
        self._typed = self.controller.draft.confirmation
        self._why = ""
        after = [("reboot", "restart"), ("power-off", "switch off")]
        confirm = [Field(self.controller, "confirmation", "To erase it, type", columns=8, hint=self._asks[1])]
        return [
            Live(self._rows),
            urwid.Divider(),
            Live(self._disk),
            (1, Scroll(self._also)),
            *(confirm if self._asks[0] else []),
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
        """Show the state; ask for the confirmation when it has come to be needed, or another."""
        intent, typed = self.controller.intent(), self.controller.draft.confirmation
        if (intent, typed) != (self._intent, self._typed):
            self._intent, self._typed, self._why = intent, typed, ""
            # Drawn anew even where it looks the same.
            self._invalidate()
        if _question(intent) != self._asks:
            self.make()
        super().refresh()

    def render(self, size: Size, focus: bool = False) -> urwid.Canvas:  # noqa: FBT001, FBT002 - urwid's signature
        """Give the picture, and remember what it shows."""
        self._seen = self._intent
        return super().render(size, focus)

    def complete(self) -> bool:
        """Begin the installation; an empty disk needs a yes instead of what is typed."""
        intent = self._seen
        if intent is None or intent.confirmation:
            self._start(intent)
            return False
        text = f"{intent.disk}\n\nThis disk is empty. Partition it and install {intent.rows[0][1]}?"
        buttons = Button("Cancel", self.host.close), Button("Install", lambda: self._confirmed(intent))
        self.host.open(text_dialog(self.host, "Install?", text, *buttons))
        return False

    def _confirmed(self, shown: Intent) -> None:
        self.host.close()
        self._start(shown)

    def _start(self, shown: Intent | None) -> None:
        why = self.controller.start_install(shown)
        # First what is so now, then why it was not begun: the one takes the other away.
        self.refresh()
        self._why = why
        if why:
            self.page.go_to("confirmation")

    def _rows(self) -> Markup:
        intent = self._intent
        if intent is None:
            return [("error", "It cannot be installed yet:\n"), "\n".join(self.controller.open_problems())]
        return "\n".join(f"{name:<14}{value}" for name, value in intent.rows)

    def _disk(self) -> Markup:
        intent = self._intent
        if intent is None:
            return ""
        lost = "It is empty."
        if intent.lost:
            lost = f"Everything on it will be lost: {'; '.join(intent.lost)}"
        return [("title", f"{intent.disk}\n"), ("error" if intent.lost else "default", lost)]

    def _also(self) -> list[str]:
        return [f"Note: {line}" for line in self._intent.also] if self._intent else []


def _question(intent: Intent | None) -> tuple[str, str]:
    return (intent.confirmation, intent.confirmation_hint) if intent else ("", "")
