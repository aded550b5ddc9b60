"""What a virtual machine is made of: plain frozen values, no effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Firmware(StrEnum):
    """How the machine starts."""

    BIOS = "bios"
    UEFI = "uefi"
    UEFI_SECURE = "uefi-secure"
    """Secure Boot on, with the stock keys."""


class Bus(StrEnum):
    """What a disk hangs on."""

    VIRTIO = "virtio"
    SCSI = "scsi"
    SATA = "sata"
    USB = "usb"
    NVME = "nvme"
    MEGARAID = "megaraid"
    """MegaRAID SAS 1078; each disk is a volume."""
    MEGARAID_GEN2 = "megaraid-gen2"
    """MegaRAID SAS 2108; each disk is a volume."""
    MEGARAID_JBOD = "megaraid-jbod"
    """MegaRAID SAS 1078 that passes its disks through."""
    MPTSAS = "mptsas"
    """LSI SAS1068."""
    PVSCSI = "pvscsi"
    """VMware's paravirtual controller."""
    LSI = "lsi"
    """LSI 53c895a, parallel SCSI."""


class DiskFormat(StrEnum):
    """Format of a disk's file on the host."""

    RAW = "raw"
    QCOW2 = "qcow2"


class Attach(StrEnum):
    """How the ISO is put into the machine."""

    SCSI_CD = "scsi-cd"
    """On virtio-scsi: the fastest under emulation."""
    IDE_CD = "ide-cd"
    """A CD drive on an old parallel IDE controller; takes a `pc` machine."""
    SATA_CD = "sata-cd"
    USB_STICK = "usb"
    """The ISO written to a USB stick: a plain disk with a partition table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One disk.

    Attributes:
        path: its file, which must exist.
        format: format of that file.
        bus: what it hangs on.
        serial: serial number that the guest sees, at most 20 characters; empty for none.
        boot_index: place in the firmware's boot order, from 0; None to leave it out.
        cdrom: a read-only CD drive on virtio-scsi with `path` as its medium; `bus` is ignored.
        sector_bytes: logical and physical block size, 512 or 4096.
        errors: which of its sectors fail, from `media.make_write_errors` or `make_read_errors`; None for a disk that is well.
        wwn: World Wide Name, `0x` and 16 hexadecimal digits; empty for none.
        shared: another disk of the machine has the same file: a second path to it. Read-only for the host's sake.
        ssd: it says that it does not rotate (SCSI and SATA).
    """

    path: Path
    format: DiskFormat = DiskFormat.RAW
    bus: Bus = Bus.VIRTIO
    serial: str = ""
    boot_index: int | None = None
    cdrom: bool = False
    sector_bytes: int = 512
    errors: Path | None = None
    wwn: str = ""
    shared: bool = False
    ssd: bool = False


class NetBoot(StrEnum):
    """Whether and how the firmware starts from a network card."""

    NO = "no"
    PXE = "pxe"
    HTTP = "http"
    """UEFI only; needs a DHCP server that answers it, see `namespace`."""


class Service(NamedTuple):
    """A server on the user-mode network: what the guest calls leads to a port of 127.0.0.1 of the host."""

    address: str
    port: int
    host_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """One network card on QEMU's user-mode network: DHCP gives 10.0.2.15/24, gateway 10.0.2.2, DNS 10.0.2.3.

    Attributes:
        forwards: TCP ports of the guest that are reachable on 127.0.0.1 of the host (see `Vm.forward`).
        restricted: the guest reaches neither the host nor anything behind it, except for `services` and `tftp`.
        model: QEMU's name of the card.
        mac: its MAC address; empty for one of the lab's.
        boot: whether the firmware starts from it, before any disk.
        tftp: folder that the network's TFTP server gives out.
        bootfile: file that DHCP names to the firmware.
        services: servers beside the network's own.
        tap: it hangs on this end of a `Namespace` instead, and nothing of the user-mode network is there.
        wire: it hangs on a `Switch` instead: the card's socket and the switch's.
    """

    forwards: tuple[int, ...] = (22, 8006)
    restricted: bool = True
    model: str = "virtio-net-pci"
    mac: str = ""
    boot: NetBoot = NetBoot.NO
    tftp: Path | None = None
    bootfile: str = ""
    services: tuple[Service, ...] = ()
    tap: str = ""
    wire: tuple[Path, Path] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestProgram:
    """A Python program of `tests/vm/guest/` that runs inside the guest as a unit of its own.

    Attributes:
        module: module name in that folder, without `.py`; its `main(parameters)` is called.
        parameters: JSON object that it is called with.
        after: unit that it is started by and after.
        before: unit that waits until the program has ended, such as `slipway-installer.service`; empty for none.
    """

    module: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    after: str = "multi-user.target"
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """One virtual machine.

    Attributes:
        name: file name of its folder below the test's folder.
        firmware: how it starts.
        firmware_vars: UEFI variables to begin with (copied); None for the firmware's own template.
        memory_mib: RAM in MiB.
        vcpus: number of virtual processors.
        disks: in the order in which they are attached.
        iso: image to attach as `attach` says; None to boot from the disks.
        attach: how the ISO is attached.
        iso_boot_index: place of the ISO in the boot order.
        nics: network cards; their MAC addresses are 52:54:00:00:00:01, …:02 and so on, unless they say otherwise.
        serial: serial number of the machine; empty for none.
        uuid: UUID of the machine; empty for QEMU's own choice.
        enter: beginning of the command that starts QEMU, from `Namespace.enter`.
        guest: program that judges from inside; None for none.
        identity: name, address and enrolment that a copied disk gets, see `guest/become.py`; empty for none.
        relay: send the installer's and first boot's events to the host as they happen.
        stop_at_reboot: QEMU ends when the guest restarts the machine, rather than starting it again.
        clock: what the battery-backed clock says at the start, such as `2020-01-01T00:00:00`; empty for the host's time.
        says_uefi: a BIOS whose SMBIOS table says that the machine could start by UEFI.
    """

    name: str = "vm"
    firmware: Firmware = Firmware.BIOS
    firmware_vars: Path | None = None
    memory_mib: int = 2048
    vcpus: int = 1
    disks: tuple[Disk, ...] = ()
    iso: Path | None = None
    attach: Attach = Attach.SCSI_CD
    iso_boot_index: int = 0
    nics: tuple[Nic, ...] = (Nic(),)
    serial: str = ""
    uuid: str = ""
    enter: tuple[str, ...] = ()
    guest: GuestProgram | None = None
    identity: Mapping[str, object] = field(default_factory=dict)
    relay: bool = False
    stop_at_reboot: bool = True
    clock: str = ""
    says_uefi: bool = False

    def __post_init__(self) -> None:
        """Refuse combinations that no machine has.

        Raises:
            ValueError: Secure Boot on a machine with a parallel IDE drive, which has no protected mode for it, or
                SATA disks on it, as it has no such controller; HTTP boot of a BIOS.
        """
        if self.firmware is Firmware.BIOS and any(nic.boot is NetBoot.HTTP for nic in self.nics):
            raise ValueError("a BIOS has no HTTP boot")
        if self.iso is None or self.attach is not Attach.IDE_CD:
            return
        if self.firmware is Firmware.UEFI_SECURE:
            raise ValueError("Secure Boot needs the q35 machine; a parallel IDE drive needs the pc machine")
        if any(disk.bus is Bus.SATA and not disk.cdrom for disk in self.disks):
            raise ValueError("a machine with a parallel IDE drive has no SATA controller")

    @property
    def chipset(self) -> str:
        """QEMU's machine type: `pc` for a parallel IDE drive, else `q35`."""
        return "pc" if self.iso is not None and self.attach is Attach.IDE_CD else "q35"


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Files of one running machine.

    Attributes:
        folder: kept after the run: transcript, screenshots, QEMU's messages, UEFI variables.
        sockets: short-lived folder with a short name (a socket's path may have 107 bytes at most).
    """

    folder: Path
    sockets: Path

    @property
    def qmp(self) -> Path:
        """Socket of QEMU's control channel."""
        return self.sockets / "qmp"

    @property
    def console(self) -> Path:
        """Socket of the serial console."""
        return self.sockets / "console"

    @property
    def transcript(self) -> Path:
        """Everything that the serial console said, raw."""
        return self.folder / "console.log"

    @property
    def vars(self) -> Path:
        """This machine's own UEFI variables."""
        return self.folder / "vars.fd"

    @property
    def program(self) -> Path:
        """Archive of what runs inside the guest."""
        return self.folder / "guest.pyz"

    def port(self, name: str) -> Path:
        """Socket of the virtio-serial port `org.slipway.<name>`."""
        return self.sockets / name
