"""What is mounted, and how to take it out of use. Nothing is ever detached lazily: a lazy unmount hides writes."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostlib.errors import CommandError, StepError
from installer.steps.base import Context
from installer.steps.udev import settle

LOG = logging.getLogger("slipway.mounts")
UNMOUNT_TRIES: Final = 5
RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo."""

    number: int
    parent: int
    device: str
    """Major and minor number, `8:3`; some file systems give one of their own."""
    path: Path
    source: str


def parse_mountinfo(text: str) -> list[Mount]:
    """Read /proc/self/mountinfo, in the order of mounting."""
    mounts = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if len(fields) < 5 or len(tail) < 2:
            continue
        mounts.append(
            Mount(int(fields[0]), int(fields[1]), fields[2], Path(_unescape(fields[4])), _unescape(tail[1]))
        )
    return mounts


def _unescape(text: str) -> str:
    """Undo the kernel's octal escapes of blanks and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def plan_unmount(mounts: list[Mount], first: set[int]) -> list[Mount]:
    """Give the mounts numbered in `first` and all that lie on them, in the order to unmount them."""
    chosen: list[Mount] = []
    numbers = set(first)
    for mount in mounts:
        if mount.number in numbers or mount.parent in numbers:
            numbers.add(mount.number)
            chosen.append(mount)
    return chosen[::-1]


def read_mounts(proc: Path) -> list[Mount]:
    """Give what this process sees mounted. Raises OSError."""
    return parse_mountinfo((proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace"))


def unmount_target(context: Context) -> None:
    """Unmount the new root and everything below it. Raises StepError naming who holds what."""
    root = context.target
    mounts = read_mounts(context.proc)
    first = {mount.number for mount in mounts if mount.path == root or root in mount.path.parents}
    for mount in plan_unmount(mounts, first):
        unmount(context, mount.path)


def unmount(context: Context, path: Path) -> None:
    """Unmount `path`; a short-lived user such as a probe of udev is waited for. Raises StepError, OSError."""
    for left in reversed(range(UNMOUNT_TRIES)):
        try:
            context.runner.run(["umount", str(path)])
        except CommandError as error:
            # A disk that does not answer holds umount up for good, but the kernel took the mount away first.
            if not any(mount.path == path for mount in read_mounts(context.proc)):
                LOG.warning("%s", error)
                return
            if not left:
                holders = ", ".join(read_holders(path, context.proc)) or "no process that shows up in /proc"
                what = f"{path} cannot be unmounted: {error.output or error.reason}; in use by {holders}"
                raise StepError(f"{what}; end that, or restart the machine, and try again") from error
            settle(context.runner)
            time.sleep(RETRY_SECONDS)
        else:
            return


def read_holders(path: Path, proc: Path) -> list[str]:
    """Name the processes that have a working directory, a root or an open file at or below `path`."""
    return [
        f"{(folder / 'comm').read_text(encoding='utf-8').strip()} ({folder.name})"
        for folder in sorted(proc.glob("[0-9]*"))
        if _uses(folder, path)
    ]


def _uses(process: Path, path: Path) -> bool:
    links = [process / "cwd", process / "root", process / "exe"]
    try:
        links += list((process / "fd").iterdir())
    except OSError:
        return False
    for link in links:
        try:
            used = link.readlink()
        except OSError:
            continue
        if used == path or path in used.parents:
            return True
    return False
