from pathlib import Path

import pytest

from hostlib.inventory import Content, Inventory, parse_inventory
from hostlib.probe.disks import device_names, is_disk, natural, order_ids, read_disks
from hostlib.probe.lvm import Vg
from hostlib.probe.udev import Device
from hostlib.sizes import SECTOR_BYTES
from tests.unit.disk_tree import Tree, attributes, read_one

MACHINES = sorted((Path(__file__).parents[1] / "machines").glob("*.json"))


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
