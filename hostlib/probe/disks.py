"""The disks of this machine and what is on them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from hostlib.inventory import Content, Disk
from hostlib.paths import MEDIUM
from hostlib.probe.attempt import LOG, attempt
from hostlib.probe.lvm import Vg
from hostlib.probe.udev import Device, decoded
from hostlib.sizes import SECTOR_BYTES

BY_ID = "/dev/disk/by-id/"

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
    shared = _shared_ids(devices)
    found = [
        attempt(f"disk {device.name}", _read_disk, device, _Surroundings(devices, mounts, vgs), shared)
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
            above = self._devices.get(name)
            if above and (above.sysfs / "holders").is_dir():
                holders = sorted(path.name for path in (above.sysfs / "holders").iterdir())
                names += [holder for holder in holders if holder not in names]
        return tuple(dict.fromkeys(point for name in names for point in self._mounts.get(name, ())))

    def contents(self, device: Device) -> list[Content]:
        """Give what a disk or partition holds: its partition table, then what libblkid found on it."""
        udev, found = device.udev, []
        if udev.get("DEVTYPE") == "disk" and (table := udev.get("ID_PART_TABLE_TYPE")):
            uuid = udev.get("ID_PART_TABLE_UUID", "")
            found.append(Content(device=device.name, type=table, uuid=uuid))
        mountpoints = self.mountpoints(device)
        kind = udev.get("ID_FS_TYPE", "")
        if kind or mountpoints:
            vg = self._vgs.get(device.name, Vg("", ""))
            content = Content(
                device=device.name,
                type=kind or "unknown",
                label=decoded(udev, "ID_FS_LABEL"),
                uuid=udev.get("ID_FS_UUID", ""),
                vg=vg.name,
                vg_uuid=vg.uuid,
                vg_tags=vg.tags,
                mountpoints=mountpoints,
            )
            found.append(content)
        return found


def _read_disk(device: Device, around: _Surroundings, shared: frozenset[str]) -> Disk:
    contents = [content for part in around.parts(device) for content in around.contents(part)]
    mountpoints = {point for content in contents for point in content.mountpoints}
    return Disk(
        name=device.name,
        path=device.udev["DEVNAME"],
        ids=order_ids(link for link in _ids(device) if link not in shared),
        size_bytes=int(device.attribute("size")) * SECTOR_BYTES,
        logical_sector_bytes=int(device.attribute("queue/logical_block_size")),
        physical_sector_bytes=int(device.attribute("queue/physical_block_size")),
        model=_model(device),
        serial=_serial(device),
        wwn=device.udev.get("ID_WWN_WITH_EXTENSION") or device.udev.get("ID_WWN", ""),
        bus=_bus(device),
        rotational=device.attribute("queue/rotational") == "1",
        # The kernel calls no SD card removable; an eMMC, which is soldered in, says MMC.
        removable=device.attribute("removable") == "1" or device.attribute("device/type") == "SD",
        read_only=device.attribute("ro") == "1",
        boot_medium=not MEDIUM_MOUNTS.isdisjoint(mountpoints),
        contents=tuple(contents),
        udev=dict(device.udev),
    )


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


def _ids(device: Device) -> list[str]:
    return [link.removeprefix(BY_ID) for link in device.links if link.startswith(BY_ID)]


def _shared_ids(devices: Iterable[Device]) -> frozenset[str]:
    """Give the names that more than one device claims.

    The link in /dev/disk/by-id leads to only one of them, today this one and tomorrow another: the paths of a
    multipath LUN, the namespaces of one NVMe controller, two USB bridges with the same serial number.
    """
    claims = Counter(
        name for device in devices if device.udev.get("DEVTYPE") == "disk" for name in set(_ids(device))
    )
    shared = frozenset(name for name, count in claims.items() if count > 1)
    for name in sorted(shared):
        LOG.warning("%s%s: %d devices claim this name, so it names none of them", BY_ID, name, claims[name])
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
