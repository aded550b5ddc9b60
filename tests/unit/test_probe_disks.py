import errno
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from hostlib.inventory import Content, Disk, Inventory, Partition, parse_inventory
from hostlib.probe.disks import device_names, is_disk, natural, order_ids, order_paths, read_disks
from hostlib.probe.lvm import Vg
from hostlib.probe.udev import Device
from hostlib.sizes import GIB, SECTOR_BYTES

MACHINES = sorted((Path(__file__).parents[1] / "machines").glob("*.json"))


class Tree:
    """A sysfs below a temporary folder, with the block devices put into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.devices: list[Device] = []

    def add(self, udev: dict[str, str], attributes: dict[str, str], holders: Iterable[str] = ()) -> Device:
        sysfs = self.root / udev["DEVPATH"].lstrip("/")
        for name, value in attributes.items():
            (sysfs / name).parent.mkdir(parents=True, exist_ok=True)
            (sysfs / name).write_text(f"{value}\n")
        for holder in holders:
            (sysfs / "holders" / holder).mkdir(parents=True)
        self.devices.append(Device(udev, sysfs))
        return self.devices[-1]

    def disk(
        self, name: str = "sda", *, holders: Iterable[str] = (), ids: Iterable[str] = (), **udev: str
    ) -> Device:
        found = {
            "DEVPATH": f"/devices/pci0000:00/block/{name}",
            "DEVNAME": f"/dev/{name}",
            "DEVTYPE": "disk",
            "DEVLINKS": " ".join(f"/dev/disk/by-id/{name}" for name in ids),
        }
        return self.add({**found, **udev}, attributes(64 * GIB), holders)

    def partition(self, name: str, disk: str = "sda", holders: Iterable[str] = (), **udev: str) -> Device:
        found = {
            "DEVPATH": f"/devices/pci0000:00/block/{disk}/{name}",
            "DEVNAME": f"/dev/{name}",
            "DEVTYPE": "partition",
        }
        number = name.removeprefix(disk).lstrip("p")
        return self.add({**found, **udev}, {"size": "2048", "partition": number}, holders)

    def mapped(self, name: str, holders: Iterable[str] = (), ids: Iterable[str] = (), **udev: str) -> Device:
        found = {
            "DEVPATH": f"/devices/virtual/block/{name}",
            "DEVNAME": f"/dev/{name}",
            "DEVTYPE": "disk",
            "DEVLINKS": " ".join(f"/dev/disk/by-id/{name}" for name in ids),
        }
        return self.add({**found, **udev}, {"size": "2048"}, holders)


def attributes(size_bytes: int, logical: int = 512, physical: int = 512) -> dict[str, str]:
    return {
        "size": str(size_bytes // SECTOR_BYTES),
        "queue/logical_block_size": str(logical),
        "queue/physical_block_size": str(physical),
        "queue/rotational": "0",
        "removable": "0",
        "ro": "0",
    }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def replay(machine: Inventory, tree: Tree) -> tuple[dict[str, tuple[str, ...]], dict[str, Vg]]:
    """Put the recorded disks into the tree as udev and sysfs showed them."""
    mounts: dict[str, tuple[str, ...]] = {}
    vgs: dict[str, Vg] = {}
    for disk in machine.disks:
        numbers = attributes(disk.size_bytes, disk.logical_sector_bytes, disk.physical_sector_bytes)
        flags = {
            "queue/rotational": disk.rotational,
            "removable": disk.removable,
            "ro": disk.read_only,
        }
        parent = tree.add(disk.udev, numbers | {name: str(int(value)) for name, value in flags.items()})
        for content in disk.contents:
            if content.mountpoints:
                mounts[content.device] = content.mountpoints
            if content.vg:
                vgs[content.device] = Vg(content.vg, content.vg_uuid)
            if content.device != disk.name:
                udev = {
                    "DEVPATH": f"{disk.udev['DEVPATH']}/{content.device}",
                    "DEVTYPE": "partition",
                    "ID_FS_TYPE": content.type,
                    "ID_FS_LABEL": content.label,
                    "ID_FS_UUID": content.uuid,
                }
                tree.devices.append(Device(udev, parent.sysfs / content.device))
    return mounts, vgs


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_recorded_machines_are_read_as_recorded(path: Path, tree: Tree) -> None:
    machine = parse_inventory(path.read_text())
    mounts, vgs = replay(machine, tree)
    # udev lists devices in no order that we may rely on.
    found = {disk.name: disk for disk in read_disks(tree.devices[::-1], mounts, vgs)}
    assert found == {disk.name: disk for disk in machine.disks}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], ()),
        (["wwn-0x5000c500a1b2c3d4", "ata-ST4000_ZDH1"], ("ata-ST4000_ZDH1", "wwn-0x5000c500a1b2c3d4")),
        (
            ["nvme-eui.0025", "nvme-nvme.144d-5334", "nvme-uuid.11", "nvme-SAMSUNG_S4_1", "nvme-SAMSUNG_S4"],
            ("nvme-SAMSUNG_S4", "nvme-eui.0025", "nvme-nvme.144d-5334", "nvme-uuid.11"),
        ),
        (["nvme-SAMSUNG_S4_2", "nvme-eui.0025"], ("nvme-SAMSUNG_S4_2", "nvme-eui.0025")),
        (
            ["wwn-0x6d09", "scsi-36d09", "scsi-SDELL_PERC_H740P_0020"],
            ("scsi-SDELL_PERC_H740P_0020", "wwn-0x6d09", "scsi-36d09"),
        ),
        (["lvm-pv-uuid-3vFbUZ", "virtio-SLIPWAY0"], ("virtio-SLIPWAY0",)),
        (["odd-1", "wwn-0x1"], ("wwn-0x1", "odd-1")),
    ],
)
def test_ids_come_best_first_in_any_order_of_links(ids: list[str], expected: tuple[str, ...]) -> None:
    assert order_ids(ids) == expected
    assert order_ids(reversed(ids)) == expected


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


def test_a_name_that_two_devices_claim_names_neither(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    tree.disk("nvme0n1", ids=["nvme-X_S1", "nvme-X_S1_1"])
    tree.disk("nvme0n2", ids=["nvme-X_S1", "nvme-X_S1_2"])
    tree.disk("sda", ids=["wwn-0x1"])
    tree.mapped("dm-0", ids=["wwn-0x1", "dm-uuid-mpath-1"])
    names = {disk.name: disk.ids for disk in read_disks(tree.devices, {}, {})}
    assert names == {"nvme0n1": ("nvme-X_S1_1",), "nvme0n2": ("nvme-X_S1_2",), "sda": ()}
    assert "/dev/disk/by-id/nvme-X_S1: 2 devices claim this name" in caplog.text


@pytest.mark.parametrize(
    ("name", "udev"),
    [
        ("sr0", {}),
        ("sr0", {"ID_CDROM": "1"}),
        ("fd0", {}),
        ("mmcblk0boot0", {}),
        ("mmcblk0rpmb", {}),
        ("sda", {"DEVTYPE": "partition"}),
        ("loop0", {"DEVPATH": "/devices/virtual/block/loop0"}),
        ("dm-0", {"DEVPATH": "/devices/virtual/block/dm-0"}),
        ("zram0", {"DEVPATH": "/devices/virtual/block/zram0"}),
    ],
)
def test_what_is_no_disk(tree: Tree, name: str, udev: dict[str, str]) -> None:
    assert not is_disk(tree.disk(name, **udev))


@pytest.mark.parametrize("name", ["sda", "vda", "nvme0n1", "mmcblk0", "xvda", "sdaa"])
def test_what_is_a_disk(tree: Tree, name: str) -> None:
    assert is_disk(tree.disk(name))


def test_an_empty_card_reader_and_a_hidden_nvme_path_are_no_disks(tree: Tree) -> None:
    reader = tree.disk("sdb")
    (reader.sysfs / "size").write_text("0\n")
    hidden = Device({"DEVTYPE": "disk", "DEVPATH": "/devices/pci0000:00/nvme0c0n1"}, tree.root / "nvme0c0n1")
    assert not is_disk(reader)
    assert not is_disk(hidden)


def read_one(tree: Tree, mounts: dict[str, tuple[str, ...]] | None = None) -> Disk:
    (disk,) = read_disks(tree.devices, mounts or {}, {})
    return disk


@pytest.mark.parametrize(
    ("name", "udev", "sysfs", "serial"),
    [
        ("sda", {"ID_BUS": "scsi", "ID_SCSI_SERIAL": "DISKA", "ID_SERIAL_SHORT": "6d09"}, {}, "DISKA"),
        ("sda", {"ID_BUS": "ata", "ID_SCSI_SERIAL": "x", "ID_SERIAL_SHORT": "ZDH1"}, {}, "ZDH1"),
        ("vda", {"ID_SERIAL": "SLIPWAY0"}, {"serial": "SLIPWAY0"}, "SLIPWAY0"),
        ("mmcblk0", {}, {"device/serial": "0x1234"}, "0x1234"),
        ("vda", {}, {}, ""),
    ],
)
def test_serial(tree: Tree, name: str, udev: dict[str, str], sysfs: dict[str, str], serial: str) -> None:
    device = tree.disk(name, **udev)
    tree.devices.clear()
    tree.add(dict(device.udev), sysfs)
    assert read_one(tree).serial == serial


@pytest.mark.parametrize(
    ("udev", "sysfs", "model"),
    [
        ({"ID_MODEL": "A_B_C", "ID_MODEL_ENC": r"A_B\x20C\x20\x20"}, {}, "A_B C"),
        ({"ID_MODEL": "PERC_H740P_Mini"}, {"device/model": "x"}, "PERC H740P Mini"),
        ({}, {"device/model": "QEMU HARDDISK   "}, "QEMU HARDDISK"),
        ({}, {}, ""),
    ],
)
def test_model(tree: Tree, udev: dict[str, str], sysfs: dict[str, str], model: str) -> None:
    device = tree.disk("sda", **udev)
    tree.devices.clear()
    tree.add(dict(device.udev), sysfs)
    assert read_one(tree).model == model


@pytest.mark.parametrize(
    ("name", "udev", "bus"),
    [
        ("sda", {"ID_BUS": "ata"}, "ata"),
        ("sda", {"ID_BUS": "ata", "DEVPATH": "/devices/pci0000:00/usb2/2-1/block/sda"}, "usb"),
        ("vda", {}, "virtio"),
        ("nvme0n1", {}, "nvme"),
        ("mmcblk0", {}, "mmc"),
        ("sda", {}, ""),
    ],
)
def test_bus(tree: Tree, name: str, udev: dict[str, str], bus: str) -> None:
    tree.disk(name, **udev)
    assert read_one(tree).bus == bus


def test_a_mounted_lv_makes_its_disk_busy_through_md_and_lvm(tree: Tree) -> None:
    tree.disk("sda", ID_PART_TABLE_TYPE="gpt", ID_PART_TABLE_UUID="9b2f")
    tree.partition("sda10", ID_FS_TYPE="swap")
    tree.partition("sda2", holders=["md127"], ID_FS_TYPE="linux_raid_member", ID_FS_LABEL_ENC=r"any\x3a0")
    tree.mapped("md127", holders=["dm-1", "dm-0"])
    tree.mapped("dm-0")
    tree.mapped("dm-1")
    disk = read_one(tree, {"dm-0": ("/mnt",), "dm-1": ("[SWAP]",)})
    assert disk.contents == (
        Content(device="sda", type="gpt", uuid="9b2f"),
        Content(
            device="sda2",
            type="linux_raid_member",
            label="any:0",
            md_name="md127",
            mountpoints=("/mnt", "[SWAP]"),
        ),
        Content(device="sda10", type="swap"),
    )
    assert not disk.boot_medium


def test_use_is_shown_even_where_udev_knows_no_content(tree: Tree) -> None:
    tree.disk("sda")
    assert read_one(tree, {"sda": ("/srv",)}).contents == (
        Content(device="sda", type="unknown", mountpoints=("/srv",)),
    )


@pytest.mark.parametrize(
    ("device", "point", "medium"),
    [
        ("sda", "/run/live/medium", True),
        ("sda1", "/run/live/medium", True),
        ("sda1", "/run/live/findiso", True),
        # A stick that maps the ISO file on it as a disk of its own.
        ("dm-0", "/run/live/medium", True),
        ("sda1", "/mnt", False),
        ("sdb1", "/run/live/medium", False),
    ],
)
def test_boot_medium_is_the_disk_that_is_mounted(
    tree: Tree, device: str, point: str, *, medium: bool
) -> None:
    # Another stick with the same ISO on it is not the medium.
    tree.disk("sda", holders=["dm-0"], ID_FS_TYPE="iso9660", ID_FS_LABEL="SLIPWAY_LIVE")
    tree.partition("sda1", ID_FS_TYPE="iso9660")
    tree.mapped("dm-0")
    assert read_one(tree, {device: (point,)}).boot_medium is medium


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
    failed = sda.sysfs / attribute
    assert caplog.messages == [f"disk sda: cannot be read: ValueError: {failed} has '' for a number"]


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


def test_disks_come_in_an_order_that_a_person_expects() -> None:
    names = ["sdaa", "vda", "nvme10n1", "sdb", "nvme2n1", "sda"]
    assert sorted(names, key=natural) == ["nvme2n1", "nvme10n1", "sda", "sdb", "sdaa", "vda"]


def test_names_lead_from_numbers_paths_and_links_to_kernel_names(tree: Tree) -> None:
    tree.mapped("dm-1", MAJOR="253", MINOR="1", DEVLINKS="/dev/mapper/pve-root /dev/pve/root")
    tree.disk("cciss!c0d0", DEVNAME="/dev/cciss/c0d0", MAJOR="104", MINOR="0")
    assert device_names(tree.devices) == {
        "253:1": "dm-1",
        "/dev/dm-1": "dm-1",
        "/dev/mapper/pve-root": "dm-1",
        "/dev/pve/root": "dm-1",
        "104:0": "cciss!c0d0",
        "/dev/cciss/c0d0": "cciss!c0d0",
    }


@pytest.mark.parametrize(("kind", "removable"), [("SD", True), ("MMC", False)])
def test_a_card_in_a_reader_of_its_own_is_removable(tree: Tree, kind: str, *, removable: bool) -> None:
    udev = {"DEVPATH": "/devices/mmcblk0", "DEVNAME": "/dev/mmcblk0", "DEVTYPE": "disk"}
    tree.add(udev, attributes(16 * SECTOR_BYTES) | {"device/type": kind})
    (disk,) = read_disks(tree.devices, {}, {})
    assert disk.removable is removable
