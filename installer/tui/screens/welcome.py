"""Welcome: what this machine is, and whether a node can be installed on it."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.controller import Finding
from installer.tui.page import Item, Screen, Scroll
from installer.tui.screens.allow import MARKS, allow_dialog
from installer.tui.widgets import Button, Live, Markup


class Welcome(Screen):
    """The first screen."""

    title = "Welcome"
    first = True
    help = (
        "This program installs a hypervisor node on this machine. First it looks at the machine: what is marked STOP "
        "must be mended before it can go on, or, where that is possible, be allowed: Next asks. What is marked warn should be known. Nothing is written to any disk "
        "before the last screen asks for it. After plugging in a cable or a disk, choose Read again."
    )

    _asked = False
    """Next was chosen before the machine was known."""

    def items(self) -> Sequence[Item]:
        """Give the facts, then the findings."""
        return [Live(self._facts), urwid.Divider(), (1, Scroll(self._lines)), Live(self._verdict)]

    def buttons(self) -> Sequence[Button]:
        """Give the way on, and a second look."""
        return [Button("Next", self.host.forward), Button("Read again", self.controller.rescan)]

    def complete(self) -> bool:
        """Stop at a machine that no node can be installed on."""
        machine = self.controller.machine()
        self._asked = machine is None
        if machine is None or not machine.blocked(self.controller.draft.allow):
            return machine is not None
        blocking = [finding for finding in machine.findings if finding.severity == "blocking"]
        if all(finding.check for finding in blocking):
            self.host.open(allow_dialog(self.controller, self.host, blocking))
        return False

    def _facts(self) -> Markup:
        machine = self.controller.machine()
        known = machine.facts if machine else ()
        rows = [f"{name:<11}{value}" for name, value in (*known, *self.controller.remote())]
        return "\n".join([*rows, *([] if machine else ["Reading this machine ..."])])

    def _lines(self) -> list[str]:
        machine = self.controller.machine()
        findings, allow = machine.findings if machine else (), self.controller.draft.allow
        return [line for finding in findings for line in render_finding(finding, allow)]

    def _verdict(self) -> Markup:
        machine = self.controller.machine()
        if machine is None:
            return ("warning", "This machine is still being read; wait a moment.") if self._asked else ""
        if machine.blocked(self.controller.draft.allow):
            return ("error", "Nothing can be installed on this machine as it is: see what is marked STOP.")
        return (
            "Nothing has been changed. The next screens ask what to install; nothing is written before Install is "
            "chosen on the last one."
        )


def render_finding(finding: Finding, allow: str) -> list[str]:
    """Give the lines of a finding: what it is, then what to do. `allow` is the field."""
    allowed = finding.severity == "blocking" and not finding.stops(allow)
    mark = MARKS["warning" if allowed else finding.severity]
    line = f"{mark:<5}{finding.device}: {finding.text}{' - allowed' if allowed else ''}"
    return [line, f"     {finding.todo}"] if finding.todo else [line]
