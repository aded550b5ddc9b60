"""USB sticks and the like that a file can be saved to."""

from __future__ import annotations

from typing import Final

from hostlib.errors import Problem, UserError
from hostlib.files import write_atomic
from hostlib.inventory import Content, Disk, Inventory
from hostlib.paths import RUN
from hostlib.run import Runner
from hostlib.sizes import render_size
from installer.tui.controller import Choice

MOUNT_POINT: Final = RUN / "stick"
OPTIONS: Final = "rw,nosuid,nodev,noexec"
TYPES: Final = {"vfat": f"{OPTIONS},umask=0077", "exfat": f"{OPTIONS},umask=0077", "ext4": OPTIONS}
"""Type of the file system -> mount options."""
LIMIT_SECONDS: Final = 60
MOST_FILES: Final = 99


def find_sticks(machine: Inventory) -> list[Choice]:
    """Give the file systems on removable disks that are not in use: device -> what it is. Pure."""
    return [
        Choice(
            _stable_device(disk, content.device),
            f"{disk.model or 'stick'}, {render_size(disk.size_bytes)}, {content.type} {content.label}".rstrip(),
        )
        for disk in machine.disks
        if (disk.bus == "usb" or disk.removable) and not disk.boot_medium and not disk.read_only
        for content in _file_systems(disk)
    ]


def _file_systems(disk: Disk) -> list[Content]:
    """Give the file systems that can be written to, each once.

    Some programs (mformat of mtools) give a file system without a partition an entry in a partition table that
    begins where the disk does: the kernel then shows it twice.
    """
    found = [content for content in disk.contents if content.type in TYPES and not content.mountpoints]
    return [
        content
        for number, content in enumerate(found)
        if not content.uuid or content.uuid not in {other.uuid for other in found[:number]}
    ]


def _stable_device(disk: Disk, device: str) -> str:
    """Give the by-id path of a disk or of a partition: a kernel name may be another disk's by now."""
    number = device.removeprefix(disk.name).removeprefix("p")
    if not disk.ids:
        return f"/dev/{device}"
    return f"{disk.stable_path}-part{number}" if number else disk.stable_path


def write_to_stick(runner: Runner, device: str, name: str, text: str) -> str:
    """Write a file to a stick that is not mounted, beside what is there; give the file's name there.

    Raises UserError, CommandError and OSError.
    """
    kind = runner.run(["blkid", "-p", "-s", "TYPE", "-o", "value", device], ok=(0, 2)).stdout.strip()
    if kind not in TYPES:
        what = f"it holds {kind or 'no file system'} and none of {', '.join(TYPES)}"
        raise UserError(Problem(device, what, "take another stick"))
    MOUNT_POINT.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", kind, "-o", TYPES[kind], device, str(MOUNT_POINT)]
    runner.run(mount, timeout_seconds=LIMIT_SECONDS)
    try:
        stem, _, end = name.rpartition(".")
        names = (name, *(f"{stem}-{number}.{end}" for number in range(2, MOST_FILES)))
        free = next(name for name in names if not (MOUNT_POINT / name).exists())
        write_atomic(MOUNT_POINT / free, text, 0o600)
    finally:
        runner.run(["umount", str(MOUNT_POINT)], timeout_seconds=LIMIT_SECONDS)
    return free
