"""Brings everything to the disk and takes the target out of use; also what cleans up after a failure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from hostlib.inventory import INSTALLED_TAG
from hostlib.paths import TARGET
from installer.config import DiskTarget
from installer.steps.base import Context, Preview, Progress
from installer.steps.handoff import copy_records
from installer.steps.lvm import LVM_SECONDS, VG
from installer.steps.mounts import unmount_target
from installer.steps.partition import PV
from installer.steps.release import release_disk
from installer.steps.wipe import partition_path

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
            Preview(command=self._tag()),
            Preview(command=("umount", "--recursive", str(TARGET))),
            Preview(command=("vgchange", "--activate", "n", VG)),
            Preview(command=self._flush()),
        ]

    def _sync(self, root: Path) -> tuple[str, ...]:
        return ("sync", "--file-system", str(root))

    def _tag(self) -> tuple[str, ...]:
        # Says that the installation has ended well: a live system that finds it does not erase it unasked.
        return ("vgchange", "--devices", partition_path(self.target.path, PV), "--addtag", INSTALLED_TAG, VG)

    def _flush(self) -> tuple[str, ...]:
        return ("blockdev", "--flushbufs", self.target.path)

    def run(self, context: Context, progress: Progress) -> None:
        """Sync, unmount, deactivate, flush."""
        copy_records(context)
        context.runner.run(self._sync(context.target), timeout_seconds=SYNC_SECONDS)
        progress(0.5)
        context.runner.run(self._tag(), timeout_seconds=LVM_SECONDS)
        close_target(context, self.target)
        context.runner.run(self._flush())
