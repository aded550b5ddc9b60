"""What a step is, and what it works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hostlib.inventory import Inventory
from hostlib.paths import TARGET
from hostlib.run import Runner

Progress = Callable[[float], None]
"""Takes how much of the step is done, 0.0 to 1.0."""


def part(progress: Progress, start: float, share: float) -> Progress:
    """Give the progress of a part of a step that begins at `start` and makes up `share` of it."""
    return lambda done: progress(start + share * done)


@dataclass(frozen=True, slots=True)
class Context:
    """What a step may touch: the door for subprocesses and the roots it writes below."""

    runner: Runner
    warn: Callable[[str], None]
    """Says something to the administrator that does not stop the installation."""
    tell_fingerprint: Callable[[str], None] = field(default=lambda _: None)
    """Takes the SHA-256 fingerprint of the certificate that the node's web console will show."""
    target: Path = TARGET
    """Mount point of the new root."""
    dev: Path = field(default=Path("/dev"))
    sysfs: Path = field(default=Path("/sys"))
    proc: Path = field(default=Path("/proc"))
    install_id: str = ""
    """UUID of this installation; the same in its events and on the node."""
    answer: str = ""
    """The answer as JSON without its secrets, to be kept on the node."""
    inventory: Inventory | None = None
    """The machine as it was before anything was written."""
    failed_disks: frozenset[str] = frozenset()
    """Disks, by their paths, that an installation has failed on since the machine was started."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """What must not be in the records on the node."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A part of a plan that can be printed: a command line, or a file with its text."""

    command: tuple[str, ...] = ()
    path: str = ""
    content: str = ""


class Step(Protocol):
    """One step of a plan: a frozen dataclass built by `plan.plan_install`."""

    @property
    def name(self) -> str:
        """A word or two in the field's terms: `partition`, `thin pool`."""

    @property
    def weight(self) -> int:
        """Share of the whole installation's time, for the progress bar."""

    @property
    def writes(self) -> bool:
        """Whether it changes the disk: until the first such step, a failure leaves the disk as it was."""

    def describe(self) -> list[Preview]:
        """Give the commands and files of this step, without secrets. No effects."""

    def run(self, context: Context, progress: Progress) -> None:
        """Do it. Raises StepError (CommandError among them) or OSError."""
