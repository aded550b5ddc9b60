"""`[disk-setup]` as types: which disk, its file system, and the sizes."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo, field_validator

from hostlib.errors import Problem
from installer.answers.section import Filter, Gib, Pattern, Section
from installer.match import check_sizes, quote

SMALLEST_DISK_GIB: Final = 8
SMALLEST_ROOT_GIB: Final = 2
# The level is written all in lower or all in upper case.
ZfsRaid = Literal[
    "raid0", "raid1", "raid10", "raidz-1", "raidz-2", "raidz-3",
    "RAID0", "RAID1", "RAID10", "RAIDZ-1", "RAIDZ-2", "RAIDZ-3",
]  # fmt: skip
BtrfsRaid = Literal["raid0", "raid1", "raid10", "RAID0", "RAID1", "RAID10"]
LEAST_DISKS: Final = {"raid0": 1, "raid1": 2, "raid10": 4, "raidz-1": 3, "raidz-2": 4, "raidz-3": 5}
NAMES: Final = {"zfs": "ZFS", "btrfs": "Btrfs"}
"""The file systems of the format that this image does not carry."""
T = TypeVar("T")


def uncarried(filesystem: object) -> Problem | None:
    """Give what is to be said about a root file system that this image does not carry."""
    name = NAMES.get(filesystem.lower()) if isinstance(filesystem, str) else None
    if name is None:
        return None
    return Problem("disk-setup.filesystem", f"this image does not carry {name}", "use 'ext4' or 'xfs'")


def check_count(filesystem: str, raid: str, count: int) -> None:
    """Raise ValueError unless `count` disks can make this RAID level."""
    least = LEAST_DISKS[raid.lower()]
    name = f"{NAMES[filesystem]} {raid.upper()}"
    if count < least:
        raise ValueError(
            f"{name} needs at least {least} disks, got {count}; name more or choose another level"
        )
    if raid.lower() == "raid10" and count % 2:
        raise ValueError(f"{name} needs an even number of disks, got {count}; name one more or one less")


class LvmOptions(Section):
    """`[disk-setup.lvm]`: sizes in GiB."""

    hdsize: Annotated[Gib, Field(ge=SMALLEST_DISK_GIB)] | None = None
    swapsize: Gib | None = None
    maxroot: Gib | None = None
    maxvz: Gib | None = None
    minfree: Gib | None = None

    @field_validator("swapsize")
    @classmethod
    def _fits_hdsize(cls, swapsize: float | None, info: ValidationInfo) -> float | None:
        hdsize = info.data.get("hdsize")
        if swapsize is not None and hdsize is not None and swapsize > hdsize / 2:
            raise ValueError(
                f"{swapsize:g} GiB is more than half of hdsize ({hdsize:g} GiB); make it smaller"
            )
        return swapsize

    @field_validator("maxroot")
    @classmethod
    def _holds_the_root(cls, maxroot: float | None) -> float | None:
        if maxroot and maxroot < SMALLEST_ROOT_GIB:
            what = f"{maxroot:g} GiB do not hold the root, {SMALLEST_ROOT_GIB} are needed"
            raise ValueError(f"{what}; make it larger, or 0 for the default")
        return maxroot


class ZfsOptions(Section):
    """`[disk-setup.zfs]`; sizes in GiB, `arc-max` in MiB."""

    raid: ZfsRaid
    ashift: Annotated[int, Field(strict=True, ge=9, le=16)] = 12
    arc_max: Annotated[int, Field(strict=True, ge=64)] | None = None
    checksum: Literal["on", "fletcher4", "sha256"] = "on"
    compress: Literal["on", "off", "lzjb", "lz4", "zle", "gzip", "zstd"] = "on"
    copies: Annotated[int, Field(strict=True, ge=1, le=3)] = 1
    hdsize: Annotated[Gib, Field(ge=2)] | None = None


class BtrfsOptions(Section):
    """`[disk-setup.btrfs]`; sizes in GiB."""

    raid: BtrfsRaid
    compress: Literal["on", "off", "zlib", "lzo", "zstd"] = "off"
    hdsize: Annotated[Gib, Field(ge=2)] | None = None


class Match(Section):
    """`[disk-setup.match]`: what the disk is like. All that is given must fit."""

    size: Annotated[str, AfterValidator(check_sizes)] | None = None
    bus: Literal["ata", "scsi", "nvme", "virtio", "mmc", "xen", "nvdimm"] | None = None
    model: Pattern | None = None
    serial: Pattern | None = None
    wwn: Pattern | None = None
    rotational: StrictBool | None = None
    order: Literal["smallest", "largest"] | None = None
    """Which of several to take."""
    count: Annotated[int, Field(strict=True, ge=1)] | None = None
    """How many must fit, before `order` takes one of them."""

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return not self.model_dump(exclude_none=True)


class DiskSetup(Section):
    """`[disk-setup]`."""

    filesystem: Literal["ext4", "xfs", "zfs", "btrfs"]
    lvm: LvmOptions | None = None
    zfs: ZfsOptions | None = Field(default=None, validate_default=True)
    btrfs: BtrfsOptions | None = Field(default=None, validate_default=True)
    disk_list: tuple[str, ...] | None = None
    match: Match | None = None
    filter: Filter | None = Field(default=None, validate_default=True)
    filter_match: Literal["any", "all"] = "any"
    on_existing: Literal["rename", "refuse", "wipe"] = "rename"

    @property
    def raid(self) -> str:
        """The RAID level; empty for a file system on one disk."""
        options = self.zfs or self.btrfs
        return options.raid if options else ""

    @field_validator("lvm", "zfs", "btrfs")
    @classmethod
    def _fits_filesystem(cls, value: T, info: ValidationInfo) -> T:
        filesystem = info.data.get("filesystem")
        own = filesystem if filesystem in NAMES else "lvm"
        if filesystem and value is not None and info.field_name != own:
            what = f"filesystem is '{filesystem}', which takes the table '{own}' only"
            raise ValueError(f"{what}; remove this table or change the file system")
        if value is None and filesystem == info.field_name:
            raise ValueError("the RAID level is missing; add this table with 'raid'")
        return value

    @field_validator("disk_list")
    @classmethod
    def _right_number(cls, names: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        twice = [name for name, count in Counter(names or ()).items() if count > 1]
        if twice:
            raise ValueError(f"{quote(twice[0])} is listed more than once; list each disk once")
        filesystem = info.data.get("filesystem")
        if names and len(names) > 1 and filesystem in {"ext4", "xfs"}:
            raise ValueError(f"{len(names)} disks are listed, {filesystem} takes one; leave one in the list")
        options = info.data.get(filesystem or "") if filesystem in NAMES else None
        if names and filesystem and options:
            check_count(filesystem, options.raid, len(names))
        return names

    @field_validator("match")
    @classmethod
    def _asks_for_one(cls, match: Match | None, info: ValidationInfo) -> Match | None:
        if match is None:
            return None
        if info.data.get("disk_list"):
            raise ValueError("disk-list is set too; keep one of the two")
        if match.empty:
            raise ValueError(
                "it is empty; say what the disk is like, or count = 1 for a machine with one disk"
            )
        several = info.data.get("filesystem") in NAMES
        if match.order and several:
            raise ValueError(
                "'order' takes one disk, RAID needs all that fit; remove it or change filesystem"
            )
        if not match.order and not several and (match.count or 1) > 1:
            raise ValueError(f"{match.count} disks are to fit, and one is taken; say which by 'order'")
        return match

    @field_validator("filter")
    @classmethod
    def _one_choice(cls, value: Filter | None, info: ValidationInfo) -> Filter | None:
        if not {"disk_list", "match"} <= set(info.data):
            return value
        other = "disk-list" if info.data["disk_list"] else "match" if info.data["match"] else ""
        if other and value:
            raise ValueError(f"{other} is set too; keep one of the two")
        if not other and not value:
            raise ValueError("none of disk-list, filter and match names a disk; set one of them")
        return value
