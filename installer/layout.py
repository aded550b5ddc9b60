"""Sizes of partitions and LVs: the rules of the Proxmox installer, so that a node looks as expected.

They are kept to the KiB, in its order of evaluation; docs/storage.md tells them in prose.
"""

from __future__ import annotations

from typing import Final

from hostlib.errors import Problem, UserError
from hostlib.sizes import GIB, KIB, MIB, align_down, render_size
from installer.answers.disks import LvmOptions
from installer.config import Layout

EXTENT_BYTES: Final = 4 * MIB
SMALLEST_DISK_BYTES: Final = 8 * GIB
SMALLEST_ROOT_BYTES: Final = 2 * GIB
LARGE_DISK_BYTES: Final = 100 * GIB
SMALLEST_POOL_BYTES: Final = 4 * GIB
DEFAULT_MAX_ROOT_GIB: Final = 96.0


def plan_layout(
    disk_size_bytes: int, logical_sector_bytes: int, memory_bytes: int, options: LvmOptions
) -> Layout:
    """Give the layout for a disk. Raises UserError when the options leave no room for a root."""
    disk_bytes = align_down(disk_size_bytes, KIB)
    used_bytes = min(disk_bytes, int(options.hdsize * GIB)) if options.hdsize else disk_bytes
    if used_bytes < SMALLEST_DISK_BYTES:
        what = f"{render_size(used_bytes)} of the disk are to be used, {render_size(SMALLEST_DISK_BYTES)} are needed"
        raise UserError(Problem("disk-setup.lvm.hdsize", what, "make hdsize larger or choose a larger disk"))
    esp_bytes = (1024 if disk_bytes > LARGE_DISK_BYTES else 512) * MIB
    pv_bytes = used_bytes - esp_bytes - MIB
    swap_bytes = _swap_bytes(pv_bytes, memory_bytes, options)
    root_bytes, data_bytes = _split(pv_bytes, swap_bytes, options)
    if root_bytes < SMALLEST_ROOT_BYTES:
        what = f"swap and maxroot leave {render_size(max(root_bytes, 0))} for the root, 2 GiB are needed"
        raise UserError(Problem("disk-setup.lvm", what, "make swapsize smaller or maxroot larger"))
    metadata_bytes = 0
    if data_bytes > SMALLEST_POOL_BYTES:
        metadata_bytes = align_down(min(max(data_bytes // 100, GIB), 16 * GIB), EXTENT_BYTES)
        # LVM keeps a spare of the metadata's size beside it.
        data_bytes -= 2 * metadata_bytes + EXTENT_BYTES
    return Layout(
        bios_boot=logical_sector_bytes != 4096,
        esp_bytes=esp_bytes,
        # Behind the end must be room for the backup of the partition table; else all of the disk is used.
        disk_end_bytes=align_down(used_bytes, MIB) if used_bytes <= disk_bytes - MIB else 0,
        swap_bytes=swap_bytes,
        root_bytes=root_bytes,
        data_bytes=data_bytes if metadata_bytes else 0,
        metadata_bytes=metadata_bytes,
    )


def _swap_bytes(pv_bytes: int, memory_bytes: int, options: LvmOptions) -> int:
    if options.swapsize is not None:
        return align_down(int(options.swapsize * GIB), EXTENT_BYTES)
    space_gib = pv_bytes // GIB
    mib = memory_bytes // MIB
    if mib < 4096 and space_gib >= 64:
        mib = 4096
    if mib < 2048 and space_gib >= 32:
        mib = 2048
    if mib >= 2048 and space_gib <= 16:
        mib = 1024
    mib = max(mib, 512)
    mib = min(mib, space_gib * 128, 8192)
    return align_down(mib * MIB, EXTENT_BYTES)


def _split(pv_bytes: int, swap_bytes: int, options: LvmOptions) -> tuple[int, int]:
    """Give the bytes of the root and those for data before its metadata."""
    rest = pv_bytes - swap_bytes
    mib = rest // MIB
    if mib < 12288:
        root_mib = float((mib - 4) & ~3)
    elif mib < 49152:
        root_mib = float((mib // 2) & ~3)
    else:
        root_mib = mib / 4 + 12288
    root_mib = min(root_mib, (options.maxroot or DEFAULT_MAX_ROOT_GIB) * 1024)
    root_bytes = align_down(int(root_mib * 1024) * KIB, EXTENT_BYTES)
    rest -= root_bytes
    free = _reserve_bytes(pv_bytes // GIB)
    if options.minfree is not None and options.minfree * GIB < rest:
        free = options.minfree * GIB
    data_bytes = align_down(max(int(rest - free), 0), EXTENT_BYTES)
    if options.maxvz is not None:
        data_bytes = min(data_bytes, align_down(int(options.maxvz * GIB), EXTENT_BYTES))
    return root_bytes, data_bytes


def _reserve_bytes(space_gib: int) -> float:
    """Give what stays free in the VG for snapshots and the like."""
    if space_gib <= 32:
        return EXTENT_BYTES
    return 16 * GIB if space_gib > 128 else space_gib / 8 * GIB
