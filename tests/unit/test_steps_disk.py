"""Wiping, partitions, LVM and file systems."""

from pathlib import Path

import pytest

from hostlib.errors import CommandError, StepError
from hostlib.sizes import GIB, MIB
from installer.steps import wipe
from installer.steps.filesystems import MakeFilesystems, plan_mkfs
from installer.steps.lvm import VolumeGroup, plan_lvm
from installer.steps.partition import Partition, render_sfdisk
from installer.steps.wipe import Wipe, partition_path, zero_ends
from tests.unit.installer_fakes import DISK, FakeRunner, context, layout, target

SFDISK_512 = """\
label: gpt
unit: sectors
first-lba: 34

1: start=34, size=2014, type=21686148-6449-6E6F-744E-656564454649
2: start=2048, size=1048576, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
3: start=1050624, type=E6D6D379-F507-44C2-A23C-238F2A3DF928
"""
SFDISK_4KN = """\
label: gpt
unit: sectors

2: start=256, size=262144, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
3: start=262400, size=25952000, type=E6D6D379-F507-44C2-A23C-238F2A3DF928
"""


def test_sfdisk_script_for_a_whole_disk() -> None:
    assert render_sfdisk(layout(), 512) == SFDISK_512


def test_sfdisk_script_for_4kn_with_a_limit() -> None:
    limited = layout(bios_boot=False, esp_bytes=1024 * MIB, disk_end_bytes=100 * GIB)
    assert render_sfdisk(limited, 4096) == SFDISK_4KN


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        (DISK, f"{DISK}-part3"),
        ("/dev/disk/by-id/nvme-X_1", "/dev/disk/by-id/nvme-X_1-part3"),
        ("/dev/sda", "/dev/sda3"),
        ("/dev/vdaa", "/dev/vdaa3"),
        ("/dev/nvme0n1", "/dev/nvme0n1p3"),
        ("/dev/mmcblk0", "/dev/mmcblk0p3"),
    ],
)
def test_partition_path(disk: str, expected: str) -> None:
    assert partition_path(disk, 3) == expected


def test_partition_waits_for_udev(tmp_path: Path) -> None:
    runner = FakeRunner()
    Partition(target(), layout()).run(context(runner, tmp_path), lambda _: None)
    assert runner.inputs == [SFDISK_512]
    assert runner.lines == [
        f"sfdisk --lock=yes --wipe=always --wipe-partitions=always --color=never {DISK}",
        "udevadm settle --timeout=30",
        f"udevadm wait --timeout=30 {DISK}-part1 {DISK}-part2 {DISK}-part3",
    ]


@pytest.mark.parametrize("size", [100 * MIB, 20 * MIB, 1024])
def test_both_ends_are_zeroed(tmp_path: Path, size: int) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"\xff" * size)
    zero_ends(disk, 16 * MIB)
    content = disk.read_bytes()
    assert len(content) == size
    end = min(16 * MIB, size)
    assert content[:end].count(0) == end
    assert content[-end:].count(0) == end
    assert content.count(0xFF) == max(0, size - 32 * MIB)


def fake_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two partitions in sysfs, and what would be zeroed as a list."""
    for number in (1, 3):
        folder = tmp_path / f"sys/class/block/sda/sda{number}"
        folder.mkdir(parents=True)
        (folder / "partition").write_text(f"{number}\n")
    monkeypatch.setattr(wipe, "zero_ends", lambda path, _: zeroed.append(str(path)))
    zeroed: list[str] = []
    return tmp_path / "sys/class/block/sda"


def reread(folder: Path, *, stays: bool = False) -> FakeRunner:
    """A runner whose re-read of the table takes the partitions away."""
    runner = FakeRunner()

    def forget(line: str) -> None:
        if line.startswith("blockdev") and not stays:
            for entry in folder.glob("*/partition"):
                entry.unlink()

    runner.before = forget
    return runner


def test_wipe_begins_with_the_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = reread(fake_disk(tmp_path, monkeypatch))
    Wipe(target(path="/dev/sda")).run(context(runner, tmp_path), lambda _: None)
    assert runner.lines == [
        "wipefs --all /dev/sda1",
        "wipefs --all /dev/sda3",
        "wipefs --all /dev/sda",
        "udevadm settle --timeout=30",
        "blockdev --rereadpt /dev/sda",
        "udevadm settle --timeout=30",
    ]


def test_a_table_that_the_kernel_keeps_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = reread(fake_disk(tmp_path, monkeypatch), stays=True)
    with pytest.raises(StepError, match=r"still sees partitions \[1, 3\]"):
        Wipe(target(path="/dev/sda")).run(context(runner, tmp_path), lambda _: None)


def test_a_busy_table_is_read_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_disk(tmp_path, monkeypatch)
    runner = FakeRunner(failures={"blockdev": "BLKRRPART: Device or resource busy"})
    with pytest.raises(CommandError, match="resource busy"):
        Wipe(target(path="/dev/sda")).run(context(runner, tmp_path), lambda _: None)
    assert runner.lines.count("blockdev --rereadpt /dev/sda") == 2


PV = f"{DISK}-part3"
POOL = f"lvcreate --yes --devices {PV} --type thin-pool"
LVM = [
    f"pvcreate --yes -ff --metadatasize 250k --devices {PV} {PV}",
    f"vgcreate --yes --devices {PV} pve {PV}",
    f"lvcreate --yes --wipesignatures y --zero y --devices {PV} --size 4160749568b --name swap pve",
    f"lvcreate --yes --wipesignatures y --zero y --devices {PV} --size 14826864640b --name root pve",
    f"{POOL} --size 12675186688b --poolmetadatasize 1073741824b --monitor n --name data pve",
    "udevadm wait --timeout=30 /dev/pve/swap /dev/pve/root",
]


def test_lvm_sees_only_the_new_pv(tmp_path: Path) -> None:
    runner = FakeRunner()
    VolumeGroup(target(), layout()).run(context(runner, tmp_path), lambda _: None)
    assert runner.lines == LVM


def test_a_small_disk_gets_neither_swap_nor_pool() -> None:
    commands = plan_lvm(layout(swap_bytes=0, data_bytes=0, metadata_bytes=0), PV)
    assert [" ".join(command) for command in commands] == [
        *LVM[:2],
        LVM[3],
        "udevadm wait --timeout=30 /dev/pve/root",
    ]


def test_mkfs_for_ext4_and_for_xfs_on_4kn() -> None:
    assert plan_mkfs("ext4", layout(), target()) == [
        ("mkfs.ext4", "-F", "-q", "-E", "nodiscard", "-L", "root", "/dev/pve/root"),
        ("mkfs.vfat", "-F", "32", "-n", "ESP", f"{DISK}-part2"),
        ("mkswap", "--force", "--label", "swap", "/dev/pve/swap"),
    ]
    assert plan_mkfs("xfs", layout(swap_bytes=0), target(logical_sector_bytes=4096)) == [
        ("mkfs.xfs", "-f", "-q", "-K", "-L", "root", "/dev/pve/root"),
        ("mkfs.vfat", "-F", "32", "-s", "1", "-n", "ESP", f"{DISK}-part2"),
    ]


def test_the_esp_is_mounted_in_the_root(tmp_path: Path) -> None:
    runner = FakeRunner()
    here = context(runner, tmp_path)
    MakeFilesystems(target(), "xfs", layout()).run(here, lambda _: None)
    assert runner.lines[-2:] == [
        f"mount -t xfs -o noatime /dev/pve/root {here.target}",
        f"mount -t vfat -o umask=0077 {DISK}-part2 {here.target}/boot/efi",
    ]
    assert (here.target / "boot/efi").is_dir()
