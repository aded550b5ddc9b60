"""Where the probes read: this machine, or a recorded one in a test."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hostlib.inventory import Neighbour
from hostlib.probe.kernel import read_nic_firmware, read_synchronised
from hostlib.probe.lldp import read_neighbours
from hostlib.probe.netlink import Netlink, read_netlink
from hostlib.probe.readable import read_beginning
from hostlib.probe.udev import Device, read_devices
from hostlib.run import ENVIRONMENT


def _now() -> int:
    return int(time.time())


def find_program(name: str) -> str | None:
    """Give where the runner finds a program: an ordinary user's PATH has no /usr/sbin."""
    return shutil.which(name, path=ENVIRONMENT["PATH"])


@dataclass(frozen=True, slots=True)
class Source:
    """The machine as the kernel and udev show it."""

    root: Path = Path("/")
    """Where /sys, /proc and /run are."""
    devices: Callable[[str], list[Device]] = read_devices
    """Gives every device of a udev subsystem. Their folders in sysfs are below `root`."""
    netlink: Callable[[], Netlink] = read_netlink
    neighbours: Callable[[], Mapping[int, Neighbour]] = read_neighbours
    nic_firmware: Callable[[str], str] = read_nic_firmware
    """Gives the firmware's version of a network interface; empty where it cannot be told."""
    synchronised: Callable[[], bool] = read_synchronised
    """Whether a time server keeps the system's clock right."""
    read_beginning: Callable[[str], None] = read_beginning
    """Reads the beginning of a disk, by its path; raises OSError."""
    which: Callable[[str], str | None] = find_program
    """Gives where a program is; None where it is not installed."""
    now: Callable[[], int] = _now
    """Seconds since 1970 (UTC)."""
