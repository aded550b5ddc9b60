"""Reads this machine into an Inventory. Changes nothing on it, and one broken device does not stop it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hostlib.dmi import read_dmi
from hostlib.files import read_if_there
from hostlib.inventory import Controller, Disk, Inventory, Lease, Nic
from hostlib.probe.attempt import attempt
from hostlib.probe.controllers import read_controllers
from hostlib.probe.deadline import gather
from hostlib.probe.disks import device_names, read_disks
from hostlib.probe.health import read_health
from hostlib.probe.leases import read_leases
from hostlib.probe.lvm import Vg, read_vgs
from hostlib.probe.mounts import parse_mounts
from hostlib.probe.nics import read_nics
from hostlib.probe.platform import (
    read_clock,
    read_cpu,
    read_firmware,
    read_kernel_cmdline,
    read_memory_bytes,
    read_tpm,
)
from hostlib.probe.raid_tools import read_raid_tools
from hostlib.probe.readable import mark_unreadable
from hostlib.probe.source import Source
from hostlib.probe.udev import Device
from hostlib.run import Runner

LIMIT_SECONDS: Final = 10.0
"""What reading takes at most. Only programs wait for a device: what they have not told by then is left out."""
SETTLE_SECONDS: Final = 4
TOOL_SECONDS: Final = 3.0
LVM_SECONDS: Final = 3.0
"""What LVM has in any case."""
READ_SECONDS: Final = 1.0
"""What the first sectors of the disks that seem to be empty have."""
THIS_MACHINE: Final = Source()


@dataclass(frozen=True, slots=True)
class _Budget:
    """The time that is left of `LIMIT_SECONDS`."""

    until: float = field(default_factory=lambda: time.monotonic() + LIMIT_SECONDS)

    def rest(self, keep: float = 0.0) -> float:
        """Give the seconds that are left, less `keep` for what comes later; at least a tenth."""
        return max(0.1, self.until - time.monotonic() - keep)


Storage = tuple[tuple[Controller, ...], tuple[Disk, ...]]


def read_inventory(runner: Runner, source: Source = THIS_MACHINE, *, health: bool = True) -> Inventory:
    """Read this machine in at most `LIMIT_SECONDS`; what cannot be read is left out with a warning in the log.

    Without `health` no drive is asked, nor the tools of RAID controllers: for who only looks which disk is which.

    Raises ValueError when /proc/meminfo cannot be read.
    """
    budget = _Budget()
    # A disk that udev is still busy with has no name in /dev/disk/by-id yet.
    settle = ("udevadm", "settle", f"--timeout={SETTLE_SECONDS}")
    attempt("udev's queue", runner.run, settle, timeout_seconds=SETTLE_SECONDS + 1)
    nics, leases = attempt("the network", read_network, source) or ((), ())
    controllers, disks = attempt("the disks", _read_storage, runner, source, budget) or ((), ())
    if health:
        controllers, disks = _ask_drives(runner, source, budget, controllers, disks)
    return Inventory(
        dmi=read_dmi(source.root),
        firmware=read_firmware(source.root),
        cpu=read_cpu(source.root),
        memory_bytes=read_memory_bytes(source.root),
        tpm=read_tpm(source.root),
        clock=attempt("the clock", read_clock, source),
        controllers=controllers,
        disks=disks,
        nics=nics,
        leases=leases,
        kernel_cmdline=read_kernel_cmdline(source.root),
    )


def _read_storage(runner: Runner, source: Source, budget: _Budget) -> Storage:
    devices = source.devices("block")
    names = device_names(devices)
    mountinfo = (source.root / "proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    mounts = parse_mounts(mountinfo, read_if_there(source.root / "proc/swaps") or "", names)
    disks = read_disks(devices, mounts, _read_vgs(runner, devices, names, budget))
    return attempt("the controllers", read_controllers, source, disks, devices) or ((), disks)


def _ask_drives(
    runner: Runner,
    source: Source,
    budget: _Budget,
    controllers: tuple[Controller, ...],
    disks: tuple[Disk, ...],
) -> Storage:
    seconds = min(TOOL_SECONDS, budget.rest())
    told = attempt("RAID tools", read_raid_tools, runner, controllers, disks, seconds, which=source.which)
    controllers, disks = told or (controllers, disks)
    rest = budget.rest(keep=READ_SECONDS)
    root, which = source.root, source.which
    told = attempt("SMART", read_health, runner, controllers, disks, rest, root=root, which=which)
    controllers, disks = told or (controllers, disks)
    return controllers, mark_unreadable(disks, source.read_beginning, READ_SECONDS)


def _read_vgs(
    runner: Runner, devices: Sequence[Device], names: Mapping[str, str], budget: _Budget
) -> dict[str, Vg]:
    members = (device.udev for device in devices if device.udev.get("ID_FS_TYPE") == "LVM2_member")
    paths = sorted(udev["DEVNAME"] for udev in members if "DEVNAME" in udev)
    if not paths:
        return {}
    # Names of VGs decide what an installation renames, health only warns: LVM gets the time that there is.
    seconds = max(LVM_SECONDS, budget.rest(keep=1.0))
    found = gather("LVM", {"VGs": lambda: read_vgs(runner, paths)}, seconds)
    return {names.get(path, path): vg for path, vg in found.get("VGs", {}).items()}


def read_network(source: Source = THIS_MACHINE) -> tuple[tuple[Nic, ...], tuple[Lease, ...]]:
    """Read the network cards and their leases alone, which change while the machine runs."""
    netlink = source.netlink()
    neighbours = source.neighbours()
    nics = {
        index: nic.model_copy(update={"neighbour": neighbours.get(index)})
        for index, nic in read_nics(netlink, source.devices("net"), source.nic_firmware).items()
    }
    leases = attempt("the leases", read_leases, nics, netlink.routes, source.root)
    return tuple(nics.values()), leases or ()
