"""Whether a disk that seems to be empty can be read at all: udev knows nothing of what is on one that cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from hostlib.inventory import UNREADABLE, Content, Disk
from hostlib.probe.deadline import gather

_BYTES: Final = 4096


def read_beginning(path: str) -> None:
    """Read the first 4096 bytes of a disk. Raises OSError."""
    with Path(path).open("rb", buffering=0) as disk:
        disk.read(_BYTES)


def mark_unreadable(disks: Sequence[Disk], read: Callable[[str], None], seconds: float) -> tuple[Disk, ...]:
    """Give the disks; on one that nothing is known to be on and that gives an error, there is `UNREADABLE`.

    A sleeping drive is not woken, and nothing is concluded from one that does not answer within `seconds`, or that
    the user may not open, nor from one of several paths: the passive ones of a storage system give errors.
    """
    probes = {disk.name: partial(_fails, read, disk.path) for disk in disks if _is_asked(disk)}
    failed = gather("beginning of", probes, seconds)
    return tuple(
        disk.model_copy(update={"contents": (Content(device=disk.name, type=UNREADABLE),)})
        if failed.get(disk.name)
        else disk
        for disk in disks
    )


def _is_asked(disk: Disk) -> bool:
    asleep = disk.health is not None and disk.health.standby
    return not disk.contents and not asleep and disk.kind != "multipath-path"


def _fails(read: Callable[[str], None], path: str) -> bool:
    try:
        read(path)
    except PermissionError:
        return False
    except OSError:
        return True
    return False
