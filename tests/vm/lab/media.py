"""Disks and volumes, made without mounting anything on the host."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from tests.vm.lab.errors import LabError
from tests.vm.lab.programs import run_program
from tests.vm.lab.spec import DiskFormat

GIB: Final = 1 << 30
MIB: Final = 1 << 20
VolumeKind = Literal["fat", "ext4", "iso"]
_BLOCK_BYTES: Final = 64 * 1024
_ZEROS: Final = bytes(_BLOCK_BYTES)


def make_disk(path: Path, size_bytes: int, disk_format: DiskFormat = DiskFormat.RAW) -> Path:
    """Make a blank disk that takes no room on the host until it is written to.

    Args:
        path: file to make; one that is there is replaced.
        size_bytes: size that the guest sees.
        disk_format: format of the file.

    Returns:
        `path`.

    Raises:
        LabError: qemu-img failed.
    """
    path.unlink(missing_ok=True)
    if disk_format is DiskFormat.RAW:
        with path.open("wb") as file:
            file.truncate(size_bytes)
    else:
        run_program(["qemu-img", "create", "-q", "-f", disk_format, path, str(size_bytes)])
    return path


def make_dirty_disk(path: Path, size_bytes: int, seed: int) -> Path:
    """Make a raw disk that somebody has used: 2 MiB of known noise at its start and at its end.

    Args:
        path: file to make; one that is there is replaced.
        size_bytes: size that the guest sees.
        seed: the same seed gives the same noise.

    Returns:
        `path`.
    """
    make_disk(path, size_bytes)
    # Test data, not a secret: it has to be the same in every run.
    noise = random.Random(seed)  # noqa: S311
    with path.open("r+b") as file:
        for offset in (0, size_bytes - 2 * MIB):
            file.seek(offset)
            file.write(noise.randbytes(2 * MIB))
    return path


def make_write_errors(path: Path, sectors: Sequence[int]) -> Path:
    """Write down for QEMU's blkdebug which sectors of 512 bytes can be read but not written (EIO); gives `path`."""
    rule = '[inject-error]\nevent = "pwritev"\niotype = "write"\nerrno = "5"\nsector = "{}"\n'
    path.write_text("".join(rule.format(sector) for sector in sectors), encoding="ascii")
    return path


def make_read_errors(path: Path) -> Path:
    """Write down for QEMU's blkdebug that no sector can be read (EIO); gives `path`."""
    path.write_text('[inject-error]\nevent = "none"\niotype = "read"\nerrno = "5"\n', encoding="ascii")
    return path


def make_overlay(path: Path, base: Path, base_format: DiskFormat = DiskFormat.QCOW2) -> Path:
    """Make a disk that begins as `base` and keeps what is written to itself; `base` must not change any more.

    Raises:
        LabError: qemu-img failed.
    """
    path.unlink(missing_ok=True)
    run_program(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base.resolve(), "-F", base_format, path])
    return path


def make_volume(
    path: Path, kind: VolumeKind, label: str, files: Mapping[str, bytes], size_mib: int = 16
) -> Path:
    """Make a volume that holds files, without a partition table.

    Args:
        path: file to make; one that is there is replaced.
        kind: its file system.
        label: its label, in the letter case given.
        files: contents by path inside the volume; folders are made.
        size_mib: size in MiB; an ISO is as large as it has to be.

    Returns:
        `path`.

    Raises:
        LabError: a program failed or is missing.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-volume-") as name:
        folder = Path(name)
        for inside, content in files.items():
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        _fill_volume(path, kind, label, folder, size_mib)
    return path


def _fill_volume(path: Path, kind: VolumeKind, label: str, folder: Path, size_mib: int) -> None:
    path.unlink(missing_ok=True)
    if kind == "iso":
        run_program(
            [
                "xorriso",
                "-as",
                "mkisofs",
                "-quiet",
                "-V",
                label,
                "-rational-rock",
                "-joliet",
                "-o",
                path,
                folder,
            ]
        )
        return
    make_disk(path, size_mib * MIB)
    if kind == "ext4":
        run_program(["mke2fs", "-q", "-t", "ext4", "-L", label, "-d", folder, path])
        return
    run_program(
        ["mformat", "-i", path, "-h", "16", "-s", "63", "-T", str(size_mib * MIB // 512), "-v", label, "::"]
    )
    entries = sorted(folder.iterdir())
    if entries:
        run_program(["mcopy", "-s", "-i", path, *entries, "::/"])


def read_volume(path: Path, name: str) -> bytes:
    """Read a file in the root folder of a FAT volume; no machine may be running on it.

    Raises:
        LabError: there is no such file.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-volume-") as folder:
        target = Path(folder) / "file"
        run_program(["mcopy", "-n", "-i", path, f"::/{name}", target])
        return target.read_bytes()


def content_digest(path: Path, disk_format: DiskFormat = DiskFormat.RAW) -> str:
    """Give a SHA-256 that changes when any bit of what the guest can read changes, and only then.

    Args:
        path: file of the disk; no machine may be running on it.
        disk_format: its format.

    Returns:
        Hexadecimal digest over the size and every block of 64 KiB that is not all zero, with its place.

    Raises:
        LabError: qemu-img failed.
    """
    if disk_format is DiskFormat.RAW:
        return _raw_digest(path)
    with tempfile.TemporaryDirectory(prefix="slipway-digest-", dir=path.parent) as name:
        raw = Path(name) / "disk.raw"
        run_program(["qemu-img", "convert", "-O", "raw", path, raw], timeout_seconds=900)
        return _raw_digest(raw)


def find_in_disk(path: Path, texts: Sequence[str], disk_format: DiskFormat) -> list[str]:
    """Search the whole content of a disk, in whatever file or free block it is.

    Args:
        path: file of the disk; no machine may be running on it.
        texts: what to look for, at most 64 KiB each.
        disk_format: its format.

    Returns:
        Those that are there.

    Raises:
        LabError: qemu-img failed.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-search-", dir=path.parent) as name:
        raw = Path(name) / "disk.raw"
        run_program(["qemu-img", "convert", "-f", disk_format, "-O", "raw", path, raw], timeout_seconds=900)
        return find_in_raw(raw, texts)


def find_in_raw(path: Path, texts: Sequence[str]) -> list[str]:
    """Search a raw disk as `find_in_disk` does."""
    found: set[str] = set()
    end, last = 0, b""
    for offset, block in _data_blocks(path):
        # A text may begin in one block and end in the next.
        seen = last + block if offset == end else block
        found |= {text for text in texts if text.encode() in seen}
        end, last = offset + len(block), block
    return [text for text in texts if text in found]


def _raw_digest(path: Path) -> str:
    digest = hashlib.sha256(str(path.stat().st_size).encode())
    for offset, block in _data_blocks(path):
        digest.update(offset.to_bytes(8, "big"))
        digest.update(block)
    return digest.hexdigest()


def _data_blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Give the blocks that are not all zero, skipping holes without reading them."""
    with path.open("rb") as file:
        size = path.stat().st_size
        offset = 0
        while offset < size:
            try:
                start = os.lseek(file.fileno(), offset, os.SEEK_DATA)
            except OSError:
                return  # nothing but a hole up to the end
            offset = start - start % _BLOCK_BYTES
            block = os.pread(file.fileno(), _BLOCK_BYTES, offset)
            if block != _ZEROS[: len(block)]:
                yield offset, block
            offset += _BLOCK_BYTES


def extract_from_iso(iso: Path, inside: str, target: Path) -> Path:
    """Copy one file out of an ISO.

    Args:
        iso: the image.
        inside: path in it, such as `/live/vmlinuz`.
        target: file to make; one that is there is replaced.

    Returns:
        `target`.

    Raises:
        LabError: xorriso failed, or no such file is in the image.
    """
    target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    run_program(["xorriso", "-osirrox", "on", "-indev", iso, "-extract", inside, target])
    target.chmod(0o644)
    return target


def need_free_bytes(folder: Path, needed_bytes: int) -> None:
    """Check that a folder's file system has room.

    Raises:
        LabError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise LabError(f"{folder}: {free >> 20} MiB free, the VM tests need {needed_bytes >> 20} MiB")
