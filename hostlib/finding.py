"""What one check found out: apart from the checks, for those who only read what was found."""

from __future__ import annotations

from typing import Literal

from hostlib.errors import Problem
from hostlib.record import Record

Severity = Literal["ok", "warning", "blocking"]


class Finding(Record):
    """The outcome of one check for one device, or for several that are well in the same way."""

    id: str
    severity: Severity
    device: str
    measured: str
    text: str
    """What was found out, for a person."""
    todo: str = ""
    """What to do about it; empty when all is well."""
    allowed: bool = False
    """The answer's `checks.allow` names it: it does not stop an installation."""

    @property
    def problem(self) -> Problem:
        """The finding as a line on standard error."""
        return Problem(self.device, f"{self.text} ({self.measured})", self.todo)
