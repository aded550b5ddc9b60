"""Health of the disks, and of the drives behind RAID controllers, by smartctl.

smartctl(8) of smartmontools 7.4 is the source of the device types and of the exit status.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from hostlib.inventory import Controller, Disk, Drive
from hostlib.probe.attempt import LOG
from hostlib.probe.deadline import gather
from hostlib.probe.drives import infer_volumes, mark_passthrough, volumes_of, with_health
from hostlib.probe.smart import STANDBY_STATUS, Smart, parse_scan, parse_smart
from hostlib.run import Runner

_ASK: Final = ("smartctl", "--json=c", f"--nocheck=standby,{STANDBY_STATUS}", "-i", "-H", "-A")
# Page 7 of the device statistics and its SCSI equivalent: how much of the rated life is used. ATA needs a 48-bit
# command for it, which not all USB bridges understand (smartctl(8), usbjmicron).
_WEAR: Final = ("-l", "ssd")
_SCAN: Final = ("smartctl", "--json=c", "--scan")
# The exit status is a bit mask: a failing drive is no failing command.
_ANY_STATUS: Final = range(256)

# The driver's pass-through command has 8 bits for the number of the drive (megaraid_sas.h, megasas_pthru_frame): a
# larger one would ask another drive.
_LARGEST_MEGARAID: Final = 255

# A sub-second command most often; what is left of the time is for the drives.
_SCAN_PART: Final = 0.3
# A command must end before the time of all is over, so that its failure has a name.
_COMMAND_PART: Final = 0.9

# Paravirtual and other devices without SMART. (Those of a hypervisor that emulates SCSI are known by the controller.)
_NO_SMART_BUSES: Final = frozenset({"virtio", "xen", "mmc", "nvdimm"})
# smartctl numbers the drives behind these from 0, cannot list them, and fails at once where there is none. More than
# these are not looked for: each is a process.
_NUMBERED: Final = range(16)
_NUMBERED_TYPES: Final = {
    "hpsa": "cciss,{drive}",
    "smartpqi": "cciss,{drive}",
    "aacraid": "aacraid,{host},0,{drive}",
}

Ask = Callable[[], Smart | None]


def read_health(
    runner: Runner,
    controllers: Sequence[Controller],
    disks: Sequence[Disk],
    seconds: float,
    *,
    root: Path = Path("/"),
    which: Callable[[str], str | None] = shutil.which,
) -> tuple[tuple[Controller, ...], tuple[Disk, ...]]:
    """Give controllers and disks with what smartctl tells, asked within `seconds`, all at the same time.

    No sleeping drive is woken. Controllers get their drives too, where smartctl can list them, and what follows from
    the list for their volumes. What a vendor's tool has told before is kept. `root` is where /sys is.
    """
    if not which("smartctl"):
        LOG.warning("smartctl is not installed: the health of the disks is unknown")
        return tuple(controllers), tuple(disks)
    until = time.monotonic() + seconds
    hosts = {host: c for c in controllers for host in _hosts(c, disks, root)}
    listed = _read_scan(runner, controllers, hosts, seconds * _SCAN_PART)
    behind = {**listed, **_numbered(controllers, hosts, disks)}
    asks = {
        disk.stable_path: _ask_disk(runner, disk, until) for disk in disks if _may_have(disk, controllers)
    }
    asks |= {
        _label(key): partial(_ask, runner, path, key[1], until, wear=True)
        for key, path in behind.items()
        if _can_be_asked(key)
    }
    left = until - time.monotonic()
    answers = {key: answer for key, answer in gather("SMART of", asks, left).items() if answer}
    return _apply(controllers, _with_answers(disks, answers), behind, listed, answers)


# Address of the controller and smartctl's type of the drive.
Key = tuple[str, str]


def _can_be_asked(key: Key) -> bool:
    found = re.search(r"megaraid,(\d+)", key[1])
    return found is None or int(found[1]) <= _LARGEST_MEGARAID


def _label(key: Key) -> str:
    return f"{key[1]} of {key[0]}"


def _may_have(disk: Disk, controllers: Iterable[Controller]) -> bool:
    """Say whether a disk can have SMART of its own."""
    return (
        disk.bus not in _NO_SMART_BUSES
        and disk.kind not in {"virtual-disk", "bmc-virtual"}
        and not any(c.kind == "virtual" for c in controllers if c.address == disk.controller)
    )


def _ask_disk(runner: Runner, disk: Disk, until: float) -> Ask:
    return partial(_ask, runner, disk.path, "", until, wear=disk.bus != "usb")


def _ask(runner: Runner, path: str, device_type: str, until: float, *, wear: bool) -> Smart | None:
    chosen = ("-d", device_type) if device_type else ()
    argv = (*_ASK, *(_WEAR if wear else ()), *chosen, path)
    left = (until - time.monotonic()) * _COMMAND_PART
    done = runner.run(argv, ok=_ANY_STATUS, timeout_seconds=left)
    return parse_smart(done.stdout, " ".join(("smartctl", *chosen)))


def _hosts(controller: Controller, disks: Iterable[Disk], root: Path) -> set[int]:
    """Give the numbers of the SCSI hosts of a controller, from sysfs and from where its disks are."""
    folders = (root / "sys/bus/pci/devices" / controller.address).glob("host*")
    paths = [f"/{folder.name}/" for folder in folders] + [
        disk.udev.get("DEVPATH", "") for disk in disks if disk.controller == controller.address
    ]
    return {int(found[1]) for path in paths if (found := re.search(r"/host(\d+)/", path))}


def _read_scan(
    runner: Runner, controllers: Sequence[Controller], hosts: Mapping[int, Controller], seconds: float
) -> dict[Key, str]:
    """Give path by key of each drive that MegaRAID controllers list.

    Nothing is run without such a controller: smartctl makes a device node to talk to their driver.
    """
    if not any(c.driver == "megaraid_sas" for c in controllers):
        return {}

    def scan() -> list[tuple[int, str]]:
        done = runner.run(_SCAN, ok=_ANY_STATUS, timeout_seconds=seconds * _COMMAND_PART)
        return parse_scan(done.stdout)

    found = gather("drives by", {"smartctl --scan": scan}, seconds).get("smartctl --scan", [])
    return {
        (hosts[host].address, device_type): f"/dev/bus/{host}" for host, device_type in found if host in hosts
    }


def _numbered(
    controllers: Iterable[Controller], hosts: Mapping[int, Controller], disks: Sequence[Disk]
) -> dict[Key, str]:
    """Give path by key of the drives that may be behind controllers which smartctl cannot list.

    They are asked through a volume, so one must be there.
    """
    found: dict[Key, str] = {}
    for controller in controllers:
        volumes = volumes_of(controller, disks)
        host = next((number for number, owner in hosts.items() if owner.address == controller.address), 0)
        if volumes and (pattern := _NUMBERED_TYPES.get(controller.driver)):
            types = [pattern.format(host=host, drive=drive) for drive in _NUMBERED]
            found |= {(controller.address, device_type): volumes[0].path for device_type in types}
    return found


def _with_answers(disks: Iterable[Disk], answers: Mapping[str, Smart]) -> tuple[Disk, ...]:
    return tuple(
        disk.model_copy(update={"health": answers[disk.stable_path].health})
        if disk.stable_path in answers
        else disk
        for disk in disks
    )


def _apply(
    controllers: Iterable[Controller],
    disks: tuple[Disk, ...],
    behind: Mapping[Key, str],
    listed: Mapping[Key, str],
    answers: Mapping[str, Smart],
) -> tuple[tuple[Controller, ...], tuple[Disk, ...]]:
    done = []
    for controller in controllers:
        keys = [key for key in behind if key[0] == controller.address]
        drives = tuple(
            _drive(key, answers.get(_label(key))) for key in keys if key in listed or _label(key) in answers
        )
        if controller.drives_source:
            done.append(controller.model_copy(update={"drives": with_health(controller.drives, drives)}))
        elif drives:
            # The list of a numbered range may not be whole; nothing can be concluded from it.
            source = "smartctl --scan" if keys[0] in listed else f"smartctl -d {keys[0][1]} and so on"
            found = controller.model_copy(update={"drives": drives, "drives_source": source})
            found = mark_passthrough(found, disks)
            if keys[0] in listed:
                found, disks = infer_volumes(found, disks)
            done.append(found)
        else:
            done.append(controller)
    return tuple(done), disks


def _drive(key: Key, smart: Smart | None) -> Drive:
    address = key[1].removeprefix("sat+")
    if smart is None:
        return Drive(address=address)
    return Drive(
        address=address,
        model=smart.model,
        serial=smart.serial,
        size_bytes=smart.size_bytes,
        rotational=smart.rotational,
        health=smart.health,
    )
