"""What the LVM volumes of a node must measure: the administrator's expectation, written down apart from the installer.

The rules are those of the peer's installer; `tests/unit/test_lab_sizing.py` holds its sample rows.
"""

from __future__ import annotations

from typing import NamedTuple

_GIB_IN_KIB = 1 << 20


class Volumes(NamedTuple):
    """Sizes in MiB; `data` and `metadata` are 0 where there is no thin pool."""

    esp: int
    swap: int
    root: int
    data: int
    metadata: int


def expect_volumes(disk_bytes: int, swap_gib: int) -> Volumes:
    """Compute the volumes of a disk for an answer file that sets `swapsize` and nothing else.

    Args:
        disk_bytes: size of the disk.
        swap_gib: the answer's `swapsize`, in GiB.

    Returns:
        What LVM must show.
    """
    disk_kib = disk_bytes // 1024
    esp_mib = 1024 if disk_kib > 100 * _GIB_IN_KIB else 512
    os_kib = disk_kib - (esp_mib + 1) * 1024
    os_gib = os_kib // _GIB_IN_KIB
    swap_kib = swap_gib * _GIB_IN_KIB
    root_mib = min(_root_mib((os_kib - swap_kib) // 1024), 96 * 1024)
    root_kib = _down(int(root_mib * 1024))
    rest_kib = os_kib - swap_kib - root_kib
    data_kib = _down(int(rest_kib - _reserve_kib(os_gib)))
    if data_kib <= 4 * _GIB_IN_KIB:
        return Volumes(esp_mib, swap_kib // 1024, root_kib // 1024, 0, 0)
    metadata_kib = _down(min(max(data_kib // 100, _GIB_IN_KIB), 16 * _GIB_IN_KIB))
    pool_kib = data_kib - 2 * metadata_kib - 4096
    return Volumes(esp_mib, swap_kib // 1024, root_kib // 1024, pool_kib // 1024, metadata_kib // 1024)


def _root_mib(rest_mib: int) -> float:
    if rest_mib < 12288:
        return (rest_mib - 4) & ~3
    if rest_mib < 49152:
        return (rest_mib // 2) & ~3
    return rest_mib / 4 + 12288


def _reserve_kib(os_gib: int) -> float:
    if os_gib <= 32:
        return 4096
    return 16 * _GIB_IN_KIB if os_gib > 128 else os_gib / 8 * _GIB_IN_KIB


def _down(kib: int) -> int:
    """Round down to LVM's extent of 4 MiB."""
    return kib & ~0xFFF
