"""Shells on consoles that the screens leave for a while."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Final

from hostlib.errors import CommandError
from hostlib.run import Runner
from installer.tui.jobs import Spawn, in_thread

LOG = logging.getLogger("slipway.tui")
VISIT_SECONDS: Final = 7 * 24 * 3600
"""After this time a forgotten shell is ended, and the screens come back."""


class Shells:
    """Lends consoles to root shells, each run by systemd: they outlive the screens, and a bug in these."""

    def __init__(self, runner: Runner, lent: set[str], spawn: Spawn = in_thread) -> None:
        """Take the door for subprocesses, and what does something beside the screens.

        `lent` has the names of the consoles that have a shell now. Their shell stays when the screens end.
        """
        self._runner = runner
        self._spawn = spawn
        self._lent = lent

    def lend(self, name: str, give: Callable[[], None], back: Callable[[str], None]) -> None:
        """Begin a shell on a console; returns at once.

        `give` closes the console, `back` gets what went wrong, or nothing, when the shell has ended. Both are called
        in another thread.
        """
        self._spawn(lambda: self._visit(name, give, back))

    def _visit(self, name: str, give: Callable[[], None], back: Callable[[str], None]) -> None:
        give()
        self._lent.add(name)
        unit = f"slipway-visit@{name}.service"
        trouble = ""
        try:
            self._runner.run(["systemctl", "start", "--wait", unit], timeout_seconds=VISIT_SECONDS)
        except CommandError as error:
            LOG.warning("%s", error)
            trouble = f"There is no shell: {error.reason}. F3 shows the log, which tells more."
            with contextlib.suppress(CommandError):
                self._runner.run(["systemctl", "stop", unit])
        self._lent.discard(name)
        back(trouble)
