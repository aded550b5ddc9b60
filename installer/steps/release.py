"""Takes the target out of use: swap, mounts, LUKS, LVM and md on this disk, and on no other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from hostlib.errors import StepError
from hostlib.paths import MEDIUM
from hostlib.probe.lvm import read_vgs
from installer.config import DiskTarget
from installer.steps.base import Context, Preview, Progress
from installer.steps.lvm import VG
from installer.steps.mounts import plan_unmount, unmount
from installer.steps.tree import Tree, kernel_name, read_tree
from installer.steps.udev import settle

LOG = logging.getLogger("slipway.release")
RELEASE_PROGRAMS: Final = ("swapoff", "umount", "cryptsetup", "vgchange", "vgrename", "mdadm", "udevadm")
"""What a release may need; which of them depends on what is found on the disk."""
LIVE: Final = Path("/run/live")


def plan_release(tree: Tree) -> list[tuple[str, ...]]:
    """Give the commands that take the disk of `tree` out of use, in order.

    No command names another disk: a VG is deactivated by its UUID, an array that has members elsewhere is
    stopped as a whole. Raises StepError when the live system runs from the disk, or when something stands on
    it that cannot be taken down safely.
    """
    unmounts = plan_unmount(list(tree.mounts), tree.mounted())
    for mount in unmounts:
        if mount.path in {Path("/"), MEDIUM} or LIVE in mount.path.parents:
            raise StepError(f"{tree.disk}: the live system runs from it (mounted at {mount.path})")
    return [
        *(("swapoff", swap) for swap in tree.swapping()),
        *(("umount", str(mount.path)) for mount in unmounts),
        *_plan_devices(tree),
    ]


def _plan_devices(tree: Tree) -> list[tuple[str, ...]]:
    """Take devices down from the top: each only after everything that stands on it.

    The LVs of one VG go together, because they hold one another (thin volumes, snapshots, caches).
    """
    commands: list[tuple[str, ...]] = []
    seen: set[str] = set()

    def members(key: str) -> list[str]:
        return [name for name, node in tree.nodes.items() if (node.vg_uuid or name) == key]

    def visit(key: str) -> None:
        if key in seen:
            return
        seen.add(key)
        holders = {tree.nodes[holder] for name in members(key) for holder in tree.nodes[name].holders}
        for holder in sorted(holders, key=lambda node: (node.container, node.name)):
            visit(holder.vg_uuid or holder.name)
        commands.extend(_take_down(tree, key))

    visit(tree.disk)
    return commands


def _take_down(tree: Tree, key: str) -> Iterator[tuple[str, ...]]:
    if key not in tree.nodes:
        # By UUID: two VGs may have the same name, and LVM then refuses to take either by name.
        yield ("vgchange", "--activate", "n", "--select", f"vg_uuid={key}")
        return
    node = tree.nodes[key]
    if node.kind == "crypt":
        yield ("cryptsetup", "close", node.label)
    elif node.kind == "md":
        yield ("mdadm", "--stop", f"/dev/{node.name}")
    elif node.kind == "other" and node.name != tree.disk:
        what = f"{node.name} ({node.label})" if node.label else node.name
        raise StepError(
            f"{tree.disk}: {what} stands on it and is neither LVM, LUKS nor md; take it down by hand"
        )


def check_released(tree: Tree) -> None:
    """Raise StepError when anything but partitions still stands on the disk."""
    left = [
        f"{n.label or n.name}" for n in tree.nodes.values() if n.kind != "partition" and n.name != tree.disk
    ]
    left += [str(mount.path) for mount in plan_unmount(list(tree.mounts), tree.mounted())]
    left += tree.swapping()
    if left:
        raise StepError(
            f"{tree.disk} is still in use by {', '.join(left)}; restart the machine and try again"
        )


def release_disk(context: Context, path: str) -> None:
    """Take the disk at `path` out of use. Raises StepError, OSError."""
    disk = kernel_name(path)
    commands = plan_release(read_tree(disk, context.sysfs, context.proc))
    for command in commands:
        LOG.info("release %s: %s", path, " ".join(command))
    for command in commands:
        if command[0] == "umount":
            unmount(context, Path(command[1]))
        else:
            context.runner.run(command)
    settle(context.runner)
    check_released(read_tree(disk, context.sysfs, context.proc))


@dataclass(frozen=True, slots=True)
class Release:
    """Step: nothing uses the target any more, and the name `pve` is free on the other disks."""

    target: DiskTarget
    rename_vgs: dict[str, str]
    name: ClassVar[str] = "release"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = False

    def renames(self) -> list[tuple[str, ...]]:
        """Give the commands that free the VG name. By UUID, so that only the VG that was meant is renamed."""
        return [("vgrename", "--yes", uuid, name) for uuid, name in self.rename_vgs.items()]

    def describe(self) -> list[Preview]:
        """Give the renames; what else is run depends on what is found on the disk."""
        return [Preview(command=command) for command in self.renames()]

    def run(self, context: Context, progress: Progress) -> None:
        """Look for other VGs of our name once more, release the disk, then rename."""
        self._check_names(context)
        release_disk(context, self.target.path)
        progress(0.5)
        for command in self.renames():
            context.runner.run(command)

    def _check_names(self, context: Context) -> None:
        """The inventory goes on without LVM when LVM does not answer; here that must end the installation."""
        own = read_tree(kernel_name(self.target.path), context.sysfs, context.proc).nodes
        try:
            vgs = read_vgs(context.runner)
        except (ValueError, KeyError) as error:
            raise StepError(f"LVM does not tell which VGs there are: {error}") from error
        for path, vg in vgs.items():
            if vg.name == VG and vg.uuid not in self.rename_vgs and kernel_name(path) not in own:
                raise StepError(
                    f"{path}: another VG is called {VG} (UUID {vg.uuid}), and it was not seen before; "
                    "start again, or rename it with vgrename"
                )
