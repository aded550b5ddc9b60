"""Things that are begun by a key and go on beside the screens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from hostlib.errors import CommandError, SlipwayError, UserError
from installer.tui.controller import Job, JobName

LOG = logging.getLogger("slipway.tui")
Spawn = Callable[[Callable[[], None]], None]


def in_thread(work: Callable[[], None]) -> None:
    """Do something beside the screens."""
    threading.Thread(target=work, daemon=True).start()


def render_bug(error: Exception) -> str:
    """Give a line about an error that nobody foresaw."""
    return f"a bug in the installer: {type(error).__name__}: {error}"


class Jobs:
    """How each job is going. One of a name runs at a time."""

    def __init__(self, changed: Callable[[], None], spawn: Spawn) -> None:
        """Take who is told of a change, and what does something beside the screens."""
        self._changed = changed
        self._spawn = spawn
        self._jobs: dict[JobName, Job] = {}

    def state(self, name: JobName) -> Job:
        """Give how something is going."""
        return self._jobs.get(name, Job())

    def begin(self, name: JobName, doing: str, work: Callable[[], str]) -> None:
        """Begin something; `work` gives what was done, or raises SlipwayError or OSError."""
        if self.state(name).state == "running":
            return

        def run() -> None:
            try:
                self._jobs[name] = Job("done", work())
            except UserError as error:
                problem = error.problems[0]
                self._jobs[name] = Job("failed", f"{problem.what}; {problem.todo}")
            except CommandError as error:
                last = error.output.splitlines()[-1:] or [error.reason]
                self._jobs[name] = Job("failed", f"{error.command}: {last[0]}")
            except (SlipwayError, OSError) as error:
                self._jobs[name] = Job("failed", str(error))
            except Exception as error:
                LOG.exception("%s has failed", name)
                self._jobs[name] = Job("failed", f"{render_bug(error)}; F3 shows the log")
            finally:
                self._changed()

        self._jobs[name] = Job("running", doing)
        self._changed()
        self._spawn(run)
