"""A MachineSpec turned into QEMU's command line. Pure: the same spec gives the same arguments."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.vm.lab.guest import FW_CFG_NAME, PORTS, smbios_credentials
from tests.vm.lab.spec import Attach, Bus, Disk, Firmware, MachineSpec, NetBoot, Nic, RunPaths

OVMF: Final = Path("/usr/share/OVMF")
FORWARD: Final = Path(__file__).with_name("forward.py")
VARS_TEMPLATE: Final = {
    Firmware.UEFI: OVMF / "OVMF_VARS_4M.fd",
    Firmware.UEFI_SECURE: OVMF / "OVMF_VARS_4M.ms.fd",
}
"""The `.ms` variables hold the keys that hardware is sold with, and have Secure Boot switched on."""
_CODE: Final = {
    Firmware.UEFI: OVMF / "OVMF_CODE_4M.fd",
    Firmware.UEFI_SECURE: OVMF / "OVMF_CODE_4M.secboot.fd",
}


_SCSI_HBAS: Final = {
    Bus.MEGARAID: "megasas",
    Bus.MEGARAID_GEN2: "megasas-gen2",
    Bus.MEGARAID_JBOD: "megasas,use_jbod=on",
    Bus.MPTSAS: "mptsas1068",
    Bus.PVSCSI: "pvscsi",
    Bus.LSI: "lsi53c895a",
}
"""Controllers that a machine has only when a disk hangs on them."""
_SSD_BUSES: Final = {Bus.SCSI, Bus.SATA, *_SCSI_HBAS}


def plan_command(spec: MachineSpec, paths: RunPaths, accel: tuple[str, ...]) -> list[str]:
    """Plan how QEMU is called for a machine.

    Args:
        spec: the machine.
        paths: where its sockets and files are.
        accel: arguments that choose accelerator and CPU, from `accel.choose_accel`.

    Returns:
        The whole command line, beginning with the program. The machine is created stopped (`-S`), so that nothing
        it says is lost before the lab listens.
    """
    return [
        "qemu-system-x86_64",
        "-nodefaults",
        "-no-user-config",
        "-S",
        *accel,
        *(["-name", spec.name]),
        *(["-m", str(spec.memory_mib), "-smp", str(spec.vcpus)]),
        *(["-no-reboot"] if spec.stop_at_reboot else []),
        *(["-display", "none", "-vga", "std"]),
        *_firmware(spec, paths),
        *_channels(paths),
        *_controllers(spec),
        *_iso(spec),
        *(part for number, disk in enumerate(spec.disks) for part in _disk(number, disk)),
        *(part for number, nic in enumerate(spec.nics, 1) for part in _nic(number, nic, spec.firmware)),
        *_identity(spec),
        *(["-rtc", f"base={spec.clock}"] if spec.clock else []),
        *_guest(spec, paths),
    ]


def _firmware(spec: MachineSpec, paths: RunPaths) -> list[str]:
    if spec.firmware is Firmware.BIOS:
        return ["-machine", spec.chipset]
    secure = spec.firmware is Firmware.UEFI_SECURE
    code = _CODE[spec.firmware]
    return [
        *(["-machine", spec.chipset + (",smm=on" if secure else "")]),
        *(["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_quote(code)}"]),
        *(["-drive", f"if=pflash,unit=1,format=raw,file={_quote(paths.vars)}"]),
        # Without this the guest could write the key store behind the firmware's back.
        *(["-global", "driver=cfi.pflash01,property=secure,value=on"] if secure else []),
    ]


def _channels(paths: RunPaths) -> Iterator[str]:
    yield from ("-chardev", f"socket,id=qmp,path={_quote(paths.qmp)},server=on,wait=off")
    yield from ("-mon", "chardev=qmp,mode=control")
    console = f"path={_quote(paths.console)},server=on,wait=off,logfile={_quote(paths.transcript)}"
    yield from ("-chardev", f"socket,id=console,{console}")
    yield from ("-serial", "chardev:console")
    yield from ("-device", "virtio-serial-pci,id=ports")
    for name in PORTS:
        yield from ("-chardev", f"socket,id={name},path={_quote(paths.port(name))},server=on,wait=off")
        yield from ("-device", f"virtserialport,bus=ports.0,chardev={name},name=org.slipway.{name}")


def _controllers(spec: MachineSpec) -> list[str]:
    used = dict.fromkeys(disk.bus for disk in spec.disks if disk.bus in _SCSI_HBAS and not disk.cdrom)
    return [
        *(["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"]),
        *(["-device", "virtio-scsi-pci,id=scsi", "-device", "qemu-xhci,id=usb"]),
        *(part for bus in used for part in ("-device", f"{_SCSI_HBAS[bus]},id={bus}")),
    ]


def _iso(spec: MachineSpec) -> list[str]:
    if spec.iso is None:
        return []
    backend = f"if=none,id=iso,format=raw,readonly=on,file={_quote(spec.iso)}"
    device = {
        Attach.SCSI_CD: "scsi-cd,id=iso-drive,bus=scsi.0,drive=iso",
        Attach.IDE_CD: "ide-cd,id=iso-drive,bus=ide.1,unit=0,drive=iso",
        Attach.SATA_CD: "ide-cd,id=iso-drive,bus=ide.5,drive=iso",
        Attach.USB_STICK: "usb-storage,id=iso-drive,bus=usb.0,drive=iso,removable=on,serial=SLIPWAYSTICK",
    }[spec.attach]
    return ["-drive", backend, "-device", f"{device},bootindex={spec.iso_boot_index}"]


def _disk(number: int, disk: Disk) -> list[str]:
    name = f"disk{number}"
    # What the guest wrote survives the end of QEMU, not of the host: the lab's power cuts need no more, and a host
    # sync for each of the guest's would make every test slower.
    backend = f"if=none,id={name},{_image(disk)}"
    backend += ",readonly=on" if disk.cdrom or disk.shared else ",cache=unsafe,discard=unmap"
    if disk.cdrom:
        device = f"scsi-cd,bus=scsi.0,drive={name},id={name}-drive"
    else:
        driver = {
            Bus.VIRTIO: "virtio-blk-pci",
            Bus.SCSI: "scsi-hd,bus=scsi.0",
            Bus.SATA: f"ide-hd,bus=ide.{number}",
            Bus.USB: "usb-storage,bus=usb.0",
            Bus.NVME: "nvme",
            **{bus: f"scsi-hd,bus={bus}.0" for bus in _SCSI_HBAS},
        }[disk.bus]
        device = f"{driver},drive={name},id={name}-drive"
    serial = disk.serial or (f"nvme{number}" if disk.bus is Bus.NVME else "")
    if serial:
        device += f",serial={serial}"
    if disk.wwn:
        device += f",wwn={disk.wwn}"
    if disk.ssd and disk.bus in _SSD_BUSES:
        device += ",rotation_rate=1"
    if disk.boot_index is not None:
        device += f",bootindex={disk.boot_index}"
    if disk.sector_bytes != 512:
        device += f",logical_block_size={disk.sector_bytes},physical_block_size={disk.sector_bytes}"
    return ["-drive", backend, "-device", device]


def _image(disk: Disk) -> str:
    if disk.errors is None:
        return f"format={disk.format},file={_quote(disk.path)}"
    # QEMU's blkdebug lies between the machine and the image, so its sectors are those that the guest sees.
    image = f"image.driver={disk.format},image.file.filename={_quote(disk.path)}"
    return f"driver=blkdebug,config={_quote(disk.errors)},{image}"


def _nic(number: int, nic: Nic, firmware: Firmware) -> list[str]:
    mac = nic.mac or f"52:54:00:00:00:{number:02x}"
    # A slot of its own: the name of the card follows from it, and must not change when the ISO is gone.
    device = f"{nic.model},netdev=net{number},mac={mac},addr={0x17 + number:#x}"
    if nic.boot is not NetBoot.NO:
        device += ",bootindex=0"
    if nic.boot is NetBoot.NO or firmware is not Firmware.BIOS:
        # No network boot unless a test asks for it: iPXE, the card's option ROM, costs seconds and may catch the
        # machine. UEFI has its own network boot.
        device += ",romfile="
    # OVMF tries PXE first, for a minute: this is how its setup is told that HTTP boot alone is wanted.
    no_pxe = ("IPv4PXESupport", "IPv6PXESupport") if nic.boot is NetBoot.HTTP else ()
    return [
        *(["-netdev", _network(number, nic)]),
        *(["-device", device]),
        *(part for name in no_pxe for part in ("-fw_cfg", f"name=opt/org.tianocore/{name},string=n")),
    ]


def _network(number: int, nic: Nic) -> str:
    if nic.tap:
        return f"tap,id=net{number},ifname={nic.tap},script=no,downscript=no"
    if nic.wire:
        card, switch = map(_quote, nic.wire)
        ends = f"local.type=unix,local.path={card},remote.type=unix,remote.path={switch}"
        return f"dgram,id=net{number},{ends}"
    return _user_network(number, nic)


def _user_network(number: int, nic: Nic) -> str:
    backend = f"user,id=net{number}" + (",restrict=on" if nic.restricted else "")
    # Port 0: the kernel picks a free one, so that machines which start at the same time cannot collide.
    backend += "".join(f",hostfwd=tcp:127.0.0.1:0-:{port}" for port in nic.forwards)
    if nic.tftp is not None:
        backend += f",tftp={_quote(nic.tftp)},bootfile={nic.bootfile}"
    for service in nic.services:
        # A program for each connection: QEMU's other form of this carries one connection at a time.
        program = shlex.join([sys.executable, "-I", str(FORWARD), str(service.host_port)])
        backend += f",guestfwd=tcp:{service.address}:{service.port}-cmd:{program.replace(',', ',,')}"
    return backend


def _identity(spec: MachineSpec) -> list[str]:
    values = {"serial": spec.serial, "uuid": spec.uuid}
    named = [f"{name}={value.replace(',', ',,')}" for name, value in values.items() if value]
    return [
        *(["-smbios", ",".join(["type=1", *named])] if named else []),
        *(["-smbios", "type=0,uefi=on"] if spec.says_uefi else []),
    ]


def _guest(spec: MachineSpec, paths: RunPaths) -> list[str]:
    if spec.guest is None and not spec.relay and not spec.identity:
        return []
    credentials = smbios_credentials(spec.guest, relay=spec.relay, become=bool(spec.identity))
    return [
        *(["-fw_cfg", f"name=opt/io.systemd.credentials/{FW_CFG_NAME},file={_quote(paths.program)}"]),
        *(part for value in credentials for part in ("-smbios", f"type=11,value={value}")),
    ]


def _quote(path: Path) -> str:
    """Double the commas, which end a value in QEMU's option syntax."""
    return str(path).replace(",", ",,")
