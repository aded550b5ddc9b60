"""Checks of the disk that will be erased and becomes the node's system disk."""

from __future__ import annotations

from typing import Final

from hostlib.checks.disks import bmc, fake_raid, fixed, health, readable, volume_state
from hostlib.checks.drives import member_count, told_errors, told_failing, told_worn, volume_kind
from hostlib.checks.model import BLOCK_SYSTEM, WARN_SYSTEM, Check, Reading, each_disk
from hostlib.checks.paths import once
from hostlib.inventory import Disk, Inventory
from hostlib.sizes import GIB, render_size

MINIMUM_TARGET_BYTES: Final = 8 * GIB
_4KN_BYTES: Final = 4096


def _size(_: Inventory, disk: Disk) -> list[Reading]:
    measured = f"{render_size(disk.size_bytes)}, {disk.size_bytes} bytes"
    return [Reading(disk.stable_path, measured, disk.size_bytes >= MINIMUM_TARGET_BYTES)]


def _medium(_: Inventory, disk: Disk) -> list[Reading]:
    measured = "the live system runs from it" if disk.boot_medium else "the live system does not run from it"
    return [Reading(disk.stable_path, measured, not disk.boot_medium)]


def _use(_: Inventory, disk: Disk) -> list[Reading]:
    if disk.boot_medium:
        return []
    uses = [f"{c.device} on {', '.join(c.mountpoints)}" for c in disk.contents if c.mountpoints]
    return [Reading(disk.stable_path, "; ".join(uses) or "nothing mounted", not uses)]


def _writable(_: Inventory, disk: Disk) -> list[Reading]:
    measured = "read-only" if disk.read_only else "writable"
    return [Reading(disk.stable_path, measured, not disk.read_only)]


def _sectors(inventory: Inventory, disk: Disk) -> list[Reading]:
    firmware = inventory.firmware.mode
    good = not (firmware == "bios" and disk.logical_sector_bytes == _4KN_BYTES)
    measured = f"sectors of {disk.logical_sector_bytes} bytes, started by {firmware.upper()}"
    return [Reading(disk.stable_path, measured, good)]


def _striped(inventory: Inventory, disk: Disk) -> list[Reading]:
    if disk.raid is None or disk.raid.level != "RAID0" or volume_kind(inventory, disk) == "unknown":
        return []
    members = member_count(inventory, disk) or 0
    return [Reading(disk.stable_path, f"RAID0, drives: {members}", members < 2)]


TARGET_CHECKS: Final = (
    Check(
        "target-medium",
        "target",
        BLOCK_SYSTEM,
        "is not the boot medium",
        "is the medium that this system was started from",
        "choose another disk",
        each_disk(_medium),
    ),
    Check(
        "target-in-use",
        "target",
        BLOCK_SYSTEM,
        "is not in use",
        "is in use",
        "unmount it (umount, swapoff) or choose another disk",
        each_disk(_use),
    ),
    Check(
        "target-seen-twice",
        "target",
        BLOCK_SYSTEM,
        "is one disk by one path",
        "is seen more than once, by two paths or as a copy",
        "leave one path connected during installation, or choose a local disk",
        each_disk(once),
    ),
    Check(
        "target-size",
        "target",
        BLOCK_SYSTEM,
        "is large enough",
        "is smaller than 8 GiB",
        "choose a disk of at least 8 GiB, better 32 GiB or more",
        each_disk(_size),
    ),
    Check(
        "target-read-only",
        "target",
        BLOCK_SYSTEM,
        "can be written to",
        "is read-only",
        "remove its write protection or choose another disk",
        each_disk(_writable),
    ),
    Check(
        "target-4kn-bios",
        "target",
        BLOCK_SYSTEM,
        "has a sector size that the firmware boots from",
        "has sectors of 4096 bytes, which no BIOS boots from",
        "start the machine by UEFI or choose a disk with sectors of 512 bytes",
        each_disk(_sectors),
    ),
    Check(
        "target-removable",
        "target",
        WARN_SYSTEM,
        "is a fixed disk",
        "is removable or attached by USB: a node's system disk should be neither",
        "choose a fixed disk unless this is meant",
        each_disk(fixed),
    ),
    Check(
        "target-bmc-virtual",
        "target",
        BLOCK_SYSTEM,
        "is no virtual medium of the BMC",
        "is a virtual medium of the BMC: it is a file on somebody's computer",
        "choose another disk, or unmap it in the BMC (iDRAC, iLO, XCC: virtual media)",
        each_disk(bmc),
    ),
    Check(
        "target-fake-raid",
        "target",
        BLOCK_SYSTEM,
        "belongs to no firmware RAID",
        "belongs to an array of the firmware (fake RAID): at the next start it may overwrite the node",
        "delete the array in the firmware's RAID menu (Intel: Ctrl-I) and set the SATA mode to AHCI; if only its "
        "signature is left, allow this check: the installation clears it",
        each_disk(fake_raid),
    ),
    Check(
        "target-raid0",
        "target",
        WARN_SYSTEM,
        "is a RAID0 volume of one drive",
        "is a RAID0 volume over several drives: if one of them fails, all is lost",
        "make it a RAID1 in the controller's setup, or choose another disk",
        each_disk(_striped),
    ),
    Check(
        "target-raid-degraded",
        "target",
        WARN_SYSTEM,
        "is a volume that lacks no drive",
        "is a degraded volume: a drive of it has failed or is missing",
        "replace the drive and wait until the volume is rebuilt, or choose another disk",
        each_disk(volume_state("degraded")),
    ),
    Check(
        "target-raid-failed",
        "target",
        BLOCK_SYSTEM,
        "is a volume that works",
        "is a failed volume",
        "delete it and make it anew in the controller's setup, or choose another disk",
        each_disk(volume_state("failed")),
    ),
    Check(
        "target-failing",
        "target",
        BLOCK_SYSTEM,
        "is in order, says the drive",
        "says that it is failing",
        "replace it or choose another disk; if it complains only of its temperature, cool it",
        each_disk(health(told_failing)),
    ),
    Check(
        "target-unreadable",
        "target",
        BLOCK_SYSTEM,
        "",
        "cannot be read: what is on it is unknown, and it is failing or not well plugged in",
        "choose another disk",
        each_disk(readable),
    ),
    Check(
        "target-errors",
        "target",
        WARN_SYSTEM,
        "has no errors, says the drive",
        "has sectors that it could not read or correct",
        "choose another disk, or watch the number and replace the drive if it grows",
        each_disk(health(told_errors)),
    ),
    Check(
        "target-worn",
        "target",
        WARN_SYSTEM,
        "is not worn, says the drive",
        "is worn",
        "choose another disk, or plan its replacement",
        each_disk(health(told_worn)),
    ),
)
