"""What a machine is: frozen types that every decision reads, and their JSON form (schema 1).

Made by `hostlib.probe` on a real machine, or read from a recorded file in tests and on a laptop.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Final = 1
INSTALLED_TAG: Final = "slipway-installed"
"""LVM tag of the VG of a node whose installation has ended well."""


class Record(BaseModel):
    """Base of the frozen, closed records that are stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Content(Record):
    """Something found on a disk or on one of its partitions: a file system, a PV, an md member."""

    device: str
    """Kernel name of the disk or partition, such as `sda3`."""
    type: str
    """libblkid's TYPE (`ext4`, `LVM2_member`, `linux_raid_member`) or `gpt`, `dos` for a table."""
    label: str = ""
    uuid: str = ""
    vg: str = ""
    """For a PV: the name of its VG."""
    vg_uuid: str = ""
    """For a PV: the UUID of its VG, which names it for good: two VGs may have the same name."""
    vg_tags: tuple[str, ...] = ()
    """For a PV: the tags of its VG. A finished node carries `INSTALLED_TAG`."""
    mountpoints: tuple[str, ...] = ()


class Disk(Record):
    """A block device that could be an installation target."""

    name: str
    """Kernel name, such as `sda`; changes between boots, so it is never stored in a log or report."""
    path: str
    ids: tuple[str, ...] = ()
    """Its names in /dev/disk/by-id, best first."""
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
    contents: tuple[Content, ...] = ()
    udev: dict[str, str] = Field(default_factory=dict)
    """All udev properties, for the filters of the answer file."""

    @property
    def stable_path(self) -> str:
        """The /dev/disk/by-id path that names this disk for good; the kernel's path if udev gave none."""
        return f"/dev/disk/by-id/{self.ids[0]}" if self.ids else self.path


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


class Dmi(Record):
    """Identity of the machine from SMBIOS."""

    vendor: str = ""
    product: str = ""
    serial: str = ""
    uuid: str = ""


class Cpu(Record):
    """Processor facts that matter to a hypervisor."""

    model: str = ""
    threads: int = 1
    virtualisation: Literal["vmx", "svm", ""] = ""


class Inventory(Record):
    """A whole machine."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    dmi: Dmi = Dmi()
    firmware: Firmware
    cpu: Cpu = Cpu()
    memory_bytes: int
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    leases: tuple[Lease, ...] = ()
    kernel_cmdline: str = ""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def parse_inventory(text: str) -> Inventory:
    """Read an inventory from its JSON text. Raises pydantic.ValidationError."""
    return Inventory.model_validate_json(text)


def render_inventory(inventory: Inventory) -> str:
    """Give the JSON text of an inventory."""
    return inventory.model_dump_json(by_alias=True, indent=2)
