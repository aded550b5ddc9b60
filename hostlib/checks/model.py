"""The form of the table of checks: a row, what it reads, and the finding that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from hostlib.finding import Finding, Severity
from hostlib.inventory import Controller, Disk, Inventory

Purpose = Literal["system", "ceph", "zfs"]
Subject = Literal["machine", "controller", "disk", "target"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a check measured on one device, and whether that is what it wants."""

    device: str
    measured: str
    good: bool
    advice: str = ""
    """What to do on this very device; it follows the row's `todo`."""


class Severities(NamedTuple):
    """How bad a reading that is not good is, for each purpose. `ok`: the check is not made for that purpose."""

    system: Severity = "ok"
    ceph: Severity = "ok"
    zfs: Severity = "ok"

    def of(self, purpose: Purpose) -> Severity:
        """Give the severity for a purpose."""
        severities: dict[Purpose, Severity] = {"system": self.system, "ceph": self.ceph, "zfs": self.zfs}
        return severities[purpose]


WARN_ALWAYS = Severities("warning", "warning", "warning")
BLOCK_ALWAYS = Severities("blocking", "blocking", "blocking")
WARN_DATA = Severities("ok", "warning", "warning")
BLOCK_DATA = Severities("ok", "blocking", "blocking")
BLOCK_DATA_WARN_SYSTEM = Severities("warning", "blocking", "blocking")
WARN_SYSTEM = Severities("warning")
BLOCK_SYSTEM = Severities("blocking")

Read = Callable[[Inventory, Sequence[Disk]], Iterable[Reading]]


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table. `read` gets the machine and the disks that it is about; no reading: it does not apply."""

    id: str
    subject: Subject
    severities: Severities
    good: str
    """Empty where `read` tells only what is wrong."""
    bad: str
    todo: str
    read: Read


def each_disk(read: Callable[[Inventory, Disk], Iterable[Reading]]) -> Read:
    """Make a check's `read` of one that reads a single disk."""

    def read_all(inventory: Inventory, disks: Sequence[Disk]) -> Iterator[Reading]:
        for disk in disks:
            yield from read(inventory, disk)

    return read_all


def each_controller(read: Callable[[Inventory, Controller], Iterable[Reading]]) -> Read:
    """Make a check's `read` of one that reads a single controller."""

    def read_all(inventory: Inventory, _: Sequence[Disk]) -> Iterator[Reading]:
        for controller in inventory.controllers:
            yield from read(inventory, controller)

    return read_all


def find(check: Check, purpose: Purpose, inventory: Inventory, disks: Sequence[Disk]) -> list[Finding]:
    """Make a check: a finding for each reading that is not good, then one for all the good ones together."""
    severity = check.severities.of(purpose)
    if severity == "ok":
        return []
    readings = list(check.read(inventory, disks))
    good = [reading for reading in readings if reading.good]
    found = [
        Finding(
            id=check.id,
            severity=severity,
            device=reading.device,
            measured=reading.measured,
            text=check.bad,
            todo=f"{check.todo}; {reading.advice}" if reading.advice else check.todo,
        )
        for reading in readings
        if not reading.good
    ]
    return [*found, *([_together(check, good)] if good else [])]


def _together(check: Check, good: Sequence[Reading]) -> Finding:
    devices = list(dict.fromkeys(reading.device for reading in good))
    device = devices[0] if len(devices) == 1 else f"each of {len(devices)} {_PLURALS[check.subject]}"
    measured = list(dict.fromkeys(reading.measured for reading in good))
    more = f"; {len(measured) - 2} more" if len(measured) > 3 else ""
    shown = "; ".join(measured[:2] if more else measured)
    return Finding(id=check.id, severity="ok", device=device, measured=f"{shown}{more}", text=check.good)


_PLURALS: dict[Subject, str] = {
    "machine": "devices",
    "controller": "controllers",
    "disk": "disks",
    "target": "disks",
}
