"""Checks of the machine as a whole: memory, processor, firmware, clock, network, and whether there are disks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from hostlib.checks.drives import runs_from_disk
from hostlib.checks.model import BLOCK_ALWAYS, BLOCK_DATA, BLOCK_SYSTEM, WARN_ALWAYS, Check, Reading
from hostlib.inventory import Disk, Inventory
from hostlib.sizes import GIB, render_size

_MINIMUM_MEMORY_BYTES: Final = 1 * GIB
_ENOUGH_MEMORY_BYTES: Final = 2 * GIB
_DAY_SECONDS: Final = 24 * 60 * 60


def _nominal(total_bytes: int) -> int:
    """Give the memory that is built in, about: firmware and kernel keep up to an eighth of a small machine's."""
    return total_bytes * 8 // 7


def _memory(inventory: Inventory, _: Sequence[Disk]) -> list[Reading]:
    good = _nominal(inventory.memory_bytes) >= _MINIMUM_MEMORY_BYTES
    return [Reading("memory", f"{render_size(inventory.memory_bytes)} usable", good)]


def _memory_for_guests(inventory: Inventory, _: Sequence[Disk]) -> list[Reading]:
    if _nominal(inventory.memory_bytes) < _MINIMUM_MEMORY_BYTES:
        return []
    good = _nominal(inventory.memory_bytes) >= _ENOUGH_MEMORY_BYTES
    return [Reading("memory", f"{render_size(inventory.memory_bytes)} usable", good)]


def _virtualisation(inventory: Inventory, _: Sequence[Disk]) -> list[Reading]:
    flag = inventory.cpu.virtualisation
    return [Reading("processor", f"flag {flag}" if flag else "no flag vmx or svm", bool(flag))]


def _disks(inventory: Inventory, _: Sequence[Disk]) -> list[Reading]:
    count = sum(not disk.boot_medium for disk in inventory.disks)
    return [Reading("disks", f"{count} besides the boot medium", count > 0)]


def _data_disks(inventory: Inventory, disks: Sequence[Disk]) -> list[Reading]:
    """On the live system, the node will need one of all the disks for itself."""
    if runs_from_disk(inventory):
        return [Reading("data disks", f"{len(disks)} besides the running system's", bool(disks))]
    several = sum(not disk.boot_medium for disk in inventory.disks) > 1
    measured = f"{len(disks)} besides the boot medium; the node itself needs one disk"
    return [Reading("data disks", measured, bool(disks) and several)]


def _nics(inventory: Inventory, _: Sequence[Disk]) -> list[Reading]:
    names = [nic.name for nic in inventory.nics if nic.physical]
    return [Reading("network", ", ".join(names) or "no physical interface", bool(names))]


def _link(inventory: Inventory, _: Sequence[Disk]) -> list[Reading]:
    nics = [nic for nic in inventory.nics if nic.physical]
    linked = [nic.name for nic in nics if nic.link]
    if not nics:
        return []
    measured = f"link on {', '.join(linked)}" if linked else f"no link on {', '.join(n.name for n in nics)}"
    return [Reading("network", measured, bool(linked))]


def _date(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _clock_early(inventory: Inventory, _: Sequence[Disk]) -> list[Reading]:
    clock = inventory.clock
    if clock is None or clock.image_seconds is None:
        return []
    kept = ", kept by a time server" if clock.synchronised else ""
    measured = f"it says {_date(clock.system_seconds)}{kept}; image of {_date(clock.image_seconds)}"
    return [Reading("clock", measured, clock.system_seconds >= clock.image_seconds - _DAY_SECONDS)]


def _clock_differs(inventory: Inventory, _: Sequence[Disk]) -> list[Reading]:
    """A hardware clock that keeps local time is less than a day off: time zones reach from -12 to +14 hours."""
    clock = inventory.clock
    if clock is None or clock.hardware_seconds is None:
        return []
    kept = ", kept by a time server" if clock.synchronised else ""
    measured = f"hardware {_date(clock.hardware_seconds)}, system {_date(clock.system_seconds)}{kept}"
    good = abs(clock.hardware_seconds - clock.system_seconds) <= _DAY_SECONDS
    return [Reading("clock", measured, good)]


def _firmware(inventory: Inventory, _: Sequence[Disk]) -> list[Reading]:
    firmware = inventory.firmware
    # None: SMBIOS does not tell, and an old BIOS is no fault.
    avoidable = firmware.mode == "bios" and firmware.uefi_capable
    return [Reading("firmware", "started by BIOS", good=False)] if avoidable else []


MACHINE_CHECKS: Final = (
    Check(
        "memory-minimum",
        "machine",
        BLOCK_ALWAYS,
        "enough memory to install",
        "less than 1 GiB of memory",
        "give the machine at least 1 GiB, better 2 GiB or more",
        _memory,
    ),
    Check(
        "memory-guests",
        "machine",
        WARN_ALWAYS,
        "enough memory for a node",
        "less than 2 GiB of memory leaves next to nothing for guests",
        "give the machine at least 2 GiB",
        _memory_for_guests,
    ),
    Check(
        "virtualisation",
        "machine",
        WARN_ALWAYS,
        "hardware virtualisation is on",
        "the processor offers no hardware virtualisation: virtual machines will not start or crawl",
        "turn on Intel VT-x or AMD-V (SVM) in the firmware setup, or nested virtualisation where this is a virtual "
        "machine; containers work without",
        _virtualisation,
    ),
    Check(
        "disk-present",
        "machine",
        BLOCK_SYSTEM,
        "there is a disk to install on",
        "there is no disk to install on",
        "check cables and controller, and the warnings about controllers: drives may be hidden behind one, or need a "
        "volume to be made first",
        _disks,
    ),
    Check(
        "data-present",
        "machine",
        BLOCK_DATA,
        "there are data disks",
        "there is no disk for data",
        "check cables and controller, and the warnings about controllers: drives may be hidden behind one",
        _data_disks,
    ),
    Check(
        "nic-present",
        "machine",
        BLOCK_ALWAYS,
        "there is a network interface",
        "there is no network interface with a MAC address",
        "add a network card, or one that Debian 13 has a driver and firmware for",
        _nics,
    ),
    Check(
        "nic-link",
        "machine",
        WARN_ALWAYS,
        "there is a network link",
        "no network interface has a link",
        "check the cable and the port of the switch",
        _link,
    ),
    Check(
        "clock-early",
        "machine",
        WARN_ALWAYS,
        "is not a day earlier than this image",
        "is more than a day earlier than the making of this image: certificates will not be valid yet",
        "set the time in the firmware setup or the BMC, or let the node reach a time server; where one keeps it, "
        "check the server",
        _clock_early,
    ),
    Check(
        "clock-differs",
        "machine",
        WARN_ALWAYS,
        "hardware and system clock agree",
        "hardware and system clock differ by more than a day: the next start begins with the hardware clock's time",
        "see which is right; if it is the system's, `hwclock --systohc` writes it to the hardware clock; if it is "
        "wrong again after a power cut, replace the clock's battery",
        _clock_differs,
    ),
    Check(
        "firmware-bios",
        "machine",
        WARN_ALWAYS,
        "",
        "the machine was started in BIOS mode although its firmware knows UEFI: no Secure Boot, no start from 4Kn "
        "disks",
        "set the boot mode to UEFI in the firmware setup: a node starts in both modes; to install, start the medium by "
        "its UEFI entry",
        _firmware,
    ),
)
