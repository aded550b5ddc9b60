"""The virtual file systems that programs need when they run inside the new root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from hostlib.errors import CommandError
from hostlib.paths import TARGET
from installer.steps.base import Context, Preview, Progress

EFIVARS = "sys/firmware/efi/efivars"


def plan_chroot_mounts(root: Path) -> list[tuple[str, ...]]:
    """Give the mounts that every installation needs. The new root's own /run stays empty on the disk."""
    return [
        ("mount", "--bind", "/dev", str(root / "dev")),
        ("mount", "-t", "proc", "proc", str(root / "proc")),
        ("mount", "-t", "sysfs", "sysfs", str(root / "sys")),
        ("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(root / "run")),
        # LVM asks udev's database which devices exist.
        ("mount", "--bind", "--mkdir", "/run/udev", str(root / "run/udev")),
    ]


@dataclass(frozen=True, slots=True)
class MountVirtual:
    """Step: /dev, /proc, /sys and /run are there in the new root; finish takes them away."""

    firmware: Literal["bios", "uefi"]
    name: ClassVar[str] = "virtual file systems"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = True

    def _efivars(self, root: Path) -> tuple[str, ...]:
        return ("mount", "-t", "efivarfs", "efivarfs", str(root / EFIVARS))

    def describe(self) -> list[Preview]:
        """Give the mounts."""
        commands = plan_chroot_mounts(TARGET)
        if self.firmware == "uefi":
            commands.append(self._efivars(TARGET))
        return [Preview(command=command) for command in commands]

    def run(self, context: Context, progress: Progress) -> None:
        """Mount them. Firmware variables that cannot be had are no reason to stop: see the boot loader."""
        del progress
        for command in plan_chroot_mounts(context.target):
            context.runner.run(command)
        if self.firmware == "uefi":
            try:
                context.runner.run(self._efivars(context.target))
            except CommandError as error:
                context.warn(f"the firmware's variables cannot be reached ({error.reason})")
