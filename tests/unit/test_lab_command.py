from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.vm.lab.accel import ARGUMENTS
from tests.vm.lab.command import plan_command
from tests.vm.lab.spec import (
    Attach,
    Bus,
    Disk,
    DiskFormat,
    Firmware,
    GuestProgram,
    MachineSpec,
    NetBoot,
    Nic,
    RunPaths,
    Service,
)

PATHS = RunPaths(folder=Path("/lab/vm"), sockets=Path("/tmp/s"))
ISO = Path("/iso/slipway.iso")


def plan(spec: MachineSpec) -> list[str]:
    return plan_command(spec, PATHS, ARGUMENTS["tcg"])


def values(command: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(command) if name == option]


def test_machine_starts_stopped_and_headless() -> None:
    command = plan(MachineSpec(name="x", memory_mib=1024, vcpus=2))
    assert command[0] == "qemu-system-x86_64"
    assert "-S" in command
    assert "-no-reboot" in command
    assert values(command, "-display") == ["none"]
    assert values(command, "-m") == ["1024"]
    assert values(command, "-smp") == ["2"]
    assert values(command, "-accel") == ["tcg,thread=multi"]


def test_machine_that_may_restart() -> None:
    assert "-no-reboot" not in plan(MachineSpec(stop_at_reboot=False))


def test_bios_has_no_flash() -> None:
    command = plan(MachineSpec())
    assert values(command, "-machine") == ["q35"]
    assert not any("pflash" in value for value in command)


def test_secure_boot_protects_the_key_store() -> None:
    command = plan(MachineSpec(firmware=Firmware.UEFI_SECURE))
    assert values(command, "-machine") == ["q35,smm=on"]
    assert values(command, "-global") == ["driver=cfi.pflash01,property=secure,value=on"]
    code, variables = (value for value in values(command, "-drive") if "pflash" in value)
    assert code.endswith("readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
    assert variables.endswith("file=/lab/vm/vars.fd")
    assert "readonly" not in variables


def test_plain_uefi_has_no_protected_mode() -> None:
    command = plan(MachineSpec(firmware=Firmware.UEFI))
    assert values(command, "-machine") == ["q35"]
    assert values(command, "-global") == []


@pytest.mark.parametrize(
    ("attach", "device", "machine"),
    [
        (Attach.SCSI_CD, "scsi-cd,id=iso-drive,bus=scsi.0", "q35"),
        (Attach.IDE_CD, "ide-cd,id=iso-drive,bus=ide.1,unit=0", "pc"),
        (Attach.SATA_CD, "ide-cd,id=iso-drive,bus=ide.5", "q35"),
        (Attach.USB_STICK, "usb-storage,id=iso-drive,bus=usb.0", "q35"),
    ],
)
def test_iso(attach: Attach, device: str, machine: str) -> None:
    command = plan(MachineSpec(iso=ISO, attach=attach))
    found = [value for value in values(command, "-device") if value.startswith(device)]
    assert len(found) == 1
    assert found[0].endswith(",bootindex=0")
    assert values(command, "-machine") == [machine]
    assert any("readonly=on,file=/iso/slipway.iso" in value for value in values(command, "-drive"))


@pytest.mark.parametrize(
    ("bus", "device"),
    [
        (Bus.VIRTIO, "virtio-blk-pci,drive=disk0"),
        (Bus.SCSI, "scsi-hd,bus=scsi.0,drive=disk0"),
        (Bus.SATA, "ide-hd,bus=ide.0,drive=disk0"),
        (Bus.USB, "usb-storage,bus=usb.0,drive=disk0"),
        (Bus.NVME, "nvme,drive=disk0"),
    ],
)
def test_disk(bus: Bus, device: str) -> None:
    disk = Disk(
        path=Path("/d.qcow2"), format=DiskFormat.QCOW2, bus=bus, serial="S1", boot_index=3, sector_bytes=4096
    )
    command = plan(MachineSpec(disks=(disk,)))
    found = next(value for value in values(command, "-device") if value.startswith(device))
    assert "serial=S1,bootindex=3,logical_block_size=4096,physical_block_size=4096" in found
    assert "if=none,id=disk0,format=qcow2,file=/d.qcow2,cache=unsafe,discard=unmap" in values(
        command, "-drive"
    )


def test_a_disk_with_errors_is_seen_through_blkdebug() -> None:
    disk = Disk(path=Path("/d,1"), format=DiskFormat.QCOW2, errors=Path("/e"))
    assert (
        "if=none,id=disk0,driver=blkdebug,config=/e,image.driver=qcow2,image.file.filename=/d,,1"
        ",cache=unsafe,discard=unmap"
    ) in values(plan(MachineSpec(disks=(disk,))), "-drive")


def test_nvme_always_has_a_serial_number() -> None:
    assert "serial=nvme0" in " ".join(plan(MachineSpec(disks=(Disk(path=Path("/d"), bus=Bus.NVME),))))


def test_volume_in_a_cd_drive_is_read_only() -> None:
    command = plan(MachineSpec(disks=(Disk(path=Path("/v.iso"), cdrom=True, bus=Bus.USB),)))
    assert "scsi-cd,bus=scsi.0,drive=disk0,id=disk0-drive" in values(command, "-device")
    assert "if=none,id=disk0,format=raw,file=/v.iso,readonly=on" in values(command, "-drive")


def test_commas_in_paths_are_doubled() -> None:
    assert any(
        "file=/a,,b.raw," in value for value in plan(MachineSpec(disks=(Disk(path=Path("/a,b.raw")),)))
    )


def test_network_reaches_only_the_host_s_loopback() -> None:
    command = plan(MachineSpec(nics=(Nic(forwards=(22,)), Nic(forwards=(), restricted=False))))
    assert values(command, "-netdev") == [
        "user,id=net1,restrict=on,hostfwd=tcp:127.0.0.1:0-:22",
        "user,id=net2",
    ]
    cards = [value for value in values(command, "-device") if value.startswith("virtio-net-pci")]
    assert [card.split("mac=")[1].split(",")[0] for card in cards] == [
        "52:54:00:00:00:01",
        "52:54:00:00:00:02",
    ]
    assert [card.split("addr=")[1].split(",")[0] for card in cards] == ["0x18", "0x19"]


def card(command: list[str]) -> str:
    return next(value for value in values(command, "-device") if value.startswith("virtio-net-pci"))


def test_network_boot_of_a_bios_is_by_the_card_s_own_rom() -> None:
    command = plan(MachineSpec(nics=(Nic(mac="52:54:00:aa:00:01", boot=NetBoot.PXE),)))
    assert card(command) == "virtio-net-pci,netdev=net1,mac=52:54:00:aa:00:01,addr=0x18,bootindex=0"


@pytest.mark.parametrize(("boot", "settings"), [(NetBoot.PXE, 0), (NetBoot.HTTP, 2)])
def test_network_boot_of_uefi_is_by_the_firmware(boot: NetBoot, settings: int) -> None:
    command = plan(MachineSpec(firmware=Firmware.UEFI, nics=(Nic(boot=boot),)))
    assert card(command).endswith(",bootindex=0,romfile=")
    assert len([value for value in values(command, "-fw_cfg") if "PXESupport,string=n" in value]) == settings


def test_servers_of_the_user_mode_network() -> None:
    nic = Nic(
        forwards=(),
        tftp=Path("/boot,files"),
        bootfile="boot.ipxe",
        services=(Service("10.0.2.100", 80, 4001), Service("10.0.2.100", 443, 4002)),
    )
    (backend,) = values(plan(MachineSpec(nics=(nic,))), "-netdev")
    assert backend.startswith("user,id=net1,restrict=on,tftp=/boot,,files,bootfile=boot.ipxe,")
    assert ",guestfwd=tcp:10.0.2.100:80-cmd:" in backend
    assert ",guestfwd=tcp:10.0.2.100:443-cmd:" in backend
    assert backend.endswith("forward.py 4002")


def test_network_of_a_namespace() -> None:
    command = plan(MachineSpec(nics=(Nic(tap="tap0"),)))
    assert values(command, "-netdev") == ["tap,id=net1,ifname=tap0,script=no,downscript=no"]


def test_identity() -> None:
    assert values(plan(MachineSpec(serial="S,1", uuid="u")), "-smbios") == ["type=1,serial=S,,1,uuid=u"]


def test_bios_has_no_http_boot() -> None:
    with pytest.raises(ValueError, match="HTTP boot"):
        MachineSpec(nics=(Nic(boot=NetBoot.HTTP),))


def test_ports_and_console() -> None:
    command = plan(MachineSpec())
    assert [value for value in values(command, "-device") if "virtserialport" in value] == [
        "virtserialport,bus=ports.0,chardev=report,name=org.slipway.report",
        "virtserialport,bus=ports.0,chardev=events,name=org.slipway.events",
    ]
    console = "socket,id=console,path=/tmp/s/console,server=on,wait=off,logfile=/lab/vm/console.log"
    assert console in values(command, "-chardev")


def test_nothing_is_put_into_the_guest_unasked() -> None:
    command = plan(MachineSpec())
    assert values(command, "-fw_cfg") == values(command, "-smbios") == []


def test_guest_program_travels_by_firmware() -> None:
    command = plan(MachineSpec(guest=GuestProgram(module="judge_node"), relay=True))
    assert values(command, "-fw_cfg") == [
        "name=opt/io.systemd.credentials/slipway-lab.pyz,file=/lab/vm/guest.pyz",
    ]
    assert len(values(command, "-smbios")) == 4


@pytest.mark.parametrize(
    "broken",
    [
        {"firmware": Firmware.UEFI_SECURE},
        {"disks": (Disk(path=Path("/d"), bus=Bus.SATA),)},
    ],
)
def test_machines_that_do_not_exist(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="parallel IDE drive"):
        MachineSpec(iso=ISO, attach=Attach.IDE_CD, **broken)


def test_a_controller_is_there_when_a_disk_hangs_on_it() -> None:
    disks = (
        Disk(path=Path("/a"), bus=Bus.MEGARAID, serial="A"),
        Disk(path=Path("/b"), bus=Bus.MEGARAID, serial="B", ssd=True, wwn="0x5000c50012345678"),
        Disk(path=Path("/c"), bus=Bus.MEGARAID_JBOD),
    )
    devices = values(plan(MachineSpec(disks=disks)), "-device")
    assert [device for device in devices if device.startswith("megasas")] == [
        "megasas,id=megaraid",
        "megasas,use_jbod=on,id=megaraid-jbod",
    ]
    assert "scsi-hd,bus=megaraid.0,drive=disk0,id=disk0-drive,serial=A" in devices
    assert (
        "scsi-hd,bus=megaraid.0,drive=disk1,id=disk1-drive,serial=B,wwn=0x5000c50012345678,rotation_rate=1"
        in devices
    )
    assert "scsi-hd,bus=megaraid-jbod.0,drive=disk2,id=disk2-drive" in devices
    assert not any("pvscsi" in device for device in devices)


def test_two_paths_to_one_disk_are_read_only_for_the_host() -> None:
    disks = tuple(Disk(path=Path("/lun"), bus=Bus.SCSI, serial="LUN", shared=True) for _ in range(2))
    drives = [value for value in values(plan(MachineSpec(disks=disks)), "-drive") if "/lun" in value]
    assert len(drives) == 2
    assert all(drive.endswith("readonly=on") for drive in drives)


def test_clock_and_what_the_firmware_says_of_itself() -> None:
    command = plan(MachineSpec(clock="2020-01-01T00:00:00", says_uefi=True))
    assert values(command, "-rtc") == ["base=2020-01-01T00:00:00"]
    assert values(command, "-smbios") == ["type=0,uefi=on"]
    assert values(plan(MachineSpec()), "-rtc") == values(plan(MachineSpec()), "-smbios") == []
