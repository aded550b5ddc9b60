"""Checks of disks: of all but the boot medium for `system`, of the data disks for `ceph` and `zfs`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from hostlib.checks.advice import advise_passthrough, controller_of
from hostlib.checks.drives import (
    awake,
    healths_of,
    member_count,
    rotates,
    runs_from_disk,
    told_errors,
    told_failing,
    told_worn,
    volume_kind,
)
from hostlib.checks.model import (
    BLOCK_DATA,
    BLOCK_DATA_WARN_SYSTEM,
    WARN_ALWAYS,
    WARN_DATA,
    Check,
    Reading,
    Severities,
    each_disk,
)
from hostlib.checks.paths import all_once, once
from hostlib.inventory import UNREADABLE, Content, Disk, Health, Inventory, Raid
from hostlib.sizes import GIB, render_size

_MINIMUM_DATA_BYTES: Final = 5 * GIB
"""ceph-volume refuses smaller devices (`Insufficient space (<5GB)`)."""

ReadDisk = Callable[[Inventory, Disk], list[Reading]]


def _volume(inventory: Inventory, disk: Disk) -> str:
    raid = disk.raid or Raid()
    members = member_count(inventory, disk)
    over = "of an unknown number of drives" if members is None else f"drives: {members}"
    by = f", by {raid.source}" if raid.source else ""
    return f"{disk.model or 'virtual disk'}, {raid.level or 'unknown level'}, {over}{by}"


def _volume_is(kind: str) -> ReadDisk:
    def read(inventory: Inventory, disk: Disk) -> list[Reading]:
        if disk.kind != "virtual-disk":
            # One row says so, not three.
            return [Reading(disk.stable_path, "no volume", good=True)] if kind == "several" else []
        if volume_kind(inventory, disk) != kind:
            return []
        advice = advise_passthrough(controller_of(inventory, disk))
        return [Reading(disk.stable_path, _volume(inventory, disk), good=False, advice=advice)]

    return read


def volume_state(state: str) -> ReadDisk:
    """Make a read that wants a volume not to be in this state."""

    def read(_: Inventory, disk: Disk) -> list[Reading]:
        if disk.raid is None or not disk.raid.state:
            return []
        measured = f"{disk.raid.level or 'volume'} {disk.raid.name} is {disk.raid.state}".replace("  ", " ")
        return [Reading(disk.stable_path, measured, disk.raid.state != state)]

    return read


def health(told: Callable[[Health], str]) -> ReadDisk:
    """Make a read of a disk's health from what its drive tells, or the drives that it stands and falls with."""

    def read(inventory: Inventory, disk: Disk) -> list[Reading]:
        healths = awake(healths_of(inventory, disk))
        if not healths:
            return []
        wrong = [f"{told(one)}; by {one.source}" for one in healths if told(one)]
        # Without a lasting name, as with several paths to it, only the serial number leads to the drive.
        which = "" if disk.ids or not disk.serial else f"serial number {disk.serial}: "
        return [
            Reading(disk.stable_path, f"{which}{'; '.join(wrong)}" if wrong else "no complaint", not wrong)
        ]

    return read


def fake_raid(_: Inventory, disk: Disk) -> list[Reading]:
    """Read whether a disk belongs to an array of the firmware's own making."""
    fake = disk.kind == "fake-raid-member"
    return [
        Reading(disk.stable_path, (disk.kind_source or "RAID signature") if fake else "no member", not fake)
    ]


def bmc(_: Inventory, disk: Disk) -> list[Reading]:
    """Read whether a disk is a file that the BMC shows as a drive."""
    virtual = disk.kind == "bmc-virtual"
    return [
        Reading(
            disk.stable_path, disk.model or "virtual medium" if virtual else "no virtual medium", not virtual
        )
    ]


def fixed(_: Inventory, disk: Disk) -> list[Reading]:
    """Read whether a disk stays where it is. A BMC's virtual disk has its own row."""
    if disk.kind == "bmc-virtual":
        return []
    measured = f"bus {disk.bus or 'unknown'}{', removable' if disk.removable else ''}"
    return [Reading(disk.stable_path, measured, not disk.removable and disk.bus != "usb")]


def _unused(_: Inventory, disk: Disk) -> list[Reading]:
    uses = [f"{c.device} on {', '.join(c.mountpoints)}" for c in disk.contents if c.mountpoints]
    uses += [f"{c.device} in array {c.md_name}" for c in disk.contents if c.md_name]
    return [Reading(disk.stable_path, "; ".join(uses) or "no use is known", not uses)]


def _stores_data(content: Content) -> bool:
    """Say whether it is of Ceph (ceph-volume calls its VGs `ceph-UUID`) or ZFS, which mount no disk."""
    return content.type in {"ceph_bluestore", "zfs_member"} or content.vg.startswith("ceph-")


def _is_readable(disk: Disk) -> bool:
    return all(content.type != UNREADABLE for content in disk.contents)


def readable(_: Inventory, disk: Disk) -> list[Reading]:
    """Tell of a disk that nobody can know the content of."""
    return [] if _is_readable(disk) else [Reading(disk.stable_path, "its first sectors give an error", False)]


def _blank(inventory: Inventory, disk: Disk) -> list[Reading]:
    """Read what is on a disk. On a node, an OSD or pool is at work, and must not be told to be cleared."""
    if disk.kind in {"bmc-virtual", "fake-raid-member"} or not _is_readable(disk):
        return []
    held = ", ".join(f"{c.device}: {c.type}{f' of VG {c.vg}' if c.vg else ''}" for c in disk.contents)
    at_work = runs_from_disk(inventory) and any(map(_stores_data, disk.contents))
    return [Reading(disk.stable_path, held or "empty", at_work or not held)]


def _large(_: Inventory, disk: Disk) -> list[Reading]:
    if disk.kind == "bmc-virtual":
        return []
    good = disk.size_bytes >= _MINIMUM_DATA_BYTES
    return [Reading(disk.stable_path, "5 GiB or more" if good else render_size(disk.size_bytes), good)]


def _serials(inventory: Inventory, disks: Sequence[Disk]) -> list[Reading]:
    """NVMe namespaces share their drive's serial number, and two paths to a disk have their own row."""
    by_serial: defaultdict[str, list[Disk]] = defaultdict(list)
    for disk in disks:
        if disk.serial and disk.bus != "nvme" and once(inventory, disk)[0].good:
            by_serial[disk.serial].append(disk)
    twice = [
        Reading(f"serial {serial}", " and ".join(d.stable_path for d in same), good=False)
        for serial, same in by_serial.items()
        if len(same) > 1
    ]
    if twice or len(by_serial) < 2:
        return twice
    return [Reading("disks", f"serial numbers: {len(by_serial)}", good=True)]


def _vgs(_: Inventory, disks: Sequence[Disk]) -> list[Reading]:
    vgs: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for disk in disks:
        for content in disk.contents:
            if content.vg and content.vg_uuid:
                vgs[content.vg].setdefault(content.vg_uuid, disk.stable_path)
    if not vgs:
        return []
    twice = [
        Reading(f"VG {name}", f"on {' and on '.join(paths.values())}", good=False)
        for name, paths in vgs.items()
        if len(paths) > 1
    ]
    return twice or [Reading("volume groups", ", ".join(vgs), good=True)]


def _mix(inventory: Inventory, disks: Sequence[Disk]) -> list[Reading]:
    kinds = [rotates(inventory, disk) for disk in disks]
    rotating, solid = kinds.count(True), kinds.count(False)
    if rotating + solid < 2:
        return []
    return [Reading("data disks", f"rotating: {rotating}, solid-state: {solid}", not (rotating and solid))]


DISK_CHECKS: Final = (
    Check(
        "raid0-single",
        "disk",
        WARN_DATA,
        "",
        "is a RAID0 volume of one drive: the accepted fallback where a controller cannot pass drives through; lost are "
        "SMART by the usual ways, hot-swap (a new drive needs a new volume) and the safety of flushed writes if the "
        "controller's cache is not protected",
        "while it is still empty, better pass the drive through (this erases it); else leave it and set the volume to "
        "write-through",
        each_disk(_volume_is("single")),
    ),
    Check(
        "raid-volume",
        "disk",
        BLOCK_DATA,
        "is no RAID volume",
        "is a RAID volume over several drives: Ceph and ZFS need each drive by itself, to find and repair its errors",
        "leave it if the system is or shall be on it, and allow this check; else save what is on it, delete the "
        "volume (this erases its drives) and pass the drives through, or make one RAID0 per drive",
        each_disk(_volume_is("several")),
    ),
    Check(
        "raid-unknown",
        "disk",
        BLOCK_DATA,
        "",
        "is a volume of a RAID controller, and nobody tells of how many drives",
        "look it up in the controller's setup: if it is a RAID0 of one drive, or the system is or shall be on it, "
        "leave it and allow this check; else save what is on it and pass the drives through (this erases them)",
        each_disk(_volume_is("unknown")),
    ),
    Check(
        "raid-degraded",
        "disk",
        WARN_ALWAYS,
        "is a volume that lacks no drive",
        "is a degraded volume: a drive of it has failed or is missing",
        "replace the drive and wait until the volume is rebuilt",
        each_disk(volume_state("degraded")),
    ),
    Check(
        "raid-failed",
        "disk",
        BLOCK_DATA_WARN_SYSTEM,
        "is a volume that works",
        "is a failed volume: its data is lost, or offline",
        "look at its drives in the controller's setup; delete it and make it anew if nothing can be saved",
        each_disk(volume_state("failed")),
    ),
    Check(
        "disk-failing",
        "disk",
        BLOCK_DATA_WARN_SYSTEM,
        "is in order, says the drive",
        "says that it is failing",
        "save what is on it and replace it; if it complains only of its temperature, cool it",
        each_disk(health(told_failing)),
    ),
    Check(
        "disk-unreadable",
        "disk",
        BLOCK_DATA_WARN_SYSTEM,
        "",
        "cannot be read: what is on it is unknown",
        "check its cable and backplane, whether it is a locked self-encrypting drive, and what `smartctl -a` tells of it",
        each_disk(readable),
    ),
    Check(
        "disk-errors",
        "disk",
        WARN_ALWAYS,
        "has no errors, says the drive",
        "has sectors that it could not read or correct",
        "watch the number; replace the drive if it grows",
        each_disk(health(told_errors)),
    ),
    Check(
        "disk-worn",
        "disk",
        WARN_ALWAYS,
        "is not worn, says the drive",
        "is worn",
        "plan its replacement",
        each_disk(health(told_worn)),
    ),
    Check(
        "duplicate-serial",
        "disk",
        WARN_ALWAYS,
        "have a serial number each",
        "is the serial number of more than one disk: it names none of them",
        "name these disks by another property, such as WWN or path",
        _serials,
    ),
    Check(
        "duplicate-vg",
        "disk",
        WARN_ALWAYS,
        "have a name each",
        "is the name of more than one volume group: LVM commands by that name fail or meet the wrong one",
        "unplug the disk that is not needed, or rename its VG by UUID (`vgs -o +vg_uuid`, `vgrename UUID NEWNAME`), "
        "not the one that a system starts from: it would not start any more",
        _vgs,
    ),
    Check(
        "data-fake-raid",
        "disk",
        BLOCK_DATA,
        "belongs to no firmware RAID",
        "belongs to an array of the firmware (fake RAID): firmware or mdadm may write to it",
        "save what is on it, delete the array in the firmware's RAID menu (Intel: Ctrl-I) and set the SATA mode to "
        "AHCI (a system that is installed in that mode may not start then); a signature that is left over goes by "
        "`wipefs -a`",
        each_disk(fake_raid),
    ),
    Check(
        "data-seen-twice",
        "disk",
        BLOCK_DATA,
        "is one disk by one path",
        "is seen more than once, by two paths or as a copy: used as two disks, it is overwritten by itself",
        "leave one path connected, or set up multipath and use its device",
        all_once,
    ),
    Check(
        "data-bmc-virtual",
        "disk",
        WARN_DATA,
        "is no virtual medium of the BMC",
        "is a virtual medium of the BMC: it is a file on somebody's computer",
        "unmap it in the BMC (iDRAC, iLO, XCC: virtual media), or leave it out when data disks are chosen",
        each_disk(bmc),
    ),
    Check(
        "data-removable",
        "disk",
        WARN_DATA,
        "is a fixed disk",
        "is removable or attached by USB: a data disk should be neither",
        "unplug it, or leave it out when data disks are chosen",
        each_disk(fixed),
    ),
    Check(
        "data-in-use",
        "disk",
        BLOCK_DATA,
        "is neither mounted nor in an array",
        "is in use",
        "leave it out when data disks are chosen, or free it if nobody needs it (umount, swapoff, `mdadm --stop`)",
        each_disk(_unused),
    ),
    Check(
        "data-not-empty",
        "disk",
        WARN_DATA,
        "is empty, or an OSD or pool of this node",
        "is not empty: Ceph takes only empty disks, and ZFS overwrites what is there",
        "leave it alone if a guest, an OSD, a pool or another machine may need it, OSDs and pools of a node that is "
        "installed anew too; else erase it with the tools of what is on it, or by `wipefs` for all its partitions and "
        "then itself",
        each_disk(_blank),
    ),
    Check(
        "data-size",
        "disk",
        Severities("ok", "blocking", "warning"),
        "is large enough",
        "is smaller than 5 GiB",
        "use a larger disk, and leave this one out when data disks are chosen",
        each_disk(_large),
    ),
    Check(
        "data-mix",
        "disk",
        WARN_DATA,
        "are all of one kind",
        "rotating and solid-state disks are mixed: a mirror of both is as slow as the slower",
        "keep them in different pools or device classes; nothing is wrong where the odd ones are for the system or for "
        "journals (Ceph block.db, ZFS log or special)",
        _mix,
    ),
)
