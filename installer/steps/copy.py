"""Unpacks the root images onto the new root, and notices when the medium is gone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from hostlib.errors import CommandError, StepError
from hostlib.paths import TARGET
from installer.steps.base import Context, Preview, Progress, part

STALL_SECONDS: Final = 120.0
"""A medium that gives nothing for so long is gone; a slow one over a management card still gives a percent."""
LIMIT_SECONDS: Final = 4 * 3600.0
QUEUE_MIB: Final = 16
"""Of each of unsquashfs's two queues; its own default of 256 is too much for a machine with 1 GiB, which holds the images in memory."""


def parse_percent(text: str) -> tuple[float | None, str]:
    """Read what `unsquashfs -percentage` printed: one number a line.

    Takes all text that is not yet used, gives the last whole number as 0.0 to 1.0 (None when there is none)
    and the unfinished rest of the text.
    """
    *lines, rest = text.split("\n")
    numbers = [int(line) for line in lines if line.isdigit()]
    return (min(numbers[-1], 100) / 100 if numbers else None), rest


@dataclass(slots=True)
class Follower:
    """Turns the pieces of unsquashfs's output into progress. Raises StepError when none comes for too long."""

    progress: Progress
    clock: Callable[[], float]
    rest: str = ""
    last: float = 0.0
    since: float = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.clock()

    def __call__(self, piece: str) -> None:
        """Take a piece; an empty one comes each second in which nothing was printed."""
        done, self.rest = parse_percent(self.rest + piece)
        if done is not None and done > self.last:
            self.last, self.since = done, self.clock()
            self.progress(done)
        elif self.clock() - self.since > STALL_SECONDS:
            raise StepError(
                f"no progress for {STALL_SECONDS:g} s at {self.last:.0%}: the medium does not answer; "
                "check that it is still connected"
            )


@dataclass(frozen=True, slots=True)
class Copy:
    """Step: the system is on the new root."""

    images: tuple[Path, ...]
    """In order; a later one is laid over the earlier ones."""
    initramfs: Path
    """The live system's. It is generic (all storage drivers, LVM) and holds nothing of a machine, so the node
    starts with the same one; live-boot in it does nothing without `boot=live`."""
    name: ClassVar[str] = "copy"
    weight: ClassVar[int] = 60
    writes: ClassVar[bool] = True

    def commands(self, root: Path) -> list[tuple[str, ...]]:
        """Give one command an image. A read error ends unsquashfs instead of leaving a file out."""
        queues = ("-data-queue", str(QUEUE_MIB), "-frag-queue", str(QUEUE_MIB))
        options = ("-force", "-dest", str(root), "-percentage", "-quiet", "-strict-errors", *queues)
        return [("unsquashfs", *options, str(image)) for image in self.images]

    def describe(self) -> list[Preview]:
        """Give the commands."""
        initramfs = Preview(command=("cp", str(self.initramfs), f"{TARGET}/boot/initrd.img-VERSION"))
        return [*(Preview(command=command) for command in self.commands(TARGET)), initramfs]

    def run(self, context: Context, progress: Progress) -> None:
        """Unpack; the images share the progress by their sizes."""
        sizes = [image.stat().st_size for image in self.images]
        before = 0
        for command, size in zip(self.commands(context.target), sizes, strict=True):
            follow = Follower(part(progress, before / sum(sizes), size / sum(sizes)), time.monotonic)
            try:
                context.runner.run(command, on_output=follow, timeout_seconds=LIMIT_SECONDS)
            except CommandError as error:
                raise StepError(
                    f"{command[-1]} cannot be unpacked: the medium cannot be read or the disk not written\n{error}"
                ) from error
            before += size
        self._copy_initramfs(context.target / "boot")

    def _copy_initramfs(self, boot: Path) -> None:
        kernels = list(boot.glob("vmlinuz-*"))
        if len(kernels) != 1:
            raise StepError(
                f"{boot}: {len(kernels)} kernels were copied, one was meant; the medium is damaged, write it anew"
            )
        version = kernels[0].name.removeprefix("vmlinuz-")
        try:
            shutil.copyfile(self.initramfs, boot / f"initrd.img-{version}")
        except OSError as error:
            raise StepError(
                f"{self.initramfs} cannot be copied: the medium cannot be read or the disk not written ({error.strerror})"
            ) from error
