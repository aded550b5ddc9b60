"""Where disks are plugged in, what they are parted into, and disks that break while they are read."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from hostlib.inventory import Content, Partition
from hostlib.probe.disks import order_paths, read_disks
from hostlib.sizes import SECTOR_BYTES
from tests.unit.disk_tree import Tree, read_one


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.mark.parametrize(
    ("paths", "best", "expected"),
    [
        ([], "", ()),
        (
            ["pci-0000:00:1f.2-ata-1", "pci-0000:00:1f.2-ata-1.0"],
            "pci-0000:00:1f.2-ata-1.0",
            ("pci-0000:00:1f.2-ata-1.0",),
        ),
        (
            ["pci-0000:00:05.0-usbv3-0:1:1.0-scsi-0:0:0:0", "pci-0000:00:05.0-usb-0:1:1.0-scsi-0:0:0:0"],
            "",
            ("pci-0000:00:05.0-usb-0:1:1.0-scsi-0:0:0:0",),
        ),
        # The short name is another disk's too.
        (["pci-0000:00:05.0-usbv3-0:1:1.0"], "", ("pci-0000:00:05.0-usbv3-0:1:1.0",)),
        (["virtio-pci-0000:00:06.0", "pci-0000:00:06.0"], "pci-0000:00:06.0", ("pci-0000:00:06.0",)),
        (["a-fc-0x1-lun-0", "b-fc-0x2-lun-0"], "b-fc-0x2-lun-0", ("b-fc-0x2-lun-0", "a-fc-0x1-lun-0")),
    ],
)
def test_paths_come_best_first_and_once(paths: list[str], best: str, expected: tuple[str, ...]) -> None:
    assert order_paths(paths, best) == expected
    assert order_paths(reversed(paths), best) == expected


def test_a_disk_knows_where_it_is_plugged_in(tree: Tree) -> None:
    links = "/dev/disk/by-path/pci-1-ata-2 /dev/disk/by-id/wwn-0x1 /dev/disk/by-path/pci-1-ata-{}"
    # Behind a port multiplier the old name is claimed by two.
    tree.disk("sda", DEVLINKS=links.format("2.0").replace("0x1", "0x2"), ID_PATH="pci-1-ata-2.0")
    tree.disk("sdb", DEVLINKS=links.format("2.1"), ID_PATH="pci-1-ata-2.1")
    assert [disk.paths for disk in read_disks(tree.devices, {}, {})] == [
        ("pci-1-ata-2.0",),
        ("pci-1-ata-2.1",),
    ]


def test_one_broken_disk_does_not_hide_the_others(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    broken = tree.disk("sda")
    (broken.sysfs / "size").unlink()
    tree.disk("sdb")
    assert [disk.name for disk in read_disks(tree.devices, {}, {})] == ["sdb"]
    assert "disk sda: cannot be read: ValueError" in caplog.text


def break_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file be there and fail, as sysfs does for a drive that no longer answers."""
    read_text = Path.read_text

    def read(self: Path, *args: Any, **kwargs: Any) -> str:
        if self == path:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read_text(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read)


@pytest.mark.parametrize("attribute", ["size", "queue/logical_block_size", "queue/physical_block_size"])
def test_a_disk_that_fails_while_it_is_read_does_not_hide_the_others(
    tree: Tree, attribute: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sda = tree.disk("sda")
    tree.disk("sdb")
    break_file(sda.sysfs / attribute, monkeypatch)
    assert [disk.name for disk in read_disks(tree.devices, {}, {})] == ["sdb"]
    assert caplog.messages == [f"disk sda: cannot be read: ValueError: {attribute} has '' for a number"]


def test_a_disk_that_fails_to_tell_what_may_be_missing_is_shown(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_file(tree.disk("sda").sysfs / "queue/rotational", monkeypatch)
    assert not read_one(tree).rotational


def test_a_disk_that_is_pulled_while_it_is_read_does_not_hide_the_others(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sda = tree.disk("sda", holders=["dm-0"])
    tree.disk("sdb")
    iterdir = Path.iterdir

    def pulled(self: Path) -> Any:
        if sda.sysfs in self.parents:
            shutil.rmtree(sda.sysfs)
        return iterdir(self)

    monkeypatch.setattr(Path, "iterdir", pulled)
    assert [disk.name for disk in read_disks(tree.devices, {}, {})] == ["sdb"]
    assert "disk sda: cannot be read: FileNotFoundError" in caplog.text


def test_partitions(tree: Tree) -> None:
    tree.disk("nvme0n1")
    esp = "c12a7328-f81f-11d2-ba4b-00c04fc93ec9"
    tree.partition("nvme0n1p10", "nvme0n1", ID_PART_ENTRY_TYPE="0x83")
    tree.partition("nvme0n1p2", "nvme0n1", ID_PART_ENTRY_TYPE=esp, ID_PART_ENTRY_NAME=r"EFI\x20System")
    assert read_one(tree).partitions == (
        Partition(name="nvme0n1p2", number=2, size_bytes=2048 * SECTOR_BYTES, type=esp, label="EFI System"),
        Partition(name="nvme0n1p10", number=10, size_bytes=2048 * SECTOR_BYTES, type="0x83"),
    )


def test_a_partition_that_cannot_be_read_leaves_its_disk_and_content(
    tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    tree.disk("sda")
    broken = tree.partition("sda1", ID_FS_TYPE="ext4")
    tree.partition("sda2")
    (broken.sysfs / "partition").unlink()
    disk = read_one(tree)
    assert [partition.name for partition in disk.partitions] == ["sda2"]
    assert disk.contents == (Content(device="sda1", type="ext4"),)
    assert "partition sda1: cannot be read" in caplog.text


def test_the_log_names_disks_and_partitions_by_id(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    disk = tree.disk("sda", ids=["wwn-0x5000c500a1b2c300", "ata-HDD_S1"])
    part = tree.partition("sda1", DEVLINKS="/dev/disk/by-id/ata-HDD_S1-part1")
    (disk.sysfs / "size").write_text("?")
    (part.sysfs / "size").write_text("?")
    assert read_disks(tree.devices, {}, {}) == ()
    assert caplog.messages == [
        f"{what}: cannot be read: ValueError: size has '?' for a number"
        for what in ("partition /dev/disk/by-id/ata-HDD_S1-part1", "disk /dev/disk/by-id/ata-HDD_S1")
    ]


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"md127": {"MD_LEVEL": "raid1"}}, ("md127", "raid1")),
        ({"md0": {}}, ("md0", "raid5")),
        # A container of firmware's own format and the volume on it both hold the disk.
        ({"md126": {"MD_LEVEL": "container"}, "md127": {"MD_LEVEL": "raid1"}}, ("md127", "raid1")),
        ({"md127": {"MD_LEVEL": "container"}}, ("md127", "container")),
        ({"dm-0": {}}, ("", "")),
    ],
)
def test_a_member_of_an_md_array(
    tree: Tree, arrays: dict[str, dict[str, str]], expected: tuple[str, str]
) -> None:
    tree.disk("sda", holders=arrays, ID_FS_TYPE="linux_raid_member")
    for name, udev in arrays.items():
        (tree.mapped(name, **udev).sysfs / "md").mkdir()
        (tree.devices[-1].sysfs / "md/level").write_text("raid5\n")
    (content,) = read_one(tree).contents
    assert (content.md_name, content.md_level) == expected


def test_a_member_is_shown_even_where_udev_knows_no_content(tree: Tree) -> None:
    tree.disk("sda", holders=["md0"])
    tree.mapped("md0", MD_LEVEL="raid1")
    assert read_one(tree).contents == (
        Content(device="sda", type="unknown", md_name="md0", md_level="raid1"),
    )
