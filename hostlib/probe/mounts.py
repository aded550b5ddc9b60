"""Which block devices are in use: mounted file systems and swap."""

from __future__ import annotations

import re
from collections.abc import Mapping

SWAP = "[SWAP]"
"""Stands for a mountpoint where a device is swap, as in lsblk."""


def parse_mounts(mountinfo: str, swaps: str, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Give kernel name -> mountpoints, from /proc/self/mountinfo and /proc/swaps.

    `names` turns `major:minor` and paths in /dev into kernel names. btrfs has device numbers of its own, so
    the source's path is tried too.
    """
    found: dict[str, list[str]] = {}
    # Split at the kernel's own separators only: a mountpoint may hold any other white space.
    for line in mountinfo.strip("\n").split("\n"):
        mount, _, source = line.partition(" - ")
        fields = mount.split(" ")
        path = _unescape(source.split(" ")[1])
        if name := names.get(fields[2]) or names.get(path):
            found.setdefault(name, []).append(_unescape(fields[4]))
    for line in swaps.strip("\n").split("\n")[1:]:
        if name := names.get(_unescape(line.split()[0])):
            found.setdefault(name, []).append(SWAP)
    return {name: tuple(dict.fromkeys(points)) for name, points in found.items()}


def _unescape(text: str) -> str:
    """Undo the kernel's octal escapes of white space and backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
