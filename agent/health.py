"""How a node is: what its heartbeat says of it, and what its screens show.

No large library is imported here: the status screens stay in memory for good, and take what the agent has kept.
`agent.health_read` finds it out.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from hostlib.errors import Problem, printable
from hostlib.files import read_if_there, write_atomic
from hostlib.paths import RUN

if TYPE_CHECKING:
    from agent.protocol import Heartbeat

Level = Literal["critical", "warning"]
KEPT: Final = RUN / "health.json"
"""What the agent has found out last: `render_health`."""
STALE: Final = timedelta(minutes=3)
"""The agent says how the node is every 30 s; slow programs may delay it."""
FULL_PERCENT, VERY_FULL_PERCENT = 80.0, 95.0
# Certificates of a cluster last 90 days and renew themselves at two thirds: with 30 days left. Some of that may pass
# while no member can be reached.
RENEWAL_LATE, RENEWAL_URGENT = timedelta(days=20), timedelta(days=7)
LINES: Final = 64
"""Of a heartbeat, with LINE_CHARACTERS each: so that its body stays below the limit of the protocol."""
LINE_CHARACTERS: Final = 240


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that an administrator should know."""

    level: Level
    where: str
    what: str
    todo: str

    def __str__(self) -> str:
        """Give it in one line."""
        return str(Problem(self.where, self.what, self.todo))


@dataclass(frozen=True, slots=True)
class Health:
    """How the node is at one moment."""

    time: int
    """Seconds since 1970."""
    troubles: tuple[Trouble, ...]
    """The worst first."""
    thin_pool_percent: float | None = None
    """Of the fullest thin pool; None without one."""
    certificate_expires: int | None = None
    """Of the node's certificate, seconds since 1970."""

    @property
    def state(self) -> Literal["ok", "warning", "critical"]:
        """The level of the worst trouble."""
        return self.troubles[0].level if self.troubles else "ok"


@dataclass(frozen=True, slots=True)
class ThinPool:
    """A thin pool and how full it is."""

    name: str
    """VG/LV."""
    data_percent: float | None
    """None while it is not active."""
    metadata_percent: float | None


@dataclass(frozen=True, slots=True)
class Array:
    """An md array of /proc/mdstat."""

    name: str
    active: bool
    """False, too, for the container of a firmware RAID; see `container`."""
    container: bool
    level: str
    failed: tuple[str, ...]
    """Members that md has thrown out."""
    missing: int
    """Number of places without a working member."""
    progress: str
    """`recovery = 12.6%`, or empty."""


def check_fill(where: str, what: str, percent: float | None, todo: str) -> list[Trouble]:
    """Judge how full something is, in per cent."""
    if percent is None or percent <= FULL_PERCENT:
        return []
    level: Level = "critical" if percent > VERY_FULL_PERCENT else "warning"
    limit = VERY_FULL_PERCENT if level == "critical" else FULL_PERCENT
    return [Trouble(level, where, f"{what} {percent:.1f} % full, over {limit:.0f} %", todo)]


def check_thin_pool(pool: ThinPool) -> list[Trouble]:
    """Judge a thin pool: guests get write errors once it is full."""
    where = f"thin pool {pool.name}"
    if pool.data_percent is None:
        return [
            Trouble("critical", where, "not active", f"activate it: lvchange -ay {pool.name}; look: lvs -a")
        ]
    grow = f"lvextend -L +10G {pool.name}"
    data = f"delete guests or snapshots, or grow it: {grow}"
    metadata = f"grow its metadata: lvextend --poolmetadatasize +256M {pool.name}"
    return check_fill(where, "is", pool.data_percent, data) + check_fill(
        where, "its metadata is", pool.metadata_percent, metadata
    )


def check_array(array: Array, state: str) -> list[Trouble]:
    """Judge an md array; `state` is its array_state of sysfs (Documentation/admin-guide/md.rst), empty if unknown."""
    where, look = f"/dev/{array.name}", f"look: mdadm --detail /dev/{array.name}"
    if array.container:
        return []
    if not array.active:
        return [
            Trouble("critical", where, "the array is not running", f"{look}; mdadm --run /dev/{array.name}")
        ]
    if state == "broken":
        return [
            Trouble(
                "critical",
                where,
                f"{array.level} is broken: a member is gone",
                f"{look}; restore from a backup",
            )
        ]
    if array.missing or array.failed:
        failed = f", failed: {', '.join(array.failed)}" if array.failed else ""
        if array.progress:
            what, todo = f"being rebuilt ({array.progress}{failed})", "wait until it is done"
            return [Trouble("warning", where, what, todo)]
        what = f"{array.level} is degraded: {array.missing} missing{failed}"
        # Without a missing place it is a spare that failed.
        level: Level = "critical" if array.missing else "warning"
        return [Trouble(level, where, what, f"replace the disk: mdadm {where} --add DISK; {look}")]
    return []


def check_units(names: Iterable[str]) -> list[Trouble]:
    """Judge the units that have failed."""
    return [
        Trouble("warning", name, "has failed", f"look: journalctl -u {name}; again: systemctl restart {name}")
        for name in names
    ]


def check_certificate(path: Path, expires: datetime, now: datetime) -> list[Trouble]:
    """Judge when a certificate ends."""
    left = expires - now
    if left > RENEWAL_LATE:
        return []
    day = f"{expires:%Y-%m-%d}"
    what = f"expires on {day}, in {left.days} days" if left > timedelta(0) else f"expired on {day}"
    todo = "it should have been renewed; look: slipway status, journalctl -u slipway-agent"
    return [Trouble("critical" if left <= RENEWAL_URGENT else "warning", str(path), what, todo)]


def sort_troubles(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """Put the worst first; what is equally bad stays in its order."""
    return tuple(sorted(troubles, key=lambda trouble: trouble.level != "critical"))


def make_heartbeat(health: Health, fqdn: str, release: str) -> Heartbeat:
    """Give what the node tells a member."""
    from agent.protocol import Heartbeat  # noqa: PLC0415 - see the module's text

    lines = [
        printable(f"{trouble.level}: {trouble}")[:LINE_CHARACTERS] for trouble in health.troubles[:LINES]
    ]
    if (more := len(health.troubles) - LINES) > 0:
        lines[-1] = f"and {more + 1} more"
    return Heartbeat(
        fqdn=fqdn,
        release=release,
        state=health.state,
        findings=tuple(lines),
        thin_pool_percent=health.thin_pool_percent,
        certificate_expires=health.certificate_expires,
    )


def render_health(health: Health) -> str:
    """Give the JSON text of what is kept."""
    return json.dumps(asdict(health)) + "\n"


def parse_health(text: str) -> Health:
    """Read what is kept. Raises ValueError, KeyError, TypeError."""
    values: dict[str, Any] = json.loads(text)
    return Health(**{**values, "troubles": tuple(Trouble(**row) for row in values["troubles"])})


def keep_health(health: Health, path: Path = KEPT) -> None:
    """Keep it for the status screens. Raises OSError."""
    write_atomic(path, render_health(health))


def read_kept_health(now: datetime, up_seconds: float, path: Path = KEPT) -> Health:
    """Give what the agent has kept; where that is missing or old, this is the trouble.

    `up_seconds` is how long the node has been on: at first the agent is not there yet.
    """
    with contextlib.suppress(ValueError, KeyError, TypeError):
        health = parse_health(read_if_there(path) or "")
        # Either way: it was kept in the future where a clock that was ahead has been set right.
        age = abs(now.timestamp() - health.time)
        if age < STALE.total_seconds():
            return health
    if up_seconds < STALE.total_seconds():
        return Health(int(now.timestamp()), ())
    return Health(
        int(now.timestamp()),
        (
            Trouble(
                "warning",
                "slipway-agent",
                "does not say how this node is",
                "look: journalctl -u slipway-agent; all findings: slipway status",
            ),
        ),
    )
