"""Installations as values: which machine, which answer; and the one way to carry one out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.vm.lab.accel import Accel
from tests.vm.lab.answers import FQDN, Table, make_answer
from tests.vm.lab.errors import LabError
from tests.vm.lab.machine import Vm
from tests.vm.lab.media import GIB, VolumeKind, content_digest, make_dirty_disk, make_disk, make_volume
from tests.vm.lab.spec import Attach, Bus, Disk, DiskFormat, Firmware, GuestProgram, MachineSpec

TARGET_BYTES: Final = 32 * GIB
OTHER_BYTES: Final = 8 * GIB
SWAP_GIB: Final = 1
LIVE_SECONDS: Final = 400.0
"""From power-on to the live system's first words, on a slow and busy host."""
INSTALL_SECONDS: Final = 1500.0
"""From the countdown to power-off, on a slow and busy host."""
OLD_VG: Final = "pve"
DONE: Final = r"is installed\.|Installation failed \(exit status (\d+)\)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """One installation by an answer on a labelled volume.

    Attributes:
        name: used in file names.
        firmware: how the machine starts.
        attach: how the ISO is attached.
        filesystem: `ext4` or `xfs`.
        bus: what the disks hang on.
        target_serial: serial number of the disk that the answer picks.
        other_serials: disks beside it, before and behind: they are dirty.
        by_filter: the answer picks the target by a filter on its serial number, not by `disk-list`.
        old_vgs: before the installer starts, the target and the others get a VG of the node's own name.
        cut_in: phase of the installation in which the power fails; it then begins anew on what is left. Empty: none.
        volume: file system of the answer's volume.
        label: its label.
        sector_bytes: sector size of the target.
        memory_mib: RAM of the machine.
        dhcp: the answer takes the network from DHCP instead of naming it.
        fqdn: name that the node gets.
        uuid: of the machine: a copy of the disk in another one is told by it.
        enrollment: the answer's table `enrollment`; None to leave it out: the node makes a cluster of itself.
    """

    name: str
    firmware: Firmware = Firmware.BIOS
    attach: Attach = Attach.SCSI_CD
    filesystem: str = "ext4"
    bus: Bus = Bus.VIRTIO
    target_serial: str = "TARGET"
    other_serials: tuple[str, ...] = ()
    by_filter: bool = False
    old_vgs: bool = False
    cut_in: str = ""
    volume: VolumeKind = "fat"
    label: str = "SLIPWAY"
    sector_bytes: int = 512
    memory_mib: int = 2048
    dhcp: bool = False
    fqdn: str = FQDN
    uuid: str = "4c4c4544-0000-4000-8000-00000000000f"
    enrollment: Table | None = None

    def answer(
        self, keys: tuple[str, ...], global_: Table | None = None, sections: Mapping[str, Table] | None = None
    ) -> str:
        """Give the answer file, with ssh keys for root; `global_` and `sections` as `make_answer` takes them."""
        disk: dict[str, object] = {"filesystem": self.filesystem, "lvm": {"swapsize": SWAP_GIB}}
        if self.by_filter:
            disk["filter"] = {"ID_SERIAL": f"*{self.target_serial}*"}
        else:
            names = {Bus.VIRTIO: "vda", Bus.NVME: "nvme0n1"}
            disk["disk-list"] = [names.get(self.bus, "sda")]
        # The lab's network gives no gateway by DHCP, because it leads nowhere.
        static = {
            "source": "from-answer",
            "cidr": "10.0.2.15/24",
            "gateway": "10.0.2.2",
            "dns": "10.0.2.3",
            "filter": {"INTERFACE": "e*"},
        }
        network = None if self.dhcp else static
        settings = {"fqdn": self.fqdn, **(global_ or {})}
        if self.enrollment is not None:
            sections = {**(sections or {}), "enrollment": self.enrollment}
        return make_answer(disk=disk, keys=keys, global_=settings, network=network, sections=sections)


@dataclass(frozen=True, slots=True)
class Installed:
    """A disk that was installed and has not been started yet. Use overlays of it.

    Attributes:
        disk: qcow2 file.
        firmware_vars: UEFI variables after the installation; None for BIOS.
        seconds: durations by name.
        changed: serial numbers of other disks whose content is not what it was.
        console: what the serial console said.
    """

    disk: Path
    firmware_vars: Path | None
    seconds: dict[str, float]
    changed: tuple[str, ...]
    console: str

    def save(self, path: Path) -> None:
        """Write it down as JSON, for other test workers."""
        values = {
            "disk": str(self.disk),
            "firmware_vars": str(self.firmware_vars) if self.firmware_vars else None,
            "seconds": self.seconds,
            "changed": self.changed,
            "console": self.console,
        }
        path.write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Installed:
        """Read what `save` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        firmware_vars = Path(values["firmware_vars"]) if values["firmware_vars"] else None
        changed = tuple(values["changed"])
        return cls(Path(values["disk"]), firmware_vars, values["seconds"], changed, values["console"])


def install_spec(install: Install, iso: Path, folder: Path, keys: tuple[str, ...]) -> MachineSpec:
    """Make the media of an installation in a folder, and give the machine that carries it out.

    Args:
        install: the installation.
        iso: the image.
        folder: where the media are made: `target.qcow2`, `<serial>.raw` and the answer's volume.
        keys: ssh keys for root.

    Returns:
        The machine, with the relay of events.

    Raises:
        LabError: a medium could not be made.
    """
    answer = {"answer.toml": install.answer(keys).encode()}
    volume = make_volume(folder / "answer.img", install.volume, install.label, answer)
    old = GuestProgram(
        module="old_vgs",
        parameters={"serials": [*install.other_serials, install.target_serial], "name": OLD_VG},
        after="basic.target",
        before="slipway-installer.service",
    )
    return MachineSpec(
        name=f"install-{install.name}",
        firmware=install.firmware,
        memory_mib=install.memory_mib,
        disks=(
            *_install_disks(install, folder),
            Disk(path=volume, bus=Bus.USB, cdrom=install.volume == "iso"),
        ),
        iso=iso,
        attach=install.attach,
        guest=old if install.old_vgs else None,
        uuid=install.uuid,
        relay=True,
    )


def _install_disks(install: Install, folder: Path) -> list[Disk]:
    target = Disk(
        path=make_disk(folder / "target.qcow2", TARGET_BYTES, DiskFormat.QCOW2),
        format=DiskFormat.QCOW2,
        bus=install.bus,
        serial=install.target_serial,
        boot_index=9,
        sector_bytes=install.sector_bytes,
    )
    others = [
        Disk(
            path=make_dirty_disk(folder / f"{serial}.raw", OTHER_BYTES, seed), bus=install.bus, serial=serial
        )
        for seed, serial in enumerate(install.other_serials)
    ]
    # With a filter the target is not the first disk, so that picking the first one shows.
    return [*others[:2], target, *others[2:]] if install.by_filter else [target, *others]


def run_install(
    install: Install, start: Callable[[MachineSpec], Vm], iso: Path, folder: Path, keys: tuple[str, ...]
) -> Installed:
    """Carry out an installation, up to power-off.

    Args:
        install: the installation.
        start: makes a machine from a spec; it is entered here.
        iso: the image.
        folder: where media and machine are kept.
        keys: ssh keys for root.

    Returns:
        The installed disk.

    Raises:
        LabError: the installer failed, or the machine did not switch itself off; the text holds what it said.
    """
    spec = install_spec(install, iso, folder, keys)
    others = {disk.serial: disk.path for disk in spec.disks if disk.serial in install.other_serials}
    before = {serial: content_digest(path) for serial, path in others.items()}
    if install.cut_in:
        with start(replace(spec, name=f"{spec.name}-cut")) as vm:
            cut_power(vm, install.cut_in)
        spec = replace(spec, guest=None)
    with start(spec) as vm:
        seconds = watch_install(vm)
        firmware_vars = vm.vars_path if install.firmware is not Firmware.BIOS else None
        console = vm.console.text
    changed = tuple(serial for serial, path in others.items() if content_digest(path) != before[serial])
    return Installed(folder / "target.qcow2", firmware_vars, seconds, changed, console)


def cut_power(vm: Vm, phase: str) -> None:
    """Let an unattended installation come into a phase, and cut the power. Raises LabError."""
    vm.report.wait("event", INSTALL_SECONDS, event="phase", phase=phase)
    if phase == "copy":
        # Not at its beginning, where nothing has been copied yet.
        vm.report.wait("event", INSTALL_SECONDS, event="progress", phase=phase)
    vm.kill()


def watch_install(vm: Vm, live_seconds: float = LIVE_SECONDS) -> dict[str, float]:
    """Follow an unattended installation from power-on to power-off.

    Args:
        vm: the machine.
        live_seconds: how long it may take to the countdown.

    Returns:
        Durations in seconds: `power-on to countdown`, `power-on to power-off`, and one for each phase that the
        installer reported.

    Raises:
        LabError: it failed, or ended otherwise than by power-off.
    """
    vm.console.wait_for(r"Automatic installation starts in", live_seconds)
    seconds = {"power-on to countdown": round(vm.seconds, 1)}
    end = vm.console.wait_for(DONE, INSTALL_SECONDS)
    if end[1]:
        raise LabError(f"the installation failed with exit status {end[1]}\n{vm.console.tail(60)}")
    ending = vm.wait_exit(120)
    if ending.reason != "guest-shutdown":
        raise LabError(f"the machine ended by {ending.reason}, not by power-off")
    return seconds | {"power-on to power-off": round(ending.seconds, 1)} | phase_seconds(vm)


def phase_seconds(vm: Vm) -> dict[str, float]:
    """Give how long each reported phase of the installation took, in seconds, by the time the events came in."""
    marks = [
        (f"phase {message['phase']}", moment)
        for moment, message in vm.report.timeline
        if message.get("event") == "phase" and not message.get("old")
    ]
    ends = [moment for _, moment in marks[1:]]
    return {name: round(end - moment, 1) for (name, moment), end in zip(marks, ends, strict=False)}


def node_spec(
    install: Install, installed: Installed, overlay: Path, guest: GuestProgram | None
) -> MachineSpec:
    """Give the machine that boots an installed disk, without the ISO.

    Args:
        install: how it was installed.
        installed: what came out.
        overlay: qcow2 overlay of its disk, to be written to.
        guest: program that judges.

    Returns:
        The machine; the disk hangs on the same bus, and the UEFI variables are those that the installer left.
    """
    disk = Disk(
        path=overlay,
        format=DiskFormat.QCOW2,
        bus=install.bus,
        serial=install.target_serial,
        boot_index=0,
        sector_bytes=install.sector_bytes,
    )
    spec = MachineSpec(
        name=f"node-{install.name}",
        firmware=install.firmware,
        disks=(disk,),
        guest=guest,
        uuid=install.uuid,
        relay=True,
    )
    return replace(spec, firmware_vars=installed.firmware_vars, memory_mib=install.memory_mib)


def start_on(folder: Path, accel: Accel) -> Callable[[MachineSpec], Vm]:
    """Give a function that makes machines whose folders are below `folder`."""
    return lambda spec: Vm(spec, folder / spec.name, accel)
