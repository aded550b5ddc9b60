"""Removes every old signature, so that no old PV, array or partition table comes back to life on the new node."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from hostlib.errors import CommandError, StepError
from hostlib.files import read_if_there
from hostlib.sizes import MIB
from installer.config import DiskTarget
from installer.steps.base import Context, Preview, Progress
from installer.steps.tree import kernel_name
from installer.steps.udev import settle

ENDS_BYTES: Final = 16 * MIB
"""Zeroed at both ends of the disk: GPT and its backup, md 0.90 and 1.0, DDF and IMSM, LVM, ZFS labels."""
PARTITION_ENDS_BYTES: Final = MIB


def partition_path(disk: str, number: int) -> str:
    """Give the path of a partition: udev's `-partN` for its links, else the kernel's rule (`sda1`, `nvme0n1p1`)."""
    if disk.startswith("/dev/disk/"):
        return f"{disk}-part{number}"
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"


def read_partition_numbers(sysfs: Path, disk: str) -> list[int]:
    """Give the numbers of the partitions that the kernel knows on the disk with kernel name `disk`."""
    files = (sysfs / "class/block" / disk).glob("*/partition")
    return sorted(int(text) for file in files if (text := read_if_there(file)))


def zero_ends(path: Path, ends_bytes: int) -> None:
    """Overwrite the first and the last `ends_bytes` of a device with zeros. Raises OSError.

    The device is opened exclusively: the kernel refuses that while a file system, LVM, LUKS or md holds it.
    Nothing is discarded: a controller may take minutes for that, and what it gives afterwards is not defined.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_EXCL)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        for start in sorted({0, max(0, size - ends_bytes)}):
            _zero(descriptor, start, min(size, start + ends_bytes))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _zero(descriptor: int, start: int, end: int) -> None:
    while start < end:
        start += os.pwrite(descriptor, bytes(min(MIB, end - start)), start)


@dataclass(frozen=True, slots=True)
class Wipe:
    """Step: the target carries no signature, no partition and no table."""

    target: DiskTarget
    name: ClassVar[str] = "wipe signatures"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = True

    def describe(self) -> list[Preview]:
        """Give the commands for the disk; its partitions, if it has any, come before it in the same way."""
        return [Preview(command=self._wipefs(self.target.path)), Preview(command=self._reread())]

    def _wipefs(self, path: str) -> tuple[str, ...]:
        return ("wipefs", "--all", path)

    def _reread(self) -> tuple[str, ...]:
        return ("blockdev", "--rereadpt", self.target.path)

    def run(self, context: Context, progress: Progress) -> None:
        """Wipe the partitions, then the disk. PVs are removed as signatures, not by `pvremove`.

        `pvremove` refuses damaged and duplicate PVs, and would write to the other disks of a VG.
        """
        disk = kernel_name(self.target.path)
        for number in read_partition_numbers(context.sysfs, disk):
            path = partition_path(self.target.path, number)
            context.runner.run(self._wipefs(path))
            zero_ends(Path(path), PARTITION_ENDS_BYTES)
        progress(0.4)
        context.runner.run(self._wipefs(self.target.path))
        zero_ends(Path(self.target.path), ENDS_BYTES)
        progress(0.8)
        settle(context.runner)
        try:
            context.runner.run(self._reread())
        except CommandError:
            # A probe of udev may have had the disk open at that moment.
            settle(context.runner)
            context.runner.run(self._reread())
        settle(context.runner)
        if left := read_partition_numbers(context.sysfs, disk):
            raise StepError(f"{self.target.path}: the kernel still sees partitions {left} of the old table")
