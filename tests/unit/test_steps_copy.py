"""Verifying the medium and copying from it."""

import errno
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostlib.errors import StepError
from hostlib.inventory import Disk, Firmware, Inventory
from hostlib.sizes import GIB
from installer.steps import copy, verify
from installer.steps.copy import Copy, Follower, parse_percent
from installer.steps.verify import Verify, check_target, parse_sums
from tests.unit.installer_fakes import DISK, FakeRunner, context, target

CAPTURED = "4\n11\n29\n44\n48\n59\n88\n100\n\n"
"""From `unsquashfs -percentage -quiet` of squashfs-tools 4.6.1, its output not being a terminal."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (None, "")),
        ("4\n11\n2", (0.11, "2")),
        ("29\n", (0.29, "")),
        ("100\n\n", (1.0, "")),
        ("Failed to read\n", (None, "")),
    ],
)
def test_parse_percent(text: str, expected: tuple[float | None, str]) -> None:
    assert parse_percent(text) == expected


@pytest.mark.parametrize("length", [1, 2, 3, 7, 100])
def test_progress_from_pieces_of_any_length(length: int) -> None:
    shown: list[float] = []
    follow = Follower(shown.append, lambda: 0.0)
    for start in range(0, len(CAPTURED), length):
        follow(CAPTURED[start : start + length])
    assert shown == sorted(set(shown))
    assert shown[-1] == 1.0


def test_a_medium_that_gives_nothing_ends_the_copy() -> None:
    now = 0.0
    follow = Follower(lambda _: None, lambda: now)
    now = 119.0
    follow("12\n")
    now = 238.0
    follow("")
    now = 240.0
    with pytest.raises(StepError, match=r"no progress for 120 s at 12%: the medium does not answer"):
        follow("12\n")


def images(tmp_path: Path) -> tuple[Path, ...]:
    (tmp_path / "filesystem.squashfs").write_bytes(b"r" * 300)
    (tmp_path / "slipway.squashfs").write_bytes(b"s" * 100)
    found = (tmp_path / "filesystem.squashfs", tmp_path / "slipway.squashfs")
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in found)
    (tmp_path / "SHA256SUMS").write_text(sums)
    return found


def test_the_second_image_is_laid_over_the_first(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.pieces = ["50\n", "", "100\n"]
    shown: list[float] = []
    here = context(runner, tmp_path)
    first, second = images(tmp_path)
    (here.target / "boot").mkdir(parents=True)
    (here.target / "boot/vmlinuz-6.12.1").touch()
    (tmp_path / "initrd.img").write_text("initramfs")
    Copy((first, second), tmp_path / "initrd.img").run(here, shown.append)
    assert (here.target / "boot/initrd.img-6.12.1").read_text() == "initramfs"
    options = "-percentage -quiet -strict-errors -data-queue 16 -frag-queue 16"
    assert runner.lines == [
        f"unsquashfs -force -dest {here.target} {options} {first}",
        f"unsquashfs -force -dest {here.target} {options} {second}",
    ]
    assert shown == [0.375, 0.75, 0.875, 1.0]


def test_a_read_error_names_the_image(tmp_path: Path) -> None:
    runner = FakeRunner(failures={"unsquashfs": "read_block: failed to read block\nFATAL ERROR: lseek"})
    step = Copy(images(tmp_path), tmp_path / "initrd.img")
    with pytest.raises(
        StepError, match=r"filesystem\.squashfs cannot be unpacked: the medium cannot be read"
    ):
        step.run(context(runner, tmp_path), lambda _: None)
    assert copy.STALL_SECONDS == 120


def test_a_medium_that_ends_before_the_initramfs_is_an_error(tmp_path: Path) -> None:
    here = context(FakeRunner(), tmp_path)
    step = Copy(images(tmp_path), tmp_path / "initrd.img")
    with pytest.raises(StepError, match="0 kernels were copied, one was meant"):
        step.run(here, lambda _: None)
    (here.target / "boot").mkdir(parents=True)
    (here.target / "boot/vmlinuz-6.12.1").touch()
    with pytest.raises(StepError, match=r"initrd\.img cannot be copied: .* \(No such file or directory\)"):
        step.run(here, lambda _: None)


def test_sums_in_both_forms_of_sha256sum() -> None:
    text = "AB12  filesystem.squashfs\ncd34 *slipway.squashfs\n\n"
    assert parse_sums(text) == {"filesystem.squashfs": "ab12", "slipway.squashfs": "cd34"}


def inventory(**update: Any) -> Inventory:
    disk = Disk(
        name="sda",
        path="/dev/sda",
        ids=(DISK.removeprefix("/dev/disk/by-id/"),),
        size_bytes=32 * GIB,
        model="QEMU HARDDISK",
        serial="DISKA",
    )
    return Inventory(
        firmware=Firmware(mode="bios"), memory_bytes=GIB, disks=(disk.model_copy(update=update),)
    )


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({}, None),
        ({"name": "sdc", "path": "/dev/sdc"}, None),
        ({"ids": ("scsi-other",)}, "not there any more"),
        ({"size_bytes": 1}, "its size in bytes was 34359738368, and is 1"),
        ({"serial": "DISKB"}, "its serial number was DISKA, and is DISKB"),
        ({"boot_medium": True}, "the live system runs from it"),
        ({"read_only": True}, "read-only"),
    ],
)
def test_check_target(update: dict[str, Any], expected: str | None) -> None:
    wrong = check_target(target(), inventory(**update))
    assert wrong is None if expected is None else expected in (wrong or "")


def run_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[], object]) -> list[float]:
    monkeypatch.setattr(shutil, "which", lambda name, path: f"{path.split(':')[0]}/{name}")
    monkeypatch.setattr(verify, "read_inventory", lambda _, **__: inventory())
    step = Verify(target(), images(tmp_path), ("sfdisk", "grub-install"))
    spoil()
    runner = FakeRunner()
    shown: list[float] = []
    try:
        step.run(context(runner, tmp_path), shown.append)
    finally:
        assert runner.lines == []
    return shown


def test_verify_reads_both_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_verify(tmp_path, monkeypatch, lambda: None) == [0.5, 1.0]


def test_a_changed_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepError, match=r"slipway\.squashfs: the SHA-256 is .*; the medium is damaged"):
        run_verify(tmp_path, monkeypatch, lambda: (tmp_path / "slipway.squashfs").write_bytes(b"x" * 100))


def test_an_image_without_a_sum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepError, match=r"filesystem\.squashfs: SHA256SUMS does not list it"):
        run_verify(tmp_path, monkeypatch, lambda: (tmp_path / "SHA256SUMS").write_text(""))


def test_a_missing_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepError, match=r"slipway\.squashfs cannot be read: No such file"):
        run_verify(tmp_path, monkeypatch, (tmp_path / "slipway.squashfs").unlink)


def test_a_read_error_of_the_medium_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(verify, "hash_file", broken)
    with pytest.raises(StepError, match=r"medium cannot be read: Input/output error"):
        run_verify(tmp_path, monkeypatch, lambda: None)


def test_missing_programs_are_named_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_sfdisk() -> None:
        monkeypatch.setattr(shutil, "which", lambda name, **_: name if name == "sfdisk" else None)

    with pytest.raises(StepError, match=r"programs are missing in the live system: grub-install;"):
        run_verify(tmp_path, monkeypatch, only_sfdisk)
