"""Drives behind RAID controllers: what a tool tells of them, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hostlib.inventory import Controller, Disk, Drive, Raid

DriveState = Literal["member", "passthrough", "unconfigured", "spare", "failed", "foreign", ""]
ONE_EACH: Final = "as many volumes as drives, of the same sizes"
_SMALLEST_PART: Final = 0.9
"""Of a drive that a volume on it alone uses: the controller keeps its configuration there and rounds down."""


@dataclass(frozen=True, slots=True)
class ToldVolume:
    """A virtual disk as a vendor's tool describes it."""

    raid: Raid
    wwn: str = ""
    """Hexadecimal digits without `0x`, lower case."""
    path: str = ""
    """Kernel path that the tool believes it to have."""


@dataclass(frozen=True, slots=True)
class Told:
    """A controller as a vendor's tool describes it. Empty: it does not tell."""

    address: str
    mode: Literal["raid", "hba", "mixed", ""]
    battery: Literal["good", "bad", "none", ""]
    volumes: tuple[ToldVolume, ...]
    drives: tuple[Drive, ...]


def volumes_of(controller: Controller, disks: Sequence[Disk]) -> list[Disk]:
    """Give the virtual disks of a controller."""
    return [d for d in disks if d.controller == controller.address and d.kind == "virtual-disk"]


def with_health(drives: Sequence[Drive], asked: Sequence[Drive]) -> tuple[Drive, ...]:
    """Give `drives` with the health of those in `asked` that have the same serial number."""
    health = {drive.serial: drive.health for drive in asked if drive.serial and drive.health}
    return tuple(
        drive.model_copy(update={"health": health.get(drive.serial, drive.health)}) for drive in drives
    )


def mark_passthrough(controller: Controller, disks: Sequence[Disk]) -> Controller:
    """Give the controller with the drives marked that the kernel shows as disks, known by the serial number."""
    shown = {
        disk.serial
        for disk in disks
        if disk.serial and disk.controller == controller.address and disk.kind != "virtual-disk"
    }
    return _with_state(
        controller, "passthrough", [drive for drive in controller.drives if drive.serial in shown]
    )


def infer_volumes(controller: Controller, disks: Sequence[Disk]) -> tuple[Controller, tuple[Disk, ...]]:
    """Say what must be true of the volumes of a controller whose drives are all known, without a vendor's tool.

    No volumes: the drives that are not passed through are unconfigured. As many volumes as other drives, each
    between 90 % and 100 % of the size of a drive of its own, and all of them together lacking less than one drive:
    each is a RAID0 over a single drive, as a level with redundancy takes a drive at least. (A RAID0 over all of
    them, cut into as many slices, looks the same, and so does a mirror whose other drive was pulled out.) Anything
    else says nothing, and nor does a drive that is shown but cannot be told from the rest.
    """
    volumes = volumes_of(controller, disks)
    shown = [disk for disk in disks if disk.controller == controller.address and disk not in volumes]
    rest = [drive for drive in controller.drives if drive.state != "passthrough"]
    if len(controller.drives) - len(rest) != len(shown):
        return controller, tuple(disks)
    if not volumes:
        return _with_state(controller, "unconfigured", rest), tuple(disks)
    if any(disk.raid and disk.raid.level not in {"", "RAID0"} for disk in volumes) or not _one_each(
        volumes, rest
    ):
        return controller, tuple(disks)
    found = {"level": "RAID0", "members": 1, "source": ONE_EACH}
    single = {disk.name: (disk.raid or Raid()).model_copy(update=found) for disk in volumes}
    return _with_state(controller, "member", rest), tuple(
        disk.model_copy(update={"raid": single[disk.name]}) if disk.name in single else disk for disk in disks
    )


def _one_each(volumes: Sequence[Disk], drives: Sequence[Drive]) -> bool:
    # Largest with largest: if any pairing fits, this one does.
    volume_sizes = sorted(disk.size_bytes for disk in volumes)
    drive_sizes = sorted(drive.size_bytes or 0 for drive in drives)
    if sum(drive_sizes) - sum(volume_sizes) >= min(drive_sizes, default=0):
        return False
    return len(volume_sizes) == len(drive_sizes) and all(
        _SMALLEST_PART * drive <= volume <= drive
        for volume, drive in zip(volume_sizes, drive_sizes, strict=True)
    )


def _with_state(controller: Controller, state: DriveState, chosen: Sequence[Drive]) -> Controller:
    addresses = {drive.address for drive in chosen}
    drives = tuple(
        drive.model_copy(update={"state": state}) if drive.address in addresses else drive
        for drive in controller.drives
    )
    return controller.model_copy(update={"drives": drives})
