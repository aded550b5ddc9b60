"""The last look before anything changes: the medium is whole, the target is the disk that was meant."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from hostlib.errors import StepError
from hostlib.inventory import Inventory
from hostlib.probe import read_inventory
from hostlib.run import ENVIRONMENT
from hostlib.sizes import MIB
from installer.config import DiskTarget
from installer.steps.base import Context, Preview, Progress, part

SUMS: Final = "SHA256SUMS"
NEW_MEDIUM: Final = "the medium is damaged, write it anew"


def parse_sums(text: str) -> dict[str, str]:
    """Read the output of sha256sum: file name -> hash."""
    sums = {}
    for line in text.splitlines():
        digest, _, name = line.partition(" ")
        if name:
            sums[name.removeprefix(" ").removeprefix("*")] = digest.lower()
    return sums


def check_target(target: DiskTarget, inventory: Inventory) -> str | None:
    """Compare the target with the disks that are there now; give what is wrong, or None."""
    found = [disk for disk in inventory.disks if disk.stable_path == target.path]
    if not found:
        return "the disk is not there any more"
    disk = found[0]
    if disk.boot_medium:
        return "the live system runs from it"
    if disk.read_only:
        return "the disk is read-only"
    for what, meant, seen in (
        ("size in bytes", target.size_bytes, disk.size_bytes),
        ("serial number", target.serial, disk.serial),
        ("model", target.model, disk.model),
    ):
        if meant != seen:
            return f"it is another disk now: its {what} was {meant}, and is {seen}"
    return None


def hash_file(path: Path, progress: Progress) -> str:
    """Give the SHA-256 of a file in hex. Raises OSError."""
    size = max(1, path.stat().st_size)
    digest = hashlib.sha256()
    done = 0
    with path.open("rb", buffering=0) as stream:
        while block := stream.read(4 * MIB):
            digest.update(block)
            done += len(block)
            progress(done / size)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Verify:
    """Step: the root images are as they were built, the target is unchanged, every program is there."""

    target: DiskTarget
    images: tuple[Path, ...]
    programs: tuple[str, ...]
    name: ClassVar[str] = "verify"
    weight: ClassVar[int] = 8
    writes: ClassVar[bool] = False

    def describe(self) -> list[Preview]:
        """Give the equivalent command."""
        return [Preview(command=("sha256sum", "--check", str(self.images[0].parent / SUMS)))]

    def run(self, context: Context, progress: Progress) -> None:
        """Check everything; the first thing that is wrong ends the installation."""
        if missing := [name for name in self.programs if not shutil.which(name, path=ENVIRONMENT["PATH"])]:
            raise StepError(f"programs are missing in the live system: {', '.join(missing)}; {NEW_MEDIUM}")
        if wrong := check_target(self.target, read_inventory(context.runner, health=False)):
            raise StepError(f"{self.target.path}: {wrong}; nothing was changed, start again")
        try:
            sums = parse_sums((self.images[0].parent / SUMS).read_text(encoding="utf-8"))
            for number, image in enumerate(self.images):
                share = 1 / len(self.images)
                _verify(image, sums, part(progress, number * share, share))
        except OSError as error:
            raise StepError(
                f"{error.filename or 'medium'} cannot be read: {error.strerror}; {NEW_MEDIUM}"
            ) from error


def _verify(image: Path, sums: dict[str, str], progress: Progress) -> None:
    expected = sums.get(image.name)
    if expected is None:
        raise StepError(f"{image}: {SUMS} does not list it; {NEW_MEDIUM}")
    found = hash_file(image, progress)
    if found != expected:
        raise StepError(f"{image}: the SHA-256 is {found}, not {expected}; {NEW_MEDIUM}")
