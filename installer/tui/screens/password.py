"""Root: password, e-mail, ssh key."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.draft import is_url
from installer.tui.page import Item, Screen
from installer.tui.scrolling import Size
from installer.tui.widgets import Button, Field, Live, Markup


class Password(Screen):
    """How the administrator gets in, and is reached."""

    title = "Password, e-mail, ssh key"
    fields = ("password", "password_again", "mailto", "ssh_keys")
    help = (
        "The password is root's, on the console and in the web console; at least 8 characters. Mail about this node goes to "
        "the address. With an ssh key, root comes in over ssh by key only, and the password does not work there. Paste the "
        "lines of .pub files, or type a URL such as https://example.test/me.keys and press Enter or choose Fetch key: what "
        "comes back is shown and can be changed."
    )

    def items(self) -> Sequence[Item]:
        """Give the fields."""
        return [
            Field(self.controller, "password", "Root's password", mask="*"),
            Field(self.controller, "password_again", "Once more", mask="*"),
            urwid.Divider(),
            Field(self.controller, "mailto", "E-mail"),
            urwid.Divider(),
            Field(self.controller, "ssh_keys", "SSH key or URL", lines=True),
            Live(self._about_keys),
            (1, urwid.SolidFill(" ")),
        ]

    def buttons(self) -> Sequence[Button]:
        """Give the fetching of keys besides the ways on and back."""
        return [*super().buttons(), Button("Fetch key", self._fetch)]

    def keypress(self, size: Size, key: str) -> str | None:
        """Fetch at once by Enter on a URL."""
        if key == "enter" and self.page.field == "ssh_keys" and is_url(self.controller.draft.ssh_keys):
            self._fetch()
            return None
        return super().keypress(size, key)

    def _fetch(self) -> None:
        self.controller.fetch_ssh_key(self.controller.draft.ssh_keys.strip())

    def _about_keys(self) -> Markup:
        job = self.controller.job("fetch-key")
        if job.state == "failed":
            return ("error", f"  {job.text}")
        empty = (
            ""
            if self.controller.draft.ssh_keys
            else "May be left empty: then root comes in over ssh by password."
        )
        return ("hint", f"  {job.text or empty}")
