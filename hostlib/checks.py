"""What a machine and a target disk must be like. Pure: reads an Inventory, touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hostlib.errors import Problem
from hostlib.inventory import Disk, Inventory, Record
from hostlib.sizes import GIB, render_size

Severity = Literal["ok", "warning", "blocking"]

MINIMUM_TARGET_BYTES: Final = 8 * GIB
_MINIMUM_MEMORY_BYTES: Final = 1 * GIB
_ENOUGH_MEMORY_BYTES: Final = 2 * GIB
_4KN_BYTES: Final = 4096


class Finding(Record):
    """The outcome of one check for one device."""

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


@dataclass(frozen=True, slots=True)
class Reading:
    """What a check measured on one device, and whether that is what it wants."""

    device: str
    measured: str
    good: bool


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    severity: Severity
    """Of a reading that is not good."""
    good: str
    bad: str
    todo: str


@dataclass(frozen=True, slots=True)
class Check(_Row):
    """A row of the table of checks of the whole machine. No reading: the check does not apply."""

    read: Callable[[Inventory], Iterable[Reading]]


@dataclass(frozen=True, slots=True)
class TargetCheck(_Row):
    """A row of the table of checks of the disk that will be erased."""

    read: Callable[[Inventory, Disk], Iterable[Reading]]


def _nominal(total_bytes: int) -> int:
    """Give the memory that is built in, about: firmware and kernel keep up to an eighth of a small machine's."""
    return total_bytes * 8 // 7


def _memory(inventory: Inventory) -> list[Reading]:
    good = _nominal(inventory.memory_bytes) >= _MINIMUM_MEMORY_BYTES
    return [Reading("memory", f"{render_size(inventory.memory_bytes)} usable", good)]


def _memory_for_guests(inventory: Inventory) -> list[Reading]:
    if _nominal(inventory.memory_bytes) < _MINIMUM_MEMORY_BYTES:
        return []
    good = _nominal(inventory.memory_bytes) >= _ENOUGH_MEMORY_BYTES
    return [Reading("memory", f"{render_size(inventory.memory_bytes)} usable", good)]


def _virtualisation(inventory: Inventory) -> list[Reading]:
    flag = inventory.cpu.virtualisation
    return [Reading("processor", f"flag {flag}" if flag else "no flag vmx or svm", bool(flag))]


def _disks(inventory: Inventory) -> list[Reading]:
    count = sum(not disk.boot_medium for disk in inventory.disks)
    return [Reading("disks", f"{count} besides the boot medium", count > 0)]


def _nics(inventory: Inventory) -> list[Reading]:
    names = [nic.name for nic in inventory.nics if nic.physical]
    return [Reading("network", ", ".join(names) or "no physical interface", bool(names))]


def _link(inventory: Inventory) -> list[Reading]:
    nics = [nic for nic in inventory.nics if nic.physical]
    linked = [nic.name for nic in nics if nic.link]
    if not nics:
        return []
    measured = f"link on {', '.join(linked)}" if linked else f"no link on {', '.join(n.name for n in nics)}"
    return [Reading("network", measured, bool(linked))]


MACHINE_CHECKS: Final = (
    Check(
        "memory-minimum",
        "blocking",
        "enough memory to install",
        "less than 1 GiB of memory",
        "give the machine at least 1 GiB, better 2 GiB or more",
        _memory,
    ),
    Check(
        "memory-guests",
        "warning",
        "enough memory for a node",
        "less than 2 GiB of memory leaves next to nothing for guests",
        "give the machine at least 2 GiB",
        _memory_for_guests,
    ),
    Check(
        "virtualisation",
        "warning",
        "hardware virtualisation is on",
        "the processor offers no hardware virtualisation: virtual machines will not start or crawl",
        "turn on Intel VT-x or AMD-V (SVM) in the firmware setup; containers work without",
        _virtualisation,
    ),
    Check(
        "disk-present",
        "blocking",
        "there is a disk to install on",
        "there is no disk to install on",
        "check cables and controller; a RAID controller may need a volume to be made first",
        _disks,
    ),
    Check(
        "nic-present",
        "blocking",
        "there is a network interface",
        "there is no network interface with a MAC address",
        "add a network card, or one that Debian 13 has a driver and firmware for",
        _nics,
    ),
    Check(
        "nic-link",
        "warning",
        "there is a network link",
        "no network interface has a link",
        "check the cable and the port of the switch",
        _link,
    ),
)


def _target_size(_: Inventory, disk: Disk) -> list[Reading]:
    measured = f"{render_size(disk.size_bytes)}, {disk.size_bytes} bytes"
    return [Reading(disk.stable_path, measured, disk.size_bytes >= MINIMUM_TARGET_BYTES)]


def _target_medium(_: Inventory, disk: Disk) -> list[Reading]:
    measured = "the live system runs from it" if disk.boot_medium else "the live system does not run from it"
    return [Reading(disk.stable_path, measured, not disk.boot_medium)]


def _target_use(_: Inventory, disk: Disk) -> list[Reading]:
    if disk.boot_medium:
        return []
    uses = [f"{c.device} on {', '.join(c.mountpoints)}" for c in disk.contents if c.mountpoints]
    return [Reading(disk.stable_path, "; ".join(uses) or "nothing mounted", not uses)]


def _target_writable(_: Inventory, disk: Disk) -> list[Reading]:
    measured = "read-only" if disk.read_only else "writable"
    return [Reading(disk.stable_path, measured, not disk.read_only)]


def _target_4kn(inventory: Inventory, disk: Disk) -> list[Reading]:
    firmware = inventory.firmware.mode
    good = not (firmware == "bios" and disk.logical_sector_bytes == _4KN_BYTES)
    measured = f"sectors of {disk.logical_sector_bytes} bytes, started by {firmware.upper()}"
    return [Reading(disk.stable_path, measured, good)]


def _target_fixed(_: Inventory, disk: Disk) -> list[Reading]:
    measured = f"bus {disk.bus or 'unknown'}{', removable' if disk.removable else ''}"
    return [Reading(disk.stable_path, measured, not disk.removable and disk.bus != "usb")]


def _target_once(inventory: Inventory, disk: Disk) -> list[Reading]:
    """Two paths to one LUN share WWN, or model, serial and size; LVM refuses such a PV on the node."""
    identity = (disk.model, disk.serial, disk.size_bytes)
    twins = [
        other.name
        for other in inventory.disks
        if other.name != disk.name
        and (
            (disk.wwn and other.wwn == disk.wwn)
            or (disk.serial and (other.model, other.serial, other.size_bytes) == identity)
        )
    ]
    measured = f"seen as {' and '.join([disk.name, *twins])}" if twins else f"seen once, as {disk.name}"
    return [Reading(disk.stable_path, measured, not twins)]


TARGET_CHECKS: Final = (
    TargetCheck(
        "target-medium",
        "blocking",
        "is not the boot medium",
        "is the medium that this system was started from",
        "choose another disk",
        _target_medium,
    ),
    TargetCheck(
        "target-in-use",
        "blocking",
        "is not in use",
        "is in use",
        "unmount it (umount, swapoff) or choose another disk",
        _target_use,
    ),
    TargetCheck(
        "target-seen-twice",
        "blocking",
        "is one disk by one path",
        "is seen more than once, by two paths or as a copy",
        "leave one path connected during installation, or choose a local disk",
        _target_once,
    ),
    TargetCheck(
        "target-size",
        "blocking",
        "is large enough",
        "is smaller than 8 GiB",
        "choose a disk of at least 8 GiB, better 32 GiB or more",
        _target_size,
    ),
    TargetCheck(
        "target-read-only",
        "blocking",
        "can be written to",
        "is read-only",
        "remove its write protection or choose another disk",
        _target_writable,
    ),
    TargetCheck(
        "target-4kn-bios",
        "blocking",
        "has a sector size that the firmware boots from",
        "has sectors of 4096 bytes, which no BIOS boots from",
        "start the machine by UEFI or choose a disk with sectors of 512 bytes",
        _target_4kn,
    ),
    TargetCheck(
        "target-removable",
        "warning",
        "is a fixed disk",
        "is removable or attached by USB: a node's system disk should be neither",
        "choose a fixed disk unless this is meant",
        _target_fixed,
    ),
)


CHECK_IDS: Final = frozenset(row.id for row in (*MACHINE_CHECKS, *TARGET_CHECKS))
NEVER_ALLOWED: Final = frozenset(
    {"target-medium", "target-in-use", "target-size", "target-read-only", "disk-present", "nic-present"}
)
"""What `checks.allow` must not name: no installation is possible with it."""


def run_checks(inventory: Inventory) -> list[Finding]:
    """Check the machine as a whole: one finding for each reading, those that are well too."""
    return [_finding(row, reading) for row in MACHINE_CHECKS for reading in row.read(inventory)]


def check_target(inventory: Inventory, disk: Disk) -> list[Finding]:
    """Check a disk of the machine as the one that will be erased."""
    return [_finding(row, reading) for row in TARGET_CHECKS for reading in row.read(inventory, disk)]


def _finding(row: _Row, reading: Reading) -> Finding:
    return Finding(
        id=row.id,
        severity="ok" if reading.good else row.severity,
        device=reading.device,
        measured=reading.measured,
        text=row.good if reading.good else row.bad,
        todo="" if reading.good else row.todo,
    )


def blocking_problems(findings: Iterable[Finding]) -> tuple[Problem, ...]:
    """Give what must stop an installation, for a CheckBlocksError: what blocks and is not allowed."""
    return tuple(
        finding.problem for finding in findings if finding.severity == "blocking" and not finding.allowed
    )


def allow_findings(findings: Iterable[Finding], ids: Iterable[str]) -> list[Finding]:
    """Mark the findings whose check is one of `ids` as allowed, those that are well excepted."""
    allowed = frozenset(ids)
    return [
        finding.model_copy(update={"allowed": True})
        if finding.id in allowed and finding.severity != "ok"
        else finding
        for finding in findings
    ]


_MARKS: Final[dict[Severity, str]] = {"blocking": "BLOCKING", "warning": "warning", "ok": "ok"}


def render_findings(findings: Sequence[Finding]) -> str:
    """Give the findings as a table, the worst first, each with what to do on the next line."""
    lines: list[str] = []
    width = max((len(finding.id) for finding in findings), default=0)
    order = list(_MARKS)
    for finding in sorted(findings, key=lambda finding: order.index(finding.severity)):
        head = f"{_MARKS[finding.severity]:<8}  {finding.id:<{width}}  "
        lines.append(f"{head}{finding.device}: {finding.text} ({finding.measured})")
        if finding.todo:
            lines.append(f"{'':{len(head)}}-> {finding.todo}")
    return "".join(f"{line}\n" for line in lines)
