"""The storage controllers of this machine, and which disk hangs on which. Only sysfs and udev are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostlib.controllers import (
    Family,
    Signs,
    find_family,
    find_paths,
    is_boot_raid,
    judge_controller,
    judge_disk,
)
from hostlib.files import read_if_there
from hostlib.inventory import Controller, Disk
from hostlib.probe.attempt import attempt
from hostlib.probe.source import Source
from hostlib.probe.udev import Device

_STORAGE_CLASS: Final = "01"
_HCTL: Final = re.compile(r"\d+:(\d+):\d+:\d+")
# Drivers of the disk itself or of the cable to it, not of what it hangs on.
_DISK_DRIVERS: Final = frozenset({"sd", "mmcblk", "usb", "usb-storage", "uas"})


@dataclass(frozen=True, slots=True)
class _Found:
    controller: Controller
    family: Family
    pci_class: str


def read_controllers(
    source: Source, disks: Sequence[Disk], block: Sequence[Device]
) -> tuple[tuple[Controller, ...], tuple[Disk, ...]]:
    """Give the controllers, and the disks with controller, kind and RAID as far as kernel and udev tell.

    `block` are udev's devices of that subsystem. Controllers are the PCI functions of class 01 (storage), and
    whatever else a disk hangs on. One that cannot be read is left out with a warning; so is what is known of a
    disk by it.
    """
    pci = {device.sysfs: device for device in attempt("PCI devices", source.devices, "pci") or []}
    nodes = {device.name: device for device in block}
    labels = {disk.name: disk.stable_path for disk in disks}
    places = {
        disk.name: place
        for disk in disks
        if disk.name in nodes and (place := attempt(disk.stable_path, _real_place, nodes[disk.name]))
    }
    owners = {
        name: owner
        for name, place in places.items()
        if (owner := attempt(f"controller of {labels[name]}", _owner, place, pci, source.root))
    }
    storage = [folder for folder in pci if _class(folder).startswith(_STORAGE_CLASS)]
    folders = dict.fromkeys([*sorted(storage, key=lambda folder: folder.name), *owners.values()])
    found: dict[Path | None, _Found] = {
        folder: one
        for folder in folders
        if (one := attempt(f"controller {folder.name}", _read_controller, folder, pci))
    }
    judged = find_paths(
        attempt(disk.stable_path, _read_disk, disk, places.get(disk.name), found.get(owners.get(disk.name)))
        or disk
        for disk in disks
    )
    controllers = (
        judge_controller(one.controller, one.family, one.pci_class, judged) for one in found.values()
    )
    return tuple(controllers), judged


def _real_place(device: Device) -> Path:
    """Give the folder of a disk below the hardware that it hangs on.

    A disk of an NVMe subsystem that may have more than one controller (drivers/nvme/host/multipath.c) is in
    /sys/devices/virtual; the links beside it lead to its controllers.
    """
    above = device.sysfs.parent
    if above.parent.name != "nvme-subsystem":
        return device.sysfs
    links = sorted(path for path in above.glob("nvme*") if re.fullmatch(r"nvme\d+", path.name))
    return links[0].resolve() if links else device.sysfs


def _owner(place: Path, pci: Mapping[Path, Device], root: Path) -> Path | None:
    """Give the nearest PCI function above a disk; where there is none, the nearest device with a driver."""
    above = [folder for folder in place.parents if root in folder.parents]
    if function := next((folder for folder in above if folder in pci), None):
        return function
    return next((folder for folder in above if _driver(folder) not in {"", *_DISK_DRIVERS}), None)


def _driver(folder: Path) -> str:
    link = folder / "driver"
    return link.readlink().name if link.is_symlink() else ""


def _text(path: Path) -> str:
    return read_if_there(path) or ""


def _class(folder: Path) -> str:
    """Give base class and subclass of a PCI function: `0104`."""
    return _text(folder / "class").removeprefix("0x")[:4].lower()


def _id(folder: Path, *names: str) -> str:
    return ":".join(filter(None, (_text(folder / name).removeprefix("0x").lower() for name in names)))


def _read_controller(folder: Path, pci: Mapping[Path, Device]) -> _Found:
    udev = pci[folder].udev if folder in pci else {}
    pci_id, subsystem_id = (
        _id(folder, "vendor", "device"),
        _id(folder, "subsystem_vendor", "subsystem_device"),
    )
    driver, pci_class = _driver(folder), _class(folder)
    family = find_family(driver, pci_class, pci_id)
    remapped = _text(folder / "remapped_nvme")
    controller = Controller(
        address=folder.name,
        pci_id=pci_id,
        subsystem_id=subsystem_id,
        vendor=udev.get("ID_VENDOR_FROM_DATABASE", ""),
        model=udev.get("ID_MODEL_FROM_DATABASE", ""),
        driver=driver,
        kind="raid" if is_boot_raid(pci_id, subsystem_id) else family.kind,
        firmware=next((text for path in _firmware_paths(folder, family) if (text := _text(path))), ""),
        hidden_disks=int(remapped) if remapped.isdecimal() else None,
    )
    return _Found(controller, family, pci_class)


def _firmware_paths(folder: Path, family: Family) -> Iterator[Path]:
    if family.firmware:
        yield from sorted(folder.glob(f"host*/scsi_host/host*/{family.firmware}"))
    if family.kind == "nvme":
        yield from sorted(folder.glob("nvme/nvme*/firmware_rev"))


def _read_disk(disk: Disk, place: Path | None, on: _Found | None) -> Disk:
    if not (place and on):
        return judge_disk(disk, find_family("", ""), Signs())
    disk = disk.model_copy(update={"controller": on.controller.address})
    return judge_disk(disk, on.family, _signs(place, on.family))


def _signs(place: Path, family: Family) -> Signs:
    scsi = next((folder for folder in place.parents if _HCTL.fullmatch(folder.name)), None)
    if not scsi:
        return Signs()
    told, state = (path.format(hctl=scsi.name) for path in (family.attribute, family.state))
    return Signs(
        vendor=_text(scsi / "vendor"),
        model=_text(scsi / "model"),
        channel=int(scsi.name.split(":")[1]),
        told=_text(scsi / told) if told else "",
        state=_text(scsi / state) if state else "",
    )
