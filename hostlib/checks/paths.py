"""Whether two disks are two paths to one: read by the rows of disks and of the target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hostlib.checks.model import Reading
from hostlib.inventory import Disk, Inventory


def once(inventory: Inventory, disk: Disk) -> list[Reading]:
    """Two paths to one LUN share WWN, or model, serial and size; LVM refuses such a PV on the node."""
    twins = [_place(other) for other in inventory.disks if other.name != disk.name and _twins(disk, other)]
    if disk.kind == "multipath-path" and not twins:
        return [Reading(disk.stable_path, f"{_place(disk)} is a path of several", good=False)]
    measured = f"seen as {' and '.join([_place(disk), *twins])}" if twins else "seen once"
    return [Reading(disk.stable_path, measured, not twins)]


def all_once(inventory: Inventory, disks: Sequence[Disk]) -> Iterator[Reading]:
    """Tell once of a disk that has many paths."""
    for number, disk in enumerate(disks):
        if not any(_twins(disk, other) for other in disks[:number]):
            yield from once(inventory, disk)


def _place(disk: Disk) -> str:
    """Give where a disk is plugged in: the paths to one disk share all its other names."""
    return disk.paths[0] if disk.paths else disk.name


def _twins(disk: Disk, other: Disk) -> bool:
    """Say whether two disks are one. The namespaces of an NVMe drive share all but the WWN.

    All USB bridges of a kind may have one serial number, and all volumes their controller's.
    """
    if disk.wwn and other.wwn:
        return disk.wwn == other.wwn
    same = (other.model, other.serial, other.size_bytes) == (disk.model, disk.serial, disk.size_bytes)
    return bool(disk.serial) and same and disk.bus != "usb" and disk.kind != "virtual-disk"
