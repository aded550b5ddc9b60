"""Reads this machine into an Inventory. Changes nothing on it, and one broken device does not stop it."""

from __future__ import annotations

from pathlib import Path

from hostlib.files import read_if_there
from hostlib.inventory import Disk, Inventory, Lease, Nic
from hostlib.probe.attempt import attempt
from hostlib.probe.disks import device_names, read_disks
from hostlib.probe.kernel import read_nic_firmware
from hostlib.probe.leases import read_leases
from hostlib.probe.lldp import read_neighbours
from hostlib.probe.lvm import read_vgs
from hostlib.probe.mounts import parse_mounts
from hostlib.probe.netlink import read_netlink
from hostlib.probe.nics import read_nics
from hostlib.probe.platform import (
    read_cpu,
    read_dmi,
    read_firmware,
    read_kernel_cmdline,
    read_memory_bytes,
)
from hostlib.probe.udev import read_devices
from hostlib.run import Runner

_SETTLE_SECONDS = 10


def read_inventory(runner: Runner) -> Inventory:
    """Read this machine; what cannot be read is left out with a warning in the log.

    Raises ValueError when /proc/meminfo cannot be read.
    """
    # A disk that udev is still busy with has no name in /dev/disk/by-id yet.
    settle = ("udevadm", "settle", f"--timeout={_SETTLE_SECONDS}")
    attempt("udev's queue", runner.run, settle, timeout_seconds=_SETTLE_SECONDS + 5)
    nics, leases = attempt("the network", read_network) or ((), ())
    return Inventory(
        dmi=read_dmi(),
        firmware=read_firmware(),
        cpu=read_cpu(),
        memory_bytes=read_memory_bytes(),
        disks=attempt("the disks", _read_storage, runner) or (),
        nics=nics,
        leases=leases,
        kernel_cmdline=read_kernel_cmdline(),
    )


def _read_storage(runner: Runner) -> tuple[Disk, ...]:
    devices = read_devices("block")
    names = device_names(devices)
    mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    mounts = parse_mounts(mountinfo, read_if_there(Path("/proc/swaps")) or "", names)
    has_lvm = any(device.udev.get("ID_FS_TYPE") == "LVM2_member" for device in devices)
    by_path = (attempt("LVM", read_vgs, runner) if has_lvm else None) or {}
    return read_disks(devices, mounts, {names.get(path, path): vg for path, vg in by_path.items()})


def read_network() -> tuple[tuple[Nic, ...], tuple[Lease, ...]]:
    """Read the network cards and their leases alone, which change while the machine runs."""
    netlink = read_netlink()
    neighbours = read_neighbours()
    nics = {
        index: nic.model_copy(update={"neighbour": neighbours.get(index)})
        for index, nic in read_nics(netlink, read_devices("net"), read_nic_firmware).items()
    }
    return tuple(nics.values()), attempt("the leases", read_leases, nics, netlink.routes) or ()
