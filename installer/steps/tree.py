"""What stands on a disk and uses it: partitions, LVM, LUKS, md, mounts and swap, read from sysfs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hostlib.files import read_if_there
from installer.steps.mounts import Mount, read_mounts

Kind = Literal["disk", "partition", "lvm", "crypt", "md", "other"]


@dataclass(frozen=True, slots=True)
class Node:
    """A block device in the tree of a disk."""

    name: str
    """Kernel name: `sda3`, `dm-0`, `md127`."""
    kind: Kind
    number: str = ""
    """Major and minor number."""
    label: str = ""
    """Name of a device-mapper device."""
    vg_uuid: str = ""
    container: bool = False
    """An md container (IMSM, DDF): it can only stop after the arrays in it."""
    holders: tuple[str, ...] = ()
    """Kernel names of what stands on it: its partitions, and the devices built from it."""

    @property
    def vg(self) -> str:
        """Name of the VG of an LV; a hyphen in it is doubled in the label."""
        return self.label.replace("--", "\0").partition("-")[0].replace("\0", "-") if self.vg_uuid else ""


@dataclass(frozen=True, slots=True)
class Tree:
    """A disk, everything that stands on it, and its uses."""

    disk: str
    nodes: dict[str, Node]
    mounts: tuple[Mount, ...] = ()
    """All mounts of the machine, in their order."""
    swaps: tuple[str, ...] = ()
    """All swap devices and files in use on the machine."""

    def mounted(self) -> set[int]:
        """Give the numbers of the mounts that lie on the disk."""
        numbers = {node.number for node in self.nodes.values()}
        return {m.number for m in self.mounts if m.device in numbers or kernel_name(m.source) in self.nodes}

    def swapping(self) -> list[str]:
        """Give the swap devices and files that lie on the disk."""
        mounted = self.mounted()
        roots = [m.path for m in self.mounts if m.number in mounted and m.path != Path("/")]
        return [
            swap
            for swap in self.swaps
            if kernel_name(swap) in self.nodes or any(root in Path(swap).parents for root in roots)
        ]


def kernel_name(device: str) -> str:
    """Give the kernel's name of a device path; links are followed. Empty for what is no device path."""
    return Path(os.path.realpath(device)).name if device.startswith("/dev/") else ""


def read_tree(disk: str, sysfs: Path, proc: Path) -> Tree:
    """Read what stands on the disk with kernel name `disk`. Raises OSError."""
    nodes: dict[str, Node] = {}
    waiting = [disk]
    while waiting:
        name = waiting.pop()
        if name not in nodes:
            nodes[name] = _read_node(name, sysfs)
            waiting += nodes[name].holders
    swaps = (read_if_there(proc / "swaps") or "").splitlines()[1:]
    return Tree(
        disk, nodes, tuple(read_mounts(proc)), tuple(line.split()[0] for line in swaps if line.strip())
    )


def read_lvs(sysfs: Path) -> dict[str, Node]:
    """Read all active LVs of the machine, also those whose disk has gone: kernel name -> device."""
    folders = (sysfs / "class/block").glob("dm-*")
    nodes = [_read_node(folder.name, sysfs) for folder in sorted(folders)]
    return {node.name: node for node in nodes if node.kind == "lvm"}


def _read_node(name: str, sysfs: Path) -> Node:
    folder = sysfs / "class/block" / name
    uuid = read_if_there(folder / "dm/uuid") or ""
    parts = {entry.parent.name for entry in folder.glob("*/partition")}
    held_by = {entry.name for entry in _entries(folder / "holders")}
    return Node(
        name=name,
        kind=_kind(folder, uuid),
        number=read_if_there(folder / "dev") or "",
        label=read_if_there(folder / "dm/name") or "",
        vg_uuid=render_lvm_uuid(uuid[4:36]) if uuid.startswith("LVM-") else "",
        container=(read_if_there(folder / "md/metadata_version") or "") in ("external:imsm", "external:ddf"),
        holders=tuple(sorted(parts | held_by)),
    )


def _kind(folder: Path, dm_uuid: str) -> Kind:
    if (folder / "partition").exists():
        return "partition"
    if (folder / "md").is_dir():
        return "md"
    if dm_uuid.startswith("LVM-"):
        return "lvm"
    if dm_uuid.startswith("CRYPT-"):
        return "crypt"
    return "disk" if (folder / "device").exists() else "other"


def _entries(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from folder.iterdir()


def render_lvm_uuid(letters: str) -> str:
    """Give LVM's way to write a UUID of 32 characters: groups of 6-4-4-4-4-4-6."""
    bounds = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(letters[start:end] for start, end in itertools.pairwise(bounds))
