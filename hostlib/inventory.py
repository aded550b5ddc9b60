"""What a machine is: frozen types that every decision reads, and their JSON form (schema 1).

Made by `hostlib.probe` on a real machine, or read from a recorded file in tests and on a laptop.
"""

from __future__ import annotations

import json
from typing import Final, Literal

from pydantic import ConfigDict, Field

from hostlib.record import Dmi, Record

SCHEMA: Final = 1
INSTALLED_TAG: Final = "slipway-installed"
"""LVM tag of the VG of a node whose installation has ended well."""


UNREADABLE: Final = "unreadable"
"""Type of the content of a disk whose beginning cannot be read: anything may be on it."""


class Content(Record):
    """Something found on a disk or on one of its partitions: a file system, a PV, an md member."""

    device: str
    """Kernel name of the disk or partition, such as `sda3`."""
    type: str
    """libblkid's TYPE (`ext4`, `LVM2_member`, `linux_raid_member`), `gpt` or `dos` for a table, or `unreadable`."""
    label: str = ""
    uuid: str = ""
    vg: str = ""
    """For a PV: the name of its VG."""
    vg_uuid: str = ""
    """For a PV: the UUID of its VG, which names it for good: two VGs may have the same name."""
    vg_tags: tuple[str, ...] = ()
    """For a PV: the tags of its VG. A finished node carries `slipway-installed`."""
    md_name: str = ""
    """For a member of an assembled md array: the array's kernel name, such as `md127`."""
    md_level: str = ""
    """For a member of an assembled md array: `raid1`, `raid5`, or `container` for firmware's own formats."""
    mountpoints: tuple[str, ...] = ()


class Partition(Record):
    """An entry of a disk's partition table."""

    name: str
    """Kernel name, such as `sda3`."""
    number: int
    size_bytes: int
    type: str = ""
    """GPT: the type's UUID; DOS table: `0x83`."""
    label: str = ""


class Health(Record):
    """What a drive says of itself by SMART or NVMe's health log, read by smartctl. None: it does not say."""

    source: str
    """How it was asked: `smartctl -d megaraid,5`."""
    passed: bool | None = None
    """The drive's own verdict."""
    failing: tuple[str, ...] = ()
    """What is below its threshold now, or an NVMe critical warning, as smartctl names it."""
    wear_percent: int | None = None
    """Of a solid-state drive: the part of its rated life that is used up; may be more than 100."""
    spare_percent: int | None = None
    """NVMe: spare blocks left."""
    reallocated_sectors: int | None = None
    pending_sectors: int | None = None
    """Sectors that could not be read and wait to be written."""
    media_errors: int | None = None
    """Errors that the drive could not correct."""
    temperature_celsius: int | None = None
    power_on_hours: int | None = None
    standby: bool = False
    """It sleeps and was not woken: nothing else is known."""


RaidLevel = Literal["RAID0", "RAID1", "RAID5", "RAID6", "RAID10", "RAID50", "RAID60", ""]


class Raid(Record):
    """What is known of a virtual disk (logical drive, volume) of a RAID controller."""

    level: RaidLevel = ""
    """Empty: neither kernel nor tool tells."""
    members: int | None = None
    """Physical drives in it; None: nobody tells."""
    state: Literal["optimal", "degraded", "failed", ""] = ""
    cache: Literal["write-back", "write-through", ""] = ""
    """The controller's cache for this volume."""
    name: str = ""
    """The controller's name of the volume, such as `0/239` or `0`; `Drive.volume` refers to it."""
    source: str = ""
    """Who told: `sysfs raid_level`, `storcli`, `as many volumes as drives, of the same sizes`."""


DiskKind = Literal["physical", "virtual-disk", "fake-raid-member", "multipath-path", "bmc-virtual"]


class Disk(Record):
    """A block device that could be an installation target."""

    name: str
    """Kernel name, such as `sda`; changes between boots, so it is never stored in a log or report."""
    path: str
    ids: tuple[str, ...] = ()
    """Its names in /dev/disk/by-id, best first."""
    paths: tuple[str, ...] = ()
    """Its names in /dev/disk/by-path: where it is plugged in."""
    size_bytes: int
    logical_sector_bytes: int = 512
    physical_sector_bytes: int = 512
    model: str = ""
    serial: str = ""
    wwn: str = ""
    bus: str = ""
    """ata, scsi, nvme, virtio, usb, mmc or what udev says."""
    rotational: bool = False
    removable: bool = False
    read_only: bool = False
    boot_medium: bool = False
    """The live system runs from it: never a target."""
    controller: str = ""
    """`Controller.address` of what it hangs on; empty where that is unknown."""
    kind: DiskKind = "physical"
    """`physical` is also the disk of a hypervisor: nothing is known to lie between."""
    kind_source: str = ""
    """How the kind is known, where it is not `physical`."""
    raid: Raid | None = None
    """Of a `virtual-disk`."""
    health: Health | None = None
    """None where nobody could ask; for a virtual disk see `Controller.drives`."""
    partitions: tuple[Partition, ...] = ()
    contents: tuple[Content, ...] = ()
    udev: dict[str, str] = Field(default_factory=dict)
    """All udev properties, for the filters of the answer file."""

    @property
    def stable_path(self) -> str:
        """The /dev/disk/by-id path that names this disk for good; the kernel's path if udev gave none."""
        return f"/dev/disk/by-id/{self.ids[0]}" if self.ids else self.path


class Drive(Record):
    """A drive that a RAID controller knows of, whether the kernel shows it as a disk or not."""

    address: str
    """How smartctl or the vendor's tool names it: `megaraid,5`, `252:3`, `1I:1:4`."""
    state: Literal["member", "passthrough", "unconfigured", "spare", "failed", "foreign", ""] = ""
    """`unconfigured` drives are in no volume and not passed through: the kernel does not show them."""
    volume: str = ""
    """`Raid.name` of the volume that it is a member of."""
    model: str = ""
    serial: str = ""
    size_bytes: int | None = None
    rotational: bool | None = None
    health: Health | None = None


ControllerKind = Literal["hba", "raid", "ahci", "ide", "nvme", "vmd", "virtual", "usb", "mmc", "other"]


class Controller(Record):
    """What disks hang on: a PCI function, or another device that a driver makes disks of."""

    address: str
    """PCI address such as `0000:03:00.0`; for others the name of the device in sysfs."""
    pci_id: str = ""
    """Vendor and device: `1000:005d`."""
    subsystem_id: str = ""
    """Who sells the card: `1028:1f49` is Dell's."""
    vendor: str = ""
    """By udev's hardware database."""
    model: str = ""
    driver: str = ""
    """Kernel driver; empty where none has taken it."""
    kind: ControllerKind = "other"
    mode: Literal["raid", "hba", "mixed", ""] = ""
    """Whether it shows virtual disks, the drives themselves, or both; empty where that cannot be known."""
    mode_source: str = ""
    """How the mode is known."""
    firmware: str = ""
    hidden_disks: int | None = None
    """NVMe drives that the kernel says it cannot reach: remapped by Intel RST. None: it does not say."""
    battery: Literal["good", "bad", "none", ""] = ""
    """Of the write cache; empty where nobody tells."""
    drives: tuple[Drive, ...] = ()
    """What the controller itself says is plugged in."""
    drives_source: str = ""
    """Who told of the drives: `smartctl --scan`, `storcli`; empty where nobody could be asked."""


class Neighbour(Record):
    """What LLDP tells of the other end of a cable: it comes from the network, and anybody there may say anything."""

    system: str = ""
    """Name of the switch."""
    port: str = ""
    """The switch's own name for the port, such as `Gi1/0/17`."""
    port_description: str = ""
    """What its administrator has written there."""
    chassis: str = ""
    """Most often the switch's MAC address."""


class Nic(Record):
    """A network interface with a MAC address."""

    name: str
    mac: str
    permanent_mac: str = ""
    driver: str = ""
    pci_path: str = ""
    physical: bool = True
    """False for bridges, bonds, VLANs, SR-IOV virtual functions and the like."""
    link: bool | None = None
    """Carrier; None while the interface is down and cannot tell."""
    speed_mbit: int | None = None
    firmware: str = ""
    """Version of the card's firmware, as the driver gives it."""
    sriov_vfs: int | None = None
    """SR-IOV virtual functions that the card can have; None where it has no SR-IOV."""
    sriov_active_vfs: int = 0
    addresses: tuple[str, ...] = ()
    """Global addresses with prefix length: `192.0.2.4/24`."""
    neighbour: Neighbour | None = None
    """None while none has told: switches do every 30 s, where LLDP is on."""
    udev: dict[str, str] = Field(default_factory=dict)


class Lease(Record):
    """The network configuration of an interface of the live system."""

    nic: str
    dhcp: bool = False
    """From DHCPv4. Else the interface has it from the network boot, `ip=` or a router."""
    address: str
    """With prefix length."""
    gateway: str = ""
    dns: tuple[str, ...] = ()
    hostname: str = ""
    domain: str = ""
    search: tuple[str, ...] = ()
    """Domains to look up names in (option 119)."""
    answer_url: str = ""
    """Option 250: where this machine's answer file is."""
    answer_fingerprint: str = ""
    """Option 251: SHA-256 fingerprint of that server's certificate, as it was given."""


class Firmware(Record):
    """How the machine was started."""

    mode: Literal["bios", "uefi"]
    secure_boot: bool = False
    uefi_capable: bool | None = None
    """By the SMBIOS table; None where it does not tell."""
    vendor: str = ""
    version: str = ""
    date: str = ""
    """As the firmware has it: `04/01/2014`."""


class Clock(Record):
    """What time it is said to be, in seconds since 1970 (UTC)."""

    system_seconds: int
    hardware_seconds: int | None = None
    """Of the battery-backed clock, taken as UTC."""
    image_seconds: int | None = None
    """When this image was built: it cannot be earlier."""
    synchronised: bool = False
    """A time server keeps the system's clock right."""


class Cpu(Record):
    """Processor facts that matter to a hypervisor."""

    model: str = ""
    threads: int = 1
    virtualisation: Literal["vmx", "svm", ""] = ""
    flags: tuple[str, ...] = ()
    """As in /proc/cpuinfo, in order."""


class Inventory(Record):
    """A whole machine."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    dmi: Dmi = Dmi()
    firmware: Firmware
    cpu: Cpu = Cpu()
    memory_bytes: int
    tpm: Literal["1.2", "2.0", ""] = ""
    """Version of the TPM; empty where there is none."""
    clock: Clock | None = None
    controllers: tuple[Controller, ...] = ()
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    leases: tuple[Lease, ...] = ()
    kernel_cmdline: str = ""

    model_config = ConfigDict(populate_by_name=True)


def parse_inventory(text: str) -> Inventory:
    """Read an inventory from its JSON text. Raises pydantic.ValidationError."""
    return Inventory.model_validate_json(text)


def render_inventory(inventory: Inventory) -> str:
    """Give the JSON text of an inventory."""
    return inventory.model_dump_json(by_alias=True, indent=2)


def render_inventory_schema() -> str:
    """Give the JSON Schema of an inventory as `render_inventory` writes it."""
    schema = Inventory.model_json_schema(by_alias=True, mode="serialization")
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**draft, **schema}, indent=2) + "\n"
