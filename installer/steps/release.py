"""Takes the target out of use: swap, mounts, LUKS, LVM and md on this disk, and on no other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from hostlib.errors import CommandError, StepError
from hostlib.paths import MEDIUM
from hostlib.probe.lvm import Vg, read_vgs
from installer.config import DiskTarget
from installer.steps.base import Context, Preview, Progress
from installer.steps.detach import detach_disk, disk_of
from installer.steps.lvm import VG
from installer.steps.mounts import plan_unmount, unmount
from installer.steps.tree import Node, Tree, kernel_name, read_lvs, read_tree
from installer.steps.udev import settle

LOG = logging.getLogger("slipway.release")
RELEASE_PROGRAMS: Final = (
    "swapoff",
    "umount",
    "cryptsetup",
    "vgchange",
    "vgrename",
    "dmsetup",
    "mdadm",
    "udevadm",
    "tee",
)
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


def plan_removals(nodes: Mapping[str, Node]) -> list[tuple[str, ...]]:
    """Give the commands that take LVs down without LVM, each after those that stand on it.

    For LVs whose disk cannot be read: LVM finds no VG there, and leaves what the kernel has of it.
    """
    left = {name: node for name, node in nodes.items() if node.kind == "lvm"}
    commands: list[tuple[str, ...]] = []
    while left:
        top = [name for name, node in left.items() if not left.keys() & set(node.holders)]
        commands += [("dmsetup", "remove", "--retry", left.pop(name).label) for name in sorted(top)]
    return commands


def _remove_lvs(context: Context, nodes: Mapping[str, Node]) -> None:
    for command in plan_removals(nodes):
        LOG.info("LVM does not take it down: %s", " ".join(command))
        context.runner.run(command)


def _deactivate(context: Context, disk: str, command: tuple[str, ...]) -> None:
    """Take a VG down, and what LVM leaves of it on the disk: both of which a failing disk may make fail."""
    try:
        context.runner.run(command)
    except CommandError as error:
        LOG.warning("%s", error)
    nodes = read_tree(disk, context.sysfs, context.proc).nodes.values()
    _remove_lvs(context, {node.name: node for node in nodes if command[-1] == f"vg_uuid={node.vg_uuid}"})


def release_disk(context: Context, path: str) -> None:
    """Take the disk at `path` out of use. Raises StepError, OSError."""
    disk = kernel_name(path)
    commands = plan_release(read_tree(disk, context.sysfs, context.proc))
    for command in commands:
        LOG.info("release %s: %s", path, " ".join(command))
    for command in commands:
        if command[0] == "umount":
            unmount(context, Path(command[1]))
        elif command[0] == "vgchange":
            _deactivate(context, disk, command)
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
        vgs = self._read_vgs(context)
        release_disk(context, self.target.path)
        # Left by a disk that has gone, or that cannot be read any more. They would hold the names of our LVs.
        known = {vg.uuid for vg in vgs.values()}
        orphans = read_lvs(context.sysfs)
        _remove_lvs(context, {n: lv for n, lv in orphans.items() if lv.vg == VG and lv.vg_uuid not in known})
        progress(0.5)
        for command in self.renames():
            why = _rename(context, command)
            if why:
                _set_aside(context, command[2], vgs, why)

    def _read_vgs(self, context: Context) -> dict[str, Vg]:
        """The inventory goes on without LVM when LVM does not answer; here that must end the installation."""
        own = read_tree(kernel_name(self.target.path), context.sysfs, context.proc).nodes
        vgs = _ask_lvm(context)
        for path, vg in vgs.items():
            if vg.name == VG and vg.uuid not in self.rename_vgs and kernel_name(path) not in own:
                raise StepError(
                    f"{path}: another VG is called {VG} (UUID {vg.uuid}), and it was not seen before; "
                    "start again, or rename it with vgrename"
                )
        return vgs


def _ask_lvm(context: Context) -> dict[str, Vg]:
    """Give path of a PV -> its VG. Raises StepError."""
    try:
        return read_vgs(context.runner)
    except (ValueError, KeyError) as error:
        raise StepError(f"LVM does not tell which VGs there are: {error}") from error


def _rename(context: Context, command: tuple[str, ...]) -> str:
    """Rename a VG; give why it has not got its new name, or nothing."""
    try:
        done = context.runner.run(command)
    except CommandError as error:
        return (error.output.splitlines() or [error.reason])[-1]
    # By UUID, vgrename ends with status 0 although it could write nothing (LVM 2.03.31, a disk that is read-only).
    if all(vg.uuid != command[2] or vg.name != VG for vg in _ask_lvm(context).values()):
        return ""
    return (done.stderr.splitlines() or ["vgrename changed nothing"])[-1].strip()


def _set_aside(context: Context, uuid: str, vgs: Mapping[str, Vg], why: str) -> None:
    """Take the disk of a VG that cannot be renamed out of this live system. Raises StepError.

    Only one that an installation has failed on since the machine was started: nobody misses what is on it, and
    whoever chose another disk knows of it. For any other, a node that starts from the wrong VG is worse than none.
    """
    failed = {kernel_name(path): path for path in context.failed_disks}
    disks = {disk_of(context.sysfs, kernel_name(path)) for path, vg in vgs.items() if vg.uuid == uuid}
    where = ", ".join(sorted(failed.get(disk, f"/dev/{disk}") for disk in disks)) or f"VG {uuid}"
    if not disks or not disks <= failed.keys():
        raise StepError(
            f"{where}: its VG {VG} cannot be renamed ({why}), and the node would find two of that name; "
            "take the disk out of the machine, or make it writable, and try again"
        )
    for disk in sorted(disks):
        tree = read_tree(disk, context.sysfs, context.proc)
        if tree.mounted() or tree.swapping():
            raise StepError(f"{failed[disk]}: it is in use; unmount what is on it and try again")
        release_disk(context, failed[disk])
        detach_disk(context, disk)
    if any(vg.uuid == uuid for vg in _ask_lvm(context).values()):
        raise StepError(f"{where}: LVM still sees its VG {VG}; take the disk out and try again")
    context.warn(
        f"{where}: the disk takes no writes, so its VG {VG} keeps that name. Take it out before the machine "
        "restarts: a node that finds two VGs of one name may not start"
    )
