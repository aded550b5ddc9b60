"""What is known of storage controllers and of what they show as disks: tables and the rules over them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from hostlib.inventory import Controller, ControllerKind, Disk, Raid, RaidLevel

VIRTUAL_MEDIA: Final = re.compile(
    r"\b(virtual[ -]?(floppy|cd-?rom|cd|dvd|media|hdisk|usb)\d*|(cimc|kvm)-mapped|vhdd|ami|idrac|lcdrive|ilo"
    r"|oemdrv|secupd)\b",
    re.IGNORECASE,
)
"""Vendor and model of what a BMC shows as a disk: its media drives, and the folders of its own.

Not "Virtual Disk", as hypervisors and RAID controllers call theirs.
"""

BOOT_VOLUME: Final = re.compile(
    r"(DELLBOSS VD|Dell BOSS-N|HPE NS204i-|ThinkSystem M\.2 VD|M\.2 NVMe 2-Bay RAID)", re.IGNORECASE
)
"""Model of the volume of a card that mirrors two M.2 drives by itself (Dell BOSS-S1, S2, N1; HPE NS204i; Lenovo).

Each shows an AHCI or NVMe controller like any other. Drives that a BOSS-S1 passes through keep their own model.
"""

BOOT_RAID: Final = {"1b4b:9230": ("1028:", "1d49:"), "1b4b:2241": ("1028:", "1590:", "1d49:")}
"""PCI id of the chips on those cards (Marvell 88SE9230, 88NR2241) -> who sells them, as pci.ids has it."""

VMD_IDS: Final = frozenset(
    f"8086:{device}"
    for device in (
        *("201d", "28c0", "467f", "4c3d", "7d0b", "9a0b"),
        *("a77f", "ad0b", "b06f", "b07f", "b60b"),
    )
)
"""Intel VMD: vmd_ids in drivers/pci/controller/vmd.c, for where no driver has taken the device."""

FAKE_RAID: Final = frozenset(
    f"{name}_raid_member"
    for name in (
        *("adaptec", "ddf", "hpt37x", "hpt45x", "isw", "jmicron"),
        *("lsi_mega", "nvidia", "promise_fasttrack", "silicon_medley", "via"),
    )
)
"""Members of a RAID set that firmware made and the operating system must assemble.

util-linux, libblkid/src/superblocks. DDF is also what some hardware controllers leave on their drives.
"""

LEVELS: Final[dict[str, RaidLevel]] = {
    # smartpqi_init.c raid_levels, hpsa.c raid_label: the controller uses one number for 1 and 10, for 5 and 50,
    # for 6 and 60. ADG is RAID 6; ADM and Triple keep three copies.
    "RAID0": "RAID0",
    "RAID1(1+0)": "RAID1",
    "RAID5": "RAID5",
    "RAID6": "RAID6",
    "RAIDADG": "RAID6",
    "RAID1(ADM)": "RAID1",
    "RAID1(TRIPLE)": "RAID1",
    # aacraid/aachba.c container_types: a volume is one drive or several end to end.
    "VOLUME": "RAID0",
    "STRIPE": "RAID0",
    "RAID00": "RAID0",
    "MIRROR": "RAID1",
    "RAID1E": "RAID10",
    "RAID10": "RAID10",
    "RAID50": "RAID50",
    "RAID60": "RAID60",
    # raid_class.c raid_levels, as mpt3sas uses them, has one name more.
    "RAID1": "RAID1",
}
"""The kernel's name of a level, in capitals without blanks and hyphens."""

_STATES: Final[dict[str, Literal["optimal", "degraded", "failed"]]] = {
    "active": "optimal",
    "degraded": "degraded",
    "resyncing": "degraded",
    "offline": "failed",
}
"""raid_class.c raid_states."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What the kernel shows of a disk, as far as it tells a volume from a drive."""

    vendor: str = ""
    """SCSI inquiry."""
    model: str = ""
    channel: int | None = None
    """SCSI channel; None for what is no SCSI device."""
    told: str = ""
    """Text of the family's own attribute."""
    state: str = ""
    """Text of raid_class's attribute."""

    @property
    def inquiry(self) -> str:
        """Vendor and model in one."""
        return f"{self.vendor} {self.model}".strip()


Rule = Callable[[Signs], str]
"""Gives how a disk is known to be a volume; empty for a drive."""


@dataclass(frozen=True, slots=True)
class Family:
    """A row of the table of controllers: what its drivers are called and how its volumes are told from drives."""

    drivers: tuple[str, ...]
    kind: ControllerKind
    volume: Rule
    source: str
    """Where the rule is from."""
    attribute: str = ""
    """Path of its own attribute in the folder of the SCSI device, whose name is `{hctl}`."""
    state: str = ""
    """Path of the volume's state."""
    firmware: str = ""
    """Attribute of the scsi_host that tells the version of the firmware."""
    says_removable: bool = False
    """The driver calls drives removable that are not."""


def _drive(_: Signs) -> str:
    return ""


def _above(first: int) -> Rule:
    def rule(signs: Signs) -> str:
        if signs.channel is None or signs.channel < first:
            return ""
        return f"SCSI channel {signs.channel}, where the driver puts volumes; it calls itself {signs.inquiry}"

    return rule


def _level(channel: int) -> Rule:
    """By the attribute; by the channel where it cannot be read."""

    def rule(signs: Signs) -> str:
        if signs.told in {"N/A", "JBOD", "Hidden"}:
            return ""
        if signs.told:
            return f"the kernel gives its RAID level: {signs.told}"
        return f"SCSI channel {channel}, where the driver puts volumes" if signs.channel == channel else ""

    return rule


def _raid_class(signs: Signs) -> str:
    if signs.channel != 1:
        return ""
    where = "SCSI channel 1, where the driver puts volumes"
    return f"{where}; the kernel gives its RAID level: {signs.told}" if signs.told else where


def _no_sas_address(signs: Signs) -> str:
    if signs.told or signs.vendor in {"ATA", "NVMe"}:
        return ""
    return f"neither SAS nor NVMe: it calls itself {signs.inquiry}"


def _areca(signs: Signs) -> str:
    if signs.vendor == "Areca" or "-VOL#" in signs.model:
        return f"it calls itself {signs.inquiry}"
    return ""


def _mpt_scsi(signs: Signs) -> str:
    return f"it calls itself {signs.inquiry}" if re.match(r"LSILOGIC 1030 IM", signs.inquiry) else ""


FAMILIES: Final = (
    Family(
        ("megaraid_sas",),
        "raid",
        _above(2),
        "drivers/scsi/megaraid/megaraid_sas.h: MEGASAS_IS_LOGICAL, MEGASAS_MAX_PD_CHANNELS",
    ),
    Family(
        ("mpt3sas", "mpt2sas"),
        "hba",
        _raid_class,
        "drivers/scsi/mpt3sas/mpt3sas_scsih.c: scsih_is_raid, RAID_CHANNEL; drivers/scsi/raid_class.c",
        attribute="raid_devices/{hctl}/level",
        state="raid_devices/{hctl}/state",
        firmware="version_fw",
    ),
    Family(
        ("mptsas",),
        "hba",
        _raid_class,
        "drivers/message/fusion/mptsas.c: MPTSAS_RAID_CHANNEL",
        firmware="version_fw",
    ),
    Family(
        ("mptspi",),
        "hba",
        _mpt_scsi,
        "drivers/message/fusion/mptspi.c: mptspi_is_raid knows volumes by id alone, so only their name tells",
        firmware="version_fw",
    ),
    Family(("mptfc",), "hba", _drive, "drivers/message/fusion/mptfc.c", firmware="version_fw"),
    Family(
        ("mpi3mr",),
        "raid",
        _no_sas_address,
        "drivers/scsi/mpi3mr/mpi3mr_app.c: sas_address_show is empty for volumes and NVMe drives",
        attribute="sas_address",
        firmware="version_fw",
    ),
    Family(
        ("smartpqi",),
        "raid",
        _level(1),
        "drivers/scsi/smartpqi/smartpqi_init.c: pqi_raid_level_show; smartpqi.h: PQI_RAID_VOLUME_BUS",
        attribute="raid_level",
        firmware="firmware_version",
    ),
    Family(
        ("hpsa",),
        "raid",
        _level(1),
        "Documentation/scsi/hpsa.rst; drivers/scsi/hpsa.c: raid_level_show; hpsa.h: HPSA_RAID_VOLUME_BUS",
        attribute="raid_level",
        firmware="firmware_revision",
    ),
    Family(
        ("aacraid",),
        "raid",
        _level(0),
        "drivers/scsi/aacraid/linit.c: aac_show_raid_level, aac_slave_configure; aacraid.h: CONTAINER_CHANNEL",
        attribute="level",
        firmware="hba_kernel_version",
        says_removable=True,
    ),
    Family(
        ("arcmsr",),
        "raid",
        _areca,
        "inquiry of volume sets (lsscsi: Areca ARC-1226-VOL#000); drivers/scsi/arcmsr/arcmsr_attr.c",
        firmware="host_fw_version",
    ),
    Family(("mvsas",), "hba", _drive, "drivers/scsi/mvsas: libsas, drives alone"),
    Family(
        ("isci",), "hba", _drive, "drivers/scsi/isci: libsas, drives alone; Intel RSTe sets are isw members"
    ),
    Family(("pm80xx",), "hba", _drive, "drivers/scsi/pm8001: libsas, drives alone"),
    Family(("ahci",), "ahci", _drive, "drivers/ata/ahci.c"),
    Family(("ata_piix", "ata_generic"), "ide", _drive, "drivers/ata/ata_piix.c"),
    Family(("nvme",), "nvme", _drive, "drivers/nvme/host/pci.c"),
    Family(("vmd",), "vmd", _drive, "drivers/pci/controller/vmd.c: a PCI domain of its own"),
    Family(("virtio-pci", "virtio_blk", "virtio_scsi"), "virtual", _drive, "drivers/virtio"),
    Family(("hv_storvsc",), "virtual", _drive, "drivers/scsi/storvsc_drv.c"),
    Family(("vmw_pvscsi",), "virtual", _drive, "drivers/scsi/vmw_pvscsi.c"),
    Family(("vbd",), "virtual", _drive, "drivers/block/xen-blkfront.c"),
    Family(("sym53c8xx",), "hba", _drive, "drivers/scsi/sym53c8xx_2"),
)

_BY_DRIVER: Final = {driver: family for family in FAMILIES for driver in family.drivers}

# Of include/linux/pci_ids.h: base class and subclass.
_BY_CLASS: Final[dict[str, ControllerKind]] = {
    "0100": "hba",
    "0101": "ide",
    "0104": "raid",
    "0105": "ide",
    "0106": "ahci",
    "0107": "hba",
    "0108": "nvme",
    "0805": "mmc",
    "0c03": "usb",
    "0c04": "hba",
}
_RAID_CLASS: Final = "0104"
_VIRTIO: Final = "1af4:"
_NO_ROW: Final = "include/linux/pci_ids.h"
"""`Family.source` of a driver that is not in the table."""


def find_family(driver: str, pci_class: str, pci_id: str = "") -> Family:
    """Give the row of a driver; one made from the PCI class (`0104`) and id where the driver is not in the table."""
    if family := _BY_DRIVER.get(driver):
        return family
    kind = _BY_CLASS.get(pci_class, "other")
    if pci_id in VMD_IDS:
        kind = "vmd"
    elif pci_id.startswith(_VIRTIO):
        kind = "virtual"
    return Family((driver,), kind, _drive, _NO_ROW)


def is_boot_raid(pci_id: str, subsystem_id: str) -> bool:
    """Tell whether a PCI function is a card that mirrors two M.2 drives by itself."""
    return subsystem_id.startswith(BOOT_RAID.get(pci_id, ()))


def judge_disk(disk: Disk, family: Family, signs: Signs) -> Disk:
    """Give a disk with its kind, how that is known, and what the kernel tells of the volume."""
    if family.says_removable:
        disk = disk.model_copy(update={"removable": False})
    identity = f"{disk.udev.get('ID_VENDOR', '')} {disk.model}".replace("_", " ").strip()
    if VIRTUAL_MEDIA.search(identity):
        return disk.model_copy(update={"kind": "bmc-virtual", "kind_source": f"it calls itself {identity}"})
    how = f"it calls itself {disk.model}" if BOOT_VOLUME.match(disk.model) else family.volume(signs)
    if how:
        update = {"kind": "virtual-disk", "kind_source": how, "raid": _raid(family, signs)}
        return disk.model_copy(update=update)
    member = next((c.type for c in disk.contents if c.device == disk.name and c.type in FAKE_RAID), "")
    if member:
        how = f"its signature: {member}"
        return disk.model_copy(update={"kind": "fake-raid-member", "kind_source": how})
    return disk


def _raid(family: Family, signs: Signs) -> Raid:
    name = family.attribute.rpartition("/")[2]
    return Raid(
        level=LEVELS.get(re.sub(r"[ -]", "", signs.told).upper(), ""),
        state=_STATES.get(signs.state, ""),
        source=f"sysfs {name}: {signs.told}" if signs.told else "",
    )


def find_paths(disks: Iterable[Disk]) -> tuple[Disk, ...]:
    """Give the disks, those marked that are one of several paths to the same disk.

    Two are the same disk when they share size and WWN and no serial number speaks against it, or, as SCSI disks
    of which not both have a WWN, model, serial number and size. Not so by USB, where all bridges of a kind may
    have one serial number, nor for volumes, which may all have their controller's.
    """
    disks = tuple(disks)
    return tuple(_mark_path(disk, disks) for disk in disks)


def _mark_path(disk: Disk, disks: tuple[Disk, ...]) -> Disk:
    if disk.kind in {"bmc-virtual", "virtual-disk"} or disk.bus == "usb":
        return disk
    how = ""
    if disk.udev.get("DM_MULTIPATH_DEVICE_PATH") == "1":
        how = "udev: DM_MULTIPATH_DEVICE_PATH=1"
    for other in disks:
        if other.name == disk.name or other.bus != disk.bus or other.size_bytes != disk.size_bytes:
            continue
        if disk.wwn and other.wwn:
            if disk.wwn == other.wwn and (not disk.serial or other.serial in {"", disk.serial}):
                how = f"another disk has its WWN {disk.wwn} too"
        elif disk.bus == "scsi" and disk.serial and (other.model, other.serial) == (disk.model, disk.serial):
            how = f"another disk has its serial number {disk.serial} too"
    return disk.model_copy(update={"kind": "multipath-path", "kind_source": how}) if how else disk


def judge_controller(
    controller: Controller, family: Family, pci_class: str, disks: Iterable[Disk]
) -> Controller:
    """Give a controller with its mode and how that is known, by the disks that hang on it."""
    own = [disk for disk in disks if disk.controller == controller.address]
    if any(BOOT_VOLUME.match(disk.model) for disk in own):
        controller = controller.model_copy(update={"kind": "raid"})
    if not controller.driver or controller.kind not in {"hba", "raid", "ahci"}:
        return controller
    if controller.kind == "raid" and family.source == _NO_ROW:
        # Volumes of a driver that is not in the table cannot be told from drives.
        return controller
    volumes = sum(disk.kind == "virtual-disk" for disk in own)
    drives = len(own) - volumes
    if controller.kind == "ahci" and pci_class == _RAID_CLASS:
        mode, how = "raid", "PCI class 0104: the firmware setup has it in RAID mode (Intel RST and the like)"
    elif own:
        mode = "mixed" if volumes and drives else "raid" if volumes else "hba"
        how = f"it shows {_count(volumes, 'volume')} and {_count(drives, 'drive')}"
    elif controller.kind == "raid":
        mode, how = "raid", "a RAID controller that shows no disk: no volume is made, no drive passed through"
    elif family.volume is _drive:
        mode, how = "hba", f"driver {controller.driver}: drives alone"
    else:
        return controller
    return controller.model_copy(update={"mode": mode, "mode_source": how})


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
