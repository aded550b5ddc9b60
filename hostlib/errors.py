"""The errors an administrator can meet, and the exit status each of them means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit status of every Slipway command; an unattended failure is never DONE."""

    DONE = 0
    BUG = 1
    BAD_INPUT = 2
    CHECK_BLOCKS = 3
    STEP_FAILED = 4


def printable(text: str) -> str:
    """Give text that cannot steer a terminal, in one line: devices and files may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what the administrator gave us.

    `where` names the place (a path in the answer file, a device), `what` says what is wrong with the
    measured value, `todo` what to do about it.
    """

    where: str
    what: str
    todo: str

    def __str__(self) -> str:
        """Give one line that cannot steer a terminal, whatever the input holds that it quotes."""
        return printable(f"{self.where}: {self.what}; {self.todo}")


class SlipwayError(Exception):
    """Base of all expected errors: shown as text, never as a traceback."""

    exit_status: ExitStatus = ExitStatus.BUG


class UserError(SlipwayError):
    """The input is wrong. Holds all problems that were found, not only the first."""

    exit_status = ExitStatus.BAD_INPUT

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        """Take one problem or several; at least one is needed."""
        found = (problems,) if isinstance(problems, Problem) else tuple(problems)
        if not found:
            message = "a UserError needs at least one problem"
            raise ValueError(message)
        self.problems: tuple[Problem, ...] = found
        super().__init__("\n".join(str(problem) for problem in found))


class CheckBlocksError(UserError):
    """A hardware check blocks the installation; nothing has been written."""

    exit_status = ExitStatus.CHECK_BLOCKS


class StepError(SlipwayError):
    """An installation or first-boot step failed after it had begun."""

    exit_status = ExitStatus.STEP_FAILED


class CommandError(StepError):
    """A program that we started failed, could not be started or ran out of time."""

    def __init__(self, command: str, reason: str, output: str) -> None:
        """Take the redacted command line, why it counts as failed, and what it printed."""
        self.command = command
        self.reason = reason
        self.output = output.strip()
        text = f"command failed: {command}\n  {reason}"
        if self.output:
            text += "\n  " + "\n  ".join(self.output.splitlines()[-20:])
        super().__init__(text)
