"""Makes the file systems and swap, and mounts the new root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from hostlib.paths import TARGET
from hostlib.run import Runner
from installer.config import DiskTarget, Layout
from installer.steps.base import Context, Preview, Progress
from installer.steps.lvm import ROOT, SWAP
from installer.steps.partition import ESP
from installer.steps.wipe import partition_path

Filesystem = Literal["ext4", "xfs"]
ESP_LABEL: Final = "ESP"
"""Not the product's name: volumes of that label are searched for answers."""


def plan_mkfs(filesystem: Filesystem, layout: Layout, target: DiskTarget) -> list[tuple[str, ...]]:
    """Give the commands that make the file systems. No discard: some controllers take minutes for one."""
    # 4Kn: FAT32 needs at least 65525 clusters, so an ESP of 512 MiB needs clusters of one sector.
    cluster = ("-s", "1") if target.logical_sector_bytes == 4096 else ()
    root = {
        "ext4": ("mkfs.ext4", "-F", "-q", "-E", "nodiscard", "-L", "root", ROOT),
        "xfs": ("mkfs.xfs", "-f", "-q", "-K", "-L", "root", ROOT),
    }
    commands: list[tuple[str, ...]] = [
        root[filesystem],
        ("mkfs.vfat", "-F", "32", *cluster, "-n", ESP_LABEL, partition_path(target.path, ESP)),
    ]
    if layout.swap_bytes:
        commands.append(("mkswap", "--force", "--label", "swap", SWAP))
    return commands


@dataclass(frozen=True, slots=True)
class MakeFilesystems:
    """Step: root, ESP and swap are formatted; root and ESP are mounted."""

    target: DiskTarget
    filesystem: Filesystem
    layout: Layout
    name: ClassVar[str] = "file systems"
    weight: ClassVar[int] = 4
    writes: ClassVar[bool] = True

    def _mounts(self, root: Path) -> list[tuple[str, ...]]:
        esp = partition_path(self.target.path, ESP)
        return [
            ("mount", "-t", self.filesystem, "-o", "noatime", ROOT, str(root)),
            ("mount", "-t", "vfat", "-o", "umask=0077", esp, str(root / "boot/efi")),
        ]

    def describe(self) -> list[Preview]:
        """Give the commands."""
        commands = plan_mkfs(self.filesystem, self.layout, self.target) + self._mounts(TARGET)
        return [Preview(command=command) for command in commands]

    def run(self, context: Context, progress: Progress) -> None:
        """Format, then mount."""
        for command in plan_mkfs(self.filesystem, self.layout, self.target):
            context.runner.run(command)
        progress(0.8)
        root, esp = self._mounts(context.target)
        context.target.mkdir(parents=True, exist_ok=True)
        context.runner.run(root)
        (context.target / "boot/efi").mkdir(parents=True, exist_ok=True)
        context.runner.run(esp)


def uuid_command(device: str) -> tuple[str, ...]:
    """Give the command that prints the UUID of a file system, from the device itself and not from a cache."""
    return ("blkid", "-p", "-s", "UUID", "-o", "value", device)


def read_uuid(runner: Runner, device: str) -> str:
    """Give the UUID of the file system on `device`. Raises CommandError."""
    return runner.run(uuid_command(device)).stdout.strip()
