"""What a first-boot task is, and what it works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hostlib.run import Runner
from hostlib.seed import NodeSeed, require_seed


@dataclass(frozen=True, slots=True)
class Page:
    """What the web console answered."""

    status: int
    """HTTP status."""
    certificate_pem: bytes
    """The certificate that it showed."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a task may touch: the door for subprocesses, the root it works below, the clock, the web console."""

    runner: Runner
    warn: Callable[[str], None]
    """Says something to the administrator that does not stop first boot."""
    read_page: Callable[[], Page]
    """Asks the web console of this machine. Raises OSError."""
    now: Callable[[], datetime]
    root: Path = field(default=Path("/"))
    failures: dict[str, str] = field(default_factory=dict)
    """Tasks that have failed so far in this run, and why. Filled by `execute.run_tasks`."""

    def path(self, absolute: Path | str) -> Path:
        """Give where `absolute` is below the root that tasks work on."""
        return self.root / Path(absolute).relative_to("/")

    @property
    def seed(self) -> NodeSeed:
        """What the installer said of this node. Raises UserError when the file is missing or damaged."""
        return require_seed(self.root)


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that first boot sees to. Running a task that is not needed is harmless."""

    name: str
    needed: Callable[[Context], bool]
    """Looks at the machine: does the effect lack? Asked before the task is run, and after."""
    run: Callable[[Context], None]
    """Brings the effect about. Raises SlipwayError or OSError."""
    early: bool = False
    """Runs before ssh and without network or seed."""
    after: tuple[str, ...] = ()
    """Tasks that it cannot do without; when one of them failed, it is not tried."""
