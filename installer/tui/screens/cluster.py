"""The cluster: a new one, one to join, or none."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters, digits

import urwid

from installer.tui.page import Item, Screen
from installer.tui.widgets import Field, Live, Markup, Switch

LETTERS = f"{ascii_letters}{digits}._-"
"""Of the line: blanks and line breaks of a terminal that broke it are left out."""
TELLS = {
    "bootstrap": "The node makes a cluster of itself alone, which others can join later. It is called slipway where no name is given.",
    "join": "A member of the cluster takes the node in, after its first start. `slipway token create` on a member prints a "
    "line that begins with slipway1.; paste it.",
    "none": "The node stays alone.",
}


class Cluster(Screen):
    """Which cluster the node belongs to."""

    title = "Cluster"
    fields = ("cluster", "cluster_name", "token")
    help = (
        "The first node makes a new cluster; its name is for people, and slipway where none is given. Every further node joins: run "
        "`slipway token create` on a member and paste all of the line that it prints. The line holds the addresses of members, "
        "the cluster's fingerprint and a secret token, which is not shown here, kept in no log and not in the saved answer "
        "file. The members need not be reached now: the node asks them after its first start, for as long as it takes."
    )

    def items(self) -> Sequence[Item]:
        """Give the choice and what belongs to it."""
        modes = [("bootstrap", "new"), ("join", "join one"), ("none", "none")]
        self._mode = self.controller.draft.cluster
        own = {
            "bootstrap": [Field(self.controller, "cluster_name", "Name")],
            "join": [Field(self.controller, "token", "Line to join by", mask="*", allowed=LETTERS)],
        }
        return [
            Switch(self.controller, "cluster", "Cluster", modes),
            urwid.Divider(),
            Live(self._tell),
            urwid.Divider(),
            *own.get(self._mode, []),
            (1, urwid.SolidFill(" ")),
        ]

    def refresh(self) -> None:
        """Show the state; the field that belongs to another choice, when that has been made."""
        if self.controller.draft.cluster != self._mode:
            field = self.page.field
            self.make()
            self.page.go_to(field)
        super().refresh()

    def _tell(self) -> Markup:
        return ("hint", TELLS[self.controller.draft.cluster])
