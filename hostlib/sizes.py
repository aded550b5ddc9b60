"""The one place for sizes: integers in bytes, binary units."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB
SECTOR_BYTES = 512


def align_down(size_bytes: int, unit_bytes: int) -> int:
    """Give the largest multiple of `unit_bytes` that is not above `size_bytes`."""
    return size_bytes - size_bytes % unit_bytes


def align_up(size_bytes: int, unit_bytes: int) -> int:
    """Give the smallest multiple of `unit_bytes` that is not below `size_bytes`."""
    return -(-size_bytes // unit_bytes) * unit_bytes


def render_size(size_bytes: int) -> str:
    """Give a size for a person, in the largest binary unit that keeps it at 1 or more: `223.6 GiB`."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f} {name}"
    return f"{size_bytes} B"
