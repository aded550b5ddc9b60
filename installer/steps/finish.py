"""Brings everything to the disk and takes the target out of use; also what cleans up after a failure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from hostlib.paths import TARGET
from installer.config import DiskTarget
from installer.steps.base import Context, Preview, Progress
from installer.steps.lvm import VG
from installer.steps.mounts import unmount_target
from installer.steps.release import release_disk

SYNC_SECONDS: Final = 1800.0
"""By a program, so that a disk that does not answer ends the installation and does not hang it."""


def close_target(context: Context, target: DiskTarget) -> None:
    """Unmount the new root and take the disk out of use. Raises StepError, OSError."""
    unmount_target(context)
    release_disk(context, target.path)


@dataclass(frozen=True, slots=True)
class Finish:
    """Step: all data is on the disk, and nothing uses it any more."""

    target: DiskTarget
    name: ClassVar[str] = "finish"
    weight: ClassVar[int] = 3
    writes: ClassVar[bool] = True

    def describe(self) -> list[Preview]:
        """Give the equivalent commands."""
        return [
            Preview(command=self._sync(TARGET)),
            Preview(command=("umount", "--recursive", str(TARGET))),
            Preview(command=("vgchange", "--activate", "n", VG)),
            Preview(command=self._flush()),
        ]

    def _sync(self, root: Path) -> tuple[str, ...]:
        return ("sync", "--file-system", str(root))

    def _flush(self) -> tuple[str, ...]:
        return ("blockdev", "--flushbufs", self.target.path)

    def run(self, context: Context, progress: Progress) -> None:
        """Sync, unmount, deactivate, flush."""
        context.runner.run(self._sync(context.target), timeout_seconds=SYNC_SECONDS)
        progress(0.5)
        close_target(context, self.target)
        context.runner.run(self._flush())
