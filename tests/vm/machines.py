"""The machines whose inventories are recorded in tests/machines/qemu.

`python3 -m tests.vm.machines ISO [NAME...]` records them anew: each boots the live system, which reports what its
probes read and what they make of it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.vm.lab.accel import Accel, choose_accel
from tests.vm.lab.machine import Vm
from tests.vm.lab.media import GIB, make_disk, make_read_errors
from tests.vm.lab.spec import Bus, Disk, DiskFormat, Firmware, GuestProgram, MachineSpec

RECORDED: Final = Path(__file__).resolve().parents[1] / "machines/qemu"
RECORD_SECONDS: Final = 400.0
"""Boot of the live system, and the commands that a machine begins with."""
WWN: Final = "0x5000c50012345678"
OTHER_WWN: Final = "0x5000c5001234567c"
Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """What is special about a machine.

    Attributes:
        disks: made blank in this order; the path is set when it is built.
        size_bytes: of each disk.
        prepare: commands that run on the live system before it is recorded.
        firmware: how it starts.
        clock: see `MachineSpec.clock`.
        says_uefi: see `MachineSpec.says_uefi`.
        unreadable: serial numbers of the disks that give an error for every sector.
    """

    disks: tuple[Disk, ...]
    size_bytes: int = 16 * GIB
    prepare: tuple[Command, ...] = ()
    firmware: Firmware = Firmware.BIOS
    clock: str = ""
    says_uefi: bool = False
    unreadable: frozenset[str] = frozenset()


def _disk(bus: Bus, serial: str, *, ssd: bool = False, sector_bytes: int = 512, wwn: str = "") -> Disk:
    return Disk(path=Path(), bus=bus, serial=serial, ssd=ssd, sector_bytes=sector_bytes, wwn=wwn)


def _path_to(wwn: str) -> Disk:
    return replace(_disk(Bus.SCSI, "LUN0", wwn=wwn), shared=True)


MIXED: Final = Machine(
    # SATA ports are numbered by the disk.
    disks=(
        _disk(Bus.SATA, "AHCI-SSD", ssd=True),
        _disk(Bus.SATA, "AHCI-HDD"),
        _disk(Bus.MEGARAID, "MR-VOLUME-0"),
        _disk(Bus.MEGARAID, "MR-VOLUME-1"),
        _disk(Bus.MEGARAID_JBOD, "MR-JBOD-0"),
        _disk(Bus.NVME, "NVME-0"),
        _disk(Bus.SCSI, "UNREADABLE"),
    ),
    unreadable=frozenset({"UNREADABLE"}),
    clock="2020-01-01T00:00:00",
    says_uefi=True,
)
_MDADM: Final = ("mdadm", "--create", "--run", "--homehost=any")
_LOOK_AGAIN: Final = ("udevadm", "trigger", "--settle", "--subsystem-match=block")
"""udev looks at a disk when it is closed, and a member of an array stays open."""
MACHINES: Final[dict[str, Machine]] = {
    "megaraid": Machine((_disk(Bus.MEGARAID, "MR0"), _disk(Bus.MEGARAID, "MR1"))),
    "megaraid-jbod": Machine((_disk(Bus.MEGARAID_JBOD, "JBOD0"), _disk(Bus.MEGARAID_JBOD, "JBOD1"))),
    "megaraid-gen2": Machine((_disk(Bus.MEGARAID_GEN2, "GEN2-0"), _disk(Bus.MEGARAID_GEN2, "GEN2-1"))),
    "mptsas": Machine(
        # It shows only disks that have one.
        (_disk(Bus.MPTSAS, "SAS0", wwn=WWN), _disk(Bus.MPTSAS, "SAS1", ssd=True, wwn=OTHER_WWN))
    ),
    "pvscsi": Machine((_disk(Bus.PVSCSI, "PV0"), _disk(Bus.PVSCSI, "PV1", ssd=True))),
    "lsi": Machine((_disk(Bus.LSI, "LSI0"),)),
    "virtio-scsi": Machine((_disk(Bus.SCSI, "VS0", ssd=True, wwn=WWN), _disk(Bus.SCSI, "VS1"))),
    "virtio-blk-uefi": Machine((_disk(Bus.VIRTIO, "VB0"),), firmware=Firmware.UEFI),
    "ahci": Machine((_disk(Bus.SATA, "SATA0", ssd=True), _disk(Bus.SATA, "SATA1"), _disk(Bus.SATA, "SATA2"))),
    "nvme-uefi": Machine((_disk(Bus.NVME, "NVME0"), _disk(Bus.NVME, "NVME1")), firmware=Firmware.UEFI),
    "usb": Machine((_disk(Bus.USB, "USB0"), _disk(Bus.VIRTIO, "VB0"))),
    "4kn-bios": Machine(
        (_disk(Bus.SCSI, "FOURK0", sector_bytes=4096), _disk(Bus.NVME, "FOURK1", sector_bytes=4096)),
        says_uefi=True,
    ),
    "two-paths": Machine((_path_to(WWN), _path_to(WWN))),
    "md-and-pve": Machine(
        (_disk(Bus.SCSI, "MD0"), _disk(Bus.SCSI, "MD1"), _disk(Bus.SATA, "PVE"), _disk(Bus.NVME, "OTHER")),
        prepare=(
            (*_MDADM, "/dev/md/left", "--level=1", "--raid-devices=2", "--assume-clean", "{MD0}", "{MD1}"),
            ("sgdisk", "--new=1:0:+1G", "--typecode=1:8e00", "--change-name=1:old", "{PVE}"),
            ("udevadm", "settle"),
            ("vgcreate", "--yes", "pve", "{PVE}-part1"),
            ("lvcreate", "--yes", "--name", "root", "--size", "100M", "pve"),
            ("vgchange", "--activate", "n", "pve"),
            # Another VG of the same name, as it comes with a disk of another machine.
            ("vgcreate", "--yes", "--devices", "{OTHER}", "pve", "{OTHER}"),
            _LOOK_AGAIN,
        ),
    ),
    "ddf": Machine(
        (_disk(Bus.SCSI, "DDF0"), _disk(Bus.SCSI, "DDF1")),
        prepare=(
            (*_MDADM, "/dev/md/ddf", "--metadata=ddf", "--raid-devices=2", "{DDF0}", "{DDF1}"),
            _LOOK_AGAIN,
        ),
    ),
    "mixed": MIXED,
}


def build_spec(name: str, machine: Machine, folder: Path, iso: Path, guest: GuestProgram) -> MachineSpec:
    """Make the disks of a machine in `folder`; give its spec."""
    disks = []
    for number, disk in enumerate(machine.disks):
        file = folder / f"{name}-{0 if disk.shared else number}.qcow2"
        if not file.exists():
            make_disk(file, machine.size_bytes, DiskFormat.QCOW2)
        errors = make_read_errors(folder / f"{name}.errors") if disk.serial in machine.unreadable else None
        disks.append(replace(disk, path=file, format=DiskFormat.QCOW2, errors=errors))
    return MachineSpec(
        name=name,
        memory_mib=1536,
        iso=iso,
        disks=tuple(disks),
        firmware=machine.firmware,
        clock=machine.clock,
        says_uefi=machine.says_uefi,
        guest=guest,
    )


def record_program(machine: Machine) -> GuestProgram:
    """Give the guest program that records a machine."""
    prepare = [list(command) for command in machine.prepare]
    return GuestProgram(module="record_machine", parameters={"prepare": prepare})


def record(name: str, iso: Path, accel: Accel, vm: Callable[[MachineSpec, Path, Accel], Vm] = Vm) -> None:
    """Record one machine. Raises LabError."""
    machine = MACHINES[name]
    with tempfile.TemporaryDirectory(prefix="slipway-record-") as folder:
        spec = build_spec(name, machine, Path(folder), iso, record_program(machine))
        with vm(spec, Path(folder) / "vm", accel) as running:
            message = running.report.wait("machine", RECORD_SECONDS)
    target = RECORDED / name
    target.mkdir(parents=True, exist_ok=True)
    raw = {"source": "QEMU, a live system of Slipway; made by tests/vm/machines.py", **_dict(message["raw"])}
    (target / "raw.json").write_text(
        json.dumps(raw, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    text = json.dumps(message["inventory"], indent=2, ensure_ascii=False) + "\n"
    (target / "inventory.json").write_text(text, encoding="utf-8")
    print(f"{name}: recorded", flush=True)


def _dict(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def main(arguments: Sequence[str]) -> None:
    """Record the machines that are named, or all."""
    iso, *names = arguments
    accel = choose_accel(Path(iso), Path(tempfile.gettempdir()))
    for name in names or MACHINES:
        record(name, Path(iso).resolve(), accel)


if __name__ == "__main__":
    main(sys.argv[1:])
