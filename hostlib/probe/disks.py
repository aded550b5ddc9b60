"""The disks of this machine and what is on them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from hostlib.inventory import Content, Disk, Partition
from hostlib.paths import MEDIUM
from hostlib.probe.attempt import LOG, attempt
from hostlib.probe.lvm import Vg
from hostlib.probe.udev import Device, decoded
from hostlib.sizes import SECTOR_BYTES

BY_ID = "/dev/disk/by-id/"
BY_PATH = "/dev/disk/by-path/"

# Where live-boot mounts what it runs from; the last two hold the ISO file with `findiso=` and `fromiso=`.
MEDIUM_MOUNTS = frozenset({str(MEDIUM), "/run/live/findiso", "/run/live/fromiso"})

# Everything in /devices/virtual/block (ram, loop, zram, dm, md, nbd, bcache) has no hardware of its own.
_VIRTUAL = "/devices/virtual/block/"
# Optical and floppy drives, bare flash, and the boot and replay-protected areas of an eMMC.
_NO_TARGET = re.compile(r"(sr|fd|mtdblock)\d+|mmcblk\d+(boot\d+|rpmb)")

# Best first. Names with vendor, model and serial can be compared with the label on the drive; the rest is binary.
_ID_ORDER = tuple(
    re.compile(pattern)
    for pattern in (
        r"nvme-(?!eui\.|uuid\.|nvme\.)",
        r"ata-",
        r"scsi-(?![238])",  # after scsi_id's type: 0, 1 and S are text; 2, 3 and 8 are EUI-64, NAA and iSCSI names
        r"usb-",
        r"mmc-",
        r"virtio-",
        r"wwn-",
        r"nvme-",
        r"scsi-",
    )
)
# These name what is on a disk, not the disk: they change when it is erased.
_CONTENT_IDS = ("lvm-pv-uuid-", "dm-", "md-")

_BUS_BY_NAME = (("nvme", "nvme"), ("vd", "virtio"), ("mmcblk", "mmc"), ("pmem", "nvdimm"), ("xvd", "xen"))


def device_names(devices: Iterable[Device]) -> dict[str, str]:
    """Give `major:minor`, path and every link of each block device -> its kernel name."""
    names: dict[str, str] = {}
    for device in devices:
        for link in device.links:
            names.setdefault(link, device.name)
    for device in devices:
        number = f"{device.udev.get('MAJOR')}:{device.udev.get('MINOR')}"
        names[number] = names[device.udev.get("DEVNAME", "")] = device.name
    return names


def read_disks(
    devices: Sequence[Device], mounts: Mapping[str, Sequence[str]], vgs: Mapping[str, Vg]
) -> tuple[Disk, ...]:
    """Give the disks among all block devices, by name.

    `mounts` is kernel name -> mountpoints and `vgs` kernel name of a PV -> its VG. A disk that cannot be read is
    left out with a warning.
    """
    around = _Surroundings(devices, mounts, vgs)
    shared = _shared_links(devices)
    found = [
        attempt(f"disk {_label(device, shared)}", _read_disk, device, around, shared)
        for device in devices
        if is_disk(device)
    ]
    return tuple(sorted((disk for disk in found if disk), key=lambda disk: natural(disk.name)))


def natural(name: str) -> list[tuple[str, int, str]]:
    """Sort key that puts nvme2n1 before nvme10n1, and sdb before sdaa but after all of nvme."""
    parts = re.findall(r"\d+|\D+", name)
    return [("", int(part), "") if part.isdigit() else (part[:2], len(part), part) for part in parts]


def is_disk(device: Device) -> bool:
    """Say whether a block device is a disk, the medium of the live system included."""
    udev = device.udev
    return (
        udev.get("DEVTYPE") == "disk"
        # The paths below a native NVMe multipath disk have no node in /dev.
        and "DEVNAME" in udev
        and not udev.get("DEVPATH", "").startswith(_VIRTUAL)
        and "ID_CDROM" not in udev
        and not _NO_TARGET.fullmatch(device.name)
        # An empty card reader.
        and device.attribute("size") != "0"
    )


class _Surroundings:
    """What stands around one disk: its partitions, what is stacked on them, and what of that is in use."""

    def __init__(
        self,
        devices: Sequence[Device],
        mounts: Mapping[str, Sequence[str]],
        vgs: Mapping[str, Vg],
    ) -> None:
        self._devices = {device.name: device for device in devices}
        self._mounts = mounts
        self._vgs = vgs

    def parts(self, disk: Device) -> list[Device]:
        """Give the disk itself and then its partitions in order."""
        partitions = [
            device
            for device in self._devices.values()
            if device.udev.get("DEVTYPE") == "partition" and device.sysfs.parent == disk.sysfs
        ]
        return [disk, *sorted(partitions, key=lambda device: natural(device.name))]

    def mountpoints(self, device: Device) -> tuple[str, ...]:
        """Give where the device and everything stacked on it (LV, md, LUKS) is mounted."""
        names = [device.name]
        for name in names:
            names += [holder for holder in self._holders(name) if holder not in names]
        return tuple(dict.fromkeys(point for name in names for point in self._mounts.get(name, ())))

    def _holders(self, name: str) -> list[str]:
        """Give what is stacked right on a device."""
        below = self._devices.get(name)
        folder = below.sysfs / "holders" if below else None
        return sorted(path.name for path in folder.iterdir()) if folder and folder.is_dir() else []

    def md(self, device: Device) -> tuple[str, str]:
        """Give kernel name and level of the md array that the device is a member of; a volume before its container."""
        found = [
            (name, array.udev.get("MD_LEVEL") or array.attribute("md/level"))
            for name in self._holders(device.name)
            if name.startswith("md") and (array := self._devices.get(name))
        ]
        return min(found, key=lambda array: (array[1] == "container", natural(array[0])), default=("", ""))

    def contents(self, device: Device) -> list[Content]:
        """Give what a disk or partition holds: its partition table, then what libblkid found on it."""
        udev, found = device.udev, []
        if udev.get("DEVTYPE") == "disk" and (table := udev.get("ID_PART_TABLE_TYPE")):
            uuid = udev.get("ID_PART_TABLE_UUID", "")
            found.append(Content(device=device.name, type=table, uuid=uuid))
        mountpoints = self.mountpoints(device)
        md_name, md_level = self.md(device)
        kind = udev.get("ID_FS_TYPE", "")
        if kind or mountpoints or md_name:
            vg = self._vgs.get(device.name, Vg("", ""))
            content = Content(
                device=device.name,
                type=kind or "unknown",
                label=decoded(udev, "ID_FS_LABEL"),
                uuid=udev.get("ID_FS_UUID", ""),
                vg=vg.name,
                vg_uuid=vg.uuid,
                vg_tags=vg.tags,
                md_name=md_name,
                md_level=md_level,
                mountpoints=mountpoints,
            )
            found.append(content)
        return found


def _read_disk(device: Device, around: _Surroundings, shared: frozenset[str]) -> Disk:
    parts = around.parts(device)
    partitions = [attempt(f"partition {_label(part, shared)}", _read_partition, part) for part in parts[1:]]
    contents = [content for part in parts for content in around.contents(part)]
    mountpoints = {point for content in contents for point in content.mountpoints}
    links = [link for link in device.links if link not in shared]
    return Disk(
        name=device.name,
        path=device.udev["DEVNAME"],
        ids=_ids(device, shared),
        paths=order_paths(
            (link.removeprefix(BY_PATH) for link in links if link.startswith(BY_PATH)),
            device.udev.get("ID_PATH", ""),
        ),
        size_bytes=_number(device, "size") * SECTOR_BYTES,
        logical_sector_bytes=_number(device, "queue/logical_block_size"),
        physical_sector_bytes=_number(device, "queue/physical_block_size"),
        model=_model(device),
        serial=_serial(device),
        wwn=device.udev.get("ID_WWN_WITH_EXTENSION") or device.udev.get("ID_WWN", ""),
        bus=_bus(device),
        rotational=device.attribute("queue/rotational") == "1",
        # The kernel calls no SD card removable; an eMMC, which is soldered in, says MMC.
        removable=device.attribute("removable") == "1" or device.attribute("device/type") == "SD",
        read_only=device.attribute("ro") == "1",
        boot_medium=not MEDIUM_MOUNTS.isdisjoint(mountpoints),
        partitions=tuple(partition for partition in partitions if partition),
        contents=tuple(contents),
        udev=dict(device.udev),
    )


def _ids(device: Device, shared: frozenset[str]) -> tuple[str, ...]:
    links = (link for link in device.links if link.startswith(BY_ID) and link not in shared)
    return order_ids(link.removeprefix(BY_ID) for link in links)


def _label(device: Device, shared: frozenset[str]) -> str:
    """Give the name to log; the kernel's where udev gave none for good."""
    return next((BY_ID + name for name in _ids(device, shared)), device.name)


def _read_partition(device: Device) -> Partition:
    return Partition(
        name=device.name,
        number=_number(device, "partition"),
        size_bytes=_number(device, "size") * SECTOR_BYTES,
        type=device.udev.get("ID_PART_ENTRY_TYPE", ""),
        label=decoded(device.udev, "ID_PART_ENTRY_NAME"),
    )


def _number(device: Device, attribute: str) -> int:
    """Give a number that every device of its kind has. Raises ValueError where a broken one does not tell."""
    text = device.attribute(attribute)
    if not text.isdecimal():
        raise ValueError(f"{attribute} has {text[:40]!r} for a number")
    return int(text)


def _model(device: Device) -> str:
    udev = device.udev
    if "ID_MODEL_ENC" in udev:
        return decoded(udev, "ID_MODEL")
    # Without the encoded form, an underscore most likely stands for white space.
    return udev.get("ID_MODEL", "").replace("_", " ").strip() or device.attribute("device/model")


def _serial(device: Device) -> str:
    udev = device.udev
    # For SCSI, ID_SERIAL_SHORT is often the WWN; the number on the label is the unit serial number.
    preferred = udev.get("ID_SCSI_SERIAL") if udev.get("ID_BUS") == "scsi" else None
    return (
        preferred
        or udev.get("ID_SERIAL_SHORT")
        or device.attribute("serial")
        or device.attribute("device/serial")
        or udev.get("ID_SERIAL", "")
    ).strip()


def _bus(device: Device) -> str:
    # A bridge may answer as ATA or SCSI; the cable is what matters to the administrator.
    if re.search(r"/usb\d+/", device.udev.get("DEVPATH", "")):
        return "usb"
    if bus := device.udev.get("ID_BUS"):
        return bus
    return next((bus for prefix, bus in _BUS_BY_NAME if device.name.startswith(prefix)), "")


def _shared_links(devices: Iterable[Device]) -> frozenset[str]:
    """Give the links that more than one device claims.

    They lead to only one of them, today this one and tomorrow another: the paths of a multipath LUN, the namespaces of
    one NVMe controller, two USB bridges with the same serial number, the drives behind one port multiplier.
    """
    claims = Counter(
        link
        for device in devices
        if device.udev.get("DEVTYPE") == "disk"
        for link in set(device.links)
        if link.startswith((BY_ID, BY_PATH))
    )
    shared = frozenset(link for link, count in claims.items() if count > 1)
    for link in sorted(shared):
        LOG.warning("%s: %d devices claim this name, so it names none of them", link, claims[link])
    return shared


def order_ids(ids: Iterable[str]) -> tuple[str, ...]:
    """Give the names of one disk best first: the order of `_ID_ORDER`, then by text.

    Left out are names of what is on the disk, and an NVMe name that only repeats a shorter one with the number
    of the namespace added.
    """
    kept = {name for name in ids if not name.startswith(_CONTENT_IDS)}
    kept -= {name for name in kept if (match := re.fullmatch(r"(nvme-.+)_\d+", name)) and match[1] in kept}
    return tuple(sorted(kept, key=lambda name: (_rank(name), name)))


def _rank(name: str) -> int:
    return next((rank for rank, rule in enumerate(_ID_ORDER) if rule.match(name)), len(_ID_ORDER))


def order_paths(paths: Iterable[str], best: str) -> tuple[str, ...]:
    """Give the names of one disk in /dev/disk/by-path, `best` first (udev's ID_PATH), then by text.

    Left out are the older and newer spellings of a name that is there (systemd, udev-builtin-path_id.c and
    60-persistent-storage.rules): `ata-1` of `ata-1.0`, `usbv3-0:1` of `usb-0:1`, `virtio-pci-` of `pci-`.
    """
    kept = set(paths)
    spellings = {
        name: (f"{name}.0", re.sub(r"-usbv\d-", "-usb-", name), name.removeprefix("virtio-")) for name in kept
    }
    kept = {name for name in kept if not kept.intersection(spellings[name]) - {name}}
    return tuple(sorted(kept, key=lambda name: (name != best, name)))
