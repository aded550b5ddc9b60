"""The question whether a check may find what it finds; the answer file then says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from installer.tui.controller import Controller, Finding
from installer.tui.page import Dialog, Host, text_dialog
from installer.tui.widgets import Button

MARKS = {"blocking": "STOP", "warning": "warn", "ok": "ok"}


def allow_dialog(
    controller: Controller, host: Host, findings: Sequence[Finding], before: Callable[[], None] = lambda: None
) -> Dialog:
    """Give the question about findings that block. Yes: `before` is called, then they are allowed."""
    stopping = [finding for finding in findings if finding.severity == "blocking"]
    checks = list(dict.fromkeys(finding.check for finding in stopping))

    def allow() -> None:
        host.close()
        before()
        known = controller.draft.allow.split()
        controller.set("allow", " ".join([*known, *(check for check in checks if check not in known)]))

    lines = [
        f"{MARKS[finding.severity]}: {finding.device}: {finding.text}; {finding.todo}" for finding in stopping
    ]
    # First, so that all that is allowed is in sight, however long the advice is.
    text = "\n".join([f"Go on all the same, and have the answer file allow {', '.join(checks)}?", "", *lines])
    buttons = Button("Cancel", host.close), Button("I know: allow it", allow)
    return text_dialog(host, "This stops an installation", text, *buttons)
