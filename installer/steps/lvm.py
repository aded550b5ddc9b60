"""Makes the PV, the VG `pve` and its LVs: swap, root and the thin pool `data`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from installer.config import DiskTarget, Layout
from installer.steps.base import Context, Preview, Progress
from installer.steps.partition import PV
from installer.steps.udev import wait_command
from installer.steps.wipe import partition_path

VG: Final = "pve"
ROOT: Final = f"/dev/{VG}/root"
SWAP: Final = f"/dev/{VG}/swap"
THIN_POOL: Final = "data"
LVM_SECONDS: Final = 3600.0
"""LVM zeroes the whole metadata LV, up to 16 GiB: minutes on a slow array."""


def plan_lvm(layout: Layout, pv: str) -> list[tuple[str, ...]]:
    """Give the commands. LVM sees no device but `pv` in them, so a VG of the same name elsewhere is no matter."""
    only = ("--devices", pv)
    commands = [
        ("pvcreate", "--yes", "-ff", "--metadatasize", "250k", *only, pv),
        ("vgcreate", "--yes", *only, VG, pv),
    ]
    wipe = ("lvcreate", "--yes", "--wipesignatures", "y", "--zero", "y", *only)
    commands += [
        (*wipe, "--size", f"{size_bytes}b", "--name", name, VG)
        for name, size_bytes in (("swap", layout.swap_bytes), ("root", layout.root_bytes))
        if size_bytes
    ]
    if layout.data_bytes:
        pool = ("--type", "thin-pool", "--size", f"{layout.data_bytes}b")
        metadata = ("--poolmetadatasize", f"{layout.metadata_bytes}b")
        # No dmeventd in the live system: the node watches its pool itself.
        commands.append(
            ("lvcreate", "--yes", *only, *pool, *metadata, "--monitor", "n", "--name", THIN_POOL, VG)
        )
    nodes = (SWAP, ROOT) if layout.swap_bytes else (ROOT,)
    commands.append(wait_command(*nodes))
    return commands


@dataclass(frozen=True, slots=True)
class VolumeGroup:
    """Step: VG `pve` with its LVs is there and active."""

    target: DiskTarget
    layout: Layout
    name: ClassVar[str] = "volume group"
    weight: ClassVar[int] = 4
    writes: ClassVar[bool] = True

    def commands(self) -> list[tuple[str, ...]]:
        """Give the commands, in order."""
        return plan_lvm(self.layout, partition_path(self.target.path, PV))

    def describe(self) -> list[Preview]:
        """Give the commands."""
        return [Preview(command=command) for command in self.commands()]

    def run(self, context: Context, progress: Progress) -> None:
        """Run them."""
        commands = self.commands()
        for done, command in enumerate(commands):
            context.runner.run(command, timeout_seconds=LVM_SECONDS)
            progress((done + 1) / len(commands))
