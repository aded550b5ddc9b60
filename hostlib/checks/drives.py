"""What is known of the drives that a disk is made of, and how they are: read by the rows of disks and controllers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hostlib.checks.advice import controller_of
from hostlib.inventory import Controller, Disk, Drive, Health, Inventory, Raid

_WORN_PERCENT: Final = 90
_LOW_SPARE_PERCENT: Final = 10
"""What most NVMe drives have as their own threshold."""


def own_drives(inventory: Inventory, disk: Disk) -> list[Drive]:
    """Give the drives that a disk stands and falls with: itself passed through, or the members of a RAID0."""
    controller = controller_of(inventory, disk)
    if controller is None:
        return []
    if disk.kind != "virtual-disk":
        return [
            d for d in controller.drives if d.state == "passthrough" and d.serial and d.serial == disk.serial
        ]
    level = disk.raid.level if disk.raid else ""
    alone = level == "RAID0" or (not level and member_count(inventory, disk) == 1)
    return members_of(controller, disk) if alone else []


def members_of(controller: Controller, disk: Disk) -> list[Drive]:
    """Give the drives that a virtual disk is made of, as far as the controller tells."""
    if disk.raid is None or not disk.raid.name:
        return []
    return [drive for drive in controller.drives if drive.volume == disk.raid.name]


def member_count(inventory: Inventory, disk: Disk) -> int | None:
    """Give how many drives a virtual disk is made of; None where nobody tells."""
    if disk.raid is not None and disk.raid.members is not None:
        return disk.raid.members
    controller = controller_of(inventory, disk)
    return (len(members_of(controller, disk)) or None) if controller else None


def volume_kind(inventory: Inventory, disk: Disk) -> str:
    """Give what a virtual disk is to Ceph and ZFS: `single` (one drive, at most as a RAID0), `several` or `unknown`."""
    level, members = (disk.raid or Raid()).level, member_count(inventory, disk)
    if level not in {"", "RAID0"} or (members or 0) > 1:
        return "several"
    return "single" if members == 1 else "unknown"


def rotates(inventory: Inventory, disk: Disk) -> bool | None:
    """Say whether a disk rotates. None: what the kernel says is a guess of RAID controller, hypervisor or USB bridge."""
    controller = controller_of(inventory, disk)
    if disk.bus == "usb" or (controller and controller.kind == "virtual"):
        return None
    if disk.kind != "virtual-disk":
        return disk.rotational
    told = [drive.rotational for drive in own_drives(inventory, disk) if drive.rotational is not None]
    return any(told) if told else None


def runs_from_disk(inventory: Inventory) -> bool:
    """Say whether this is a node; the root of the live system is in memory."""
    return any("/" in content.mountpoints for disk in inventory.disks for content in disk.contents)


def healths_of(inventory: Inventory, disk: Disk) -> list[Health]:
    """Give what is known of a disk's health: its own word, else that of its drives behind a controller."""
    if disk.health:
        return [disk.health]
    return [drive.health for drive in own_drives(inventory, disk) if drive.health]


def other_drives(inventory: Inventory, controller: Controller) -> list[Drive]:
    """Give the drives of a controller whose health no disk row tells: of redundant volumes, spare, unused."""
    told = [
        drive
        for disk in inventory.disks
        if disk.controller == controller.address and not disk.boot_medium
        for drive in own_drives(inventory, disk)
    ]
    return [drive for drive in controller.drives if drive not in told]


def awake(healths: Iterable[Health]) -> list[Health]:
    """Leave out the drives that sleep: nothing is known of them."""
    return [health for health in healths if not health.standby]


def told_failing(health: Health) -> str:
    """Give what a drive says of its own end; empty where all is well."""
    told = [*(["its own verdict is FAILED"] if health.passed is False else []), *health.failing]
    return ", ".join(told)


def told_errors(health: Health) -> str:
    """Give what a drive could not read or correct; empty where there is nothing, or it does not say."""
    counts = ((health.pending_sectors, "pending sectors"), (health.media_errors, "uncorrected errors"))
    return ", ".join(f"{name}: {count}" for count, name in counts if count)


def told_worn(health: Health) -> str:
    """Give how worn a solid-state drive is where that is too much; else empty."""
    told = []
    if health.wear_percent is not None and health.wear_percent >= _WORN_PERCENT:
        told.append(f"{health.wear_percent} % of its life used")
    if health.spare_percent is not None and health.spare_percent <= _LOW_SPARE_PERCENT:
        told.append(f"{health.spare_percent} % spare blocks left")
    return ", ".join(told)
