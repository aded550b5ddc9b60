"""What the vendors' tools for RAID controllers tell, where one is installed; none is needed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Final

from hostlib.inventory import Controller, Disk
from hostlib.probe.attempt import attempt
from hostlib.probe.deadline import gather
from hostlib.probe.drives import Told, ToldVolume, mark_passthrough, with_health
from hostlib.probe.ssacli import COMMAND, parse_ssacli
from hostlib.probe.storcli import COMMANDS, parse_storcli
from hostlib.run import Runner

# They exit with a number of their own where one controller of many fails, and tell of the others all the same.
_ANY_STATUS: Final = range(256)
_COMMAND_PART: Final = 0.9


def _read_storcli(runner: Runner, tool: str, seconds: float) -> list[Told]:
    # One after the other: all of them ask the same firmware.
    until = time.monotonic() + seconds * _COMMAND_PART
    outputs = []
    for command in COMMANDS:
        left = max(1.0, until - time.monotonic())
        done = attempt(tool, runner.run, (tool, *command), ok=_ANY_STATUS, timeout_seconds=left)
        outputs.append(done.stdout if done else "")
    return parse_storcli(outputs, _name(tool))


def _read_ssacli(runner: Runner, tool: str, seconds: float) -> list[Told]:
    done = runner.run((tool, *COMMAND), ok=_ANY_STATUS, timeout_seconds=seconds * _COMMAND_PART)
    return parse_ssacli(done.stdout, _name(tool))


@dataclass(frozen=True, slots=True)
class _Family:
    """Tools that do the same for different sellers, best first, and the kernel drivers that they are for."""

    names: tuple[str, ...]
    drivers: frozenset[str]
    read: Callable[[Runner, str, float], list[Told]]


# The paths are where the vendors' packages put them, outside of PATH.
_FAMILIES: Final = (
    _Family(
        (
            "storcli64",
            "storcli",
            "/opt/MegaRAID/storcli/storcli64",
            "perccli64",
            "perccli",
            "/opt/MegaRAID/perccli/perccli64",
        ),
        frozenset({"megaraid_sas", "mpt3sas"}),
        _read_storcli,
    ),
    _Family(
        (
            "storcli2",
            "/opt/MegaRAID/storcli2/storcli2",
            "perccli2",
            "/opt/MegaRAID/perccli2/perccli2",
        ),
        frozenset({"mpi3mr"}),
        _read_storcli,
    ),
    _Family(("ssacli", "hpssacli"), frozenset({"smartpqi", "hpsa"}), _read_ssacli),
)


def read_raid_tools(
    runner: Runner,
    controllers: Sequence[Controller],
    disks: Sequence[Disk],
    seconds: float,
    *,
    which: Callable[[str], str | None] = shutil.which,
) -> tuple[tuple[Controller, ...], tuple[Disk, ...]]:
    """Give controllers and disks with what the vendors' tools tell within `seconds`.

    Only a tool for a driver in use is run. One that fails is a warning in the log; it changes nothing.
    """
    drivers = {controller.driver for controller in controllers}
    probes = {}
    for family in _FAMILIES:
        tool = next(filter(None, map(which, family.names)), None) if family.drivers & drivers else None
        if tool:
            probes[_name(tool)] = partial(family.read, runner, tool, seconds)
    found, shown = tuple(controllers), tuple(disks)
    for source, answers in gather("the tool", probes, seconds).items():
        for told in answers:
            found, shown = apply_told(told, source, found, shown)
    return found, shown


def _name(tool: str) -> str:
    return PurePath(tool).name.removesuffix("64")


def apply_told(
    told: Told, source: str, controllers: Iterable[Controller], disks: Sequence[Disk]
) -> tuple[tuple[Controller, ...], tuple[Disk, ...]]:
    """Give controllers and disks with what a tool told of one controller; it counts for more than any guess. Pure."""
    shown = tuple(disks)
    done = []
    for controller in controllers:
        if controller.address != told.address:
            done.append(controller)
            continue
        for volume in told.volumes:
            shown = tuple(_with_volume(disk, volume, told.address, source) for disk in shown)
        done.append(mark_passthrough(_with_told(controller, told, source), shown))
    return tuple(done), shown


def _with_told(controller: Controller, told: Told, source: str) -> Controller:
    update: dict[str, object] = {}
    if told.mode:
        update |= {"mode": told.mode, "mode_source": source}
    if told.battery:
        update["battery"] = told.battery
    if told.drives:
        update |= {"drives": with_health(told.drives, controller.drives), "drives_source": source}
    return controller.model_copy(update=update)


def _with_volume(disk: Disk, volume: ToldVolume, address: str, source: str) -> Disk:
    """Give the disk as the volume that it is; the path is believed only where there is no unique number."""
    if disk.controller not in {"", address} or not _is_volume(disk, volume):
        return disk
    update: dict[str, object] = {"controller": address, "raid": volume.raid}
    if disk.kind != "virtual-disk":
        update |= {"kind": "virtual-disk", "kind_source": source}
    return disk.model_copy(update=update)


def _is_volume(disk: Disk, volume: ToldVolume) -> bool:
    numbers = {disk.wwn.lower(), *(name.lower() for name in disk.ids)}
    if volume.wwn:
        return bool(numbers & {volume.wwn, f"0x{volume.wwn}", f"wwn-0x{volume.wwn}", f"scsi-3{volume.wwn}"})
    return bool(volume.path) and volume.path == disk.path
