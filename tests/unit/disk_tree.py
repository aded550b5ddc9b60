"""Block devices in a sysfs of a test's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hostlib.inventory import Disk
from hostlib.probe.disks import read_disks
from hostlib.probe.udev import Device
from hostlib.sizes import GIB, SECTOR_BYTES


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


def read_one(tree: Tree, mounts: dict[str, tuple[str, ...]] | None = None) -> Disk:
    (disk,) = read_disks(tree.devices, mounts or {}, {})
    return disk
