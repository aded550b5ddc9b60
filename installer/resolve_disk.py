"""Which disk is meant. When there is any doubt, none is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hostlib.errors import Problem, UserError
from hostlib.inventory import Disk, Inventory
from hostlib.sizes import render_size
from installer.answers import DiskSetup
from installer.answers.values import quote
from installer.match import match_filter, render_patterns


def render_disk(disk: Disk) -> str:
    """Name a disk for an administrator: id, size, model, serial."""
    identity = f"{disk.model or 'no model'}, serial {disk.serial or 'unknown'}"
    return f"{disk.stable_path} ({disk.name}, {render_size(disk.size_bytes)}, {identity})"


def choose_disk(setup: DiskSetup, inventory: Inventory) -> Disk:
    """Give the one disk that the answers mean. Raises UserError when it is none or more than one."""
    if setup.disk_list:
        return _named(setup.disk_list[0], inventory)
    return _filtered(setup, inventory)


def _names(disk: Disk) -> set[str]:
    return {disk.name, disk.path, *disk.ids, *(f"/dev/disk/by-id/{name}" for name in disk.ids)}


def _named(name: str, inventory: Inventory) -> Disk:
    found = [disk for disk in inventory.disks if name in _names(disk)]
    if len(found) == 1 and not found[0].boot_medium:
        return found[0]
    todo = _choose_from(inventory)
    if any(disk.boot_medium for disk in found):
        what = f"{quote(name)} is the medium that this system runs from"
    elif found:
        what = f"{quote(name)} names {len(found)} disks"
    else:
        what = f"this machine has no disk {quote(name)}"
        known = sorted(known for disk in _candidates(inventory) for known in _names(disk))
        near = difflib.get_close_matches(name, known, n=1)
        todo = f"did you mean '{near[0]}'? {todo}" if near else todo
    raise UserError(Problem("disk-setup.disk-list", what, todo))


def _filtered(setup: DiskSetup, inventory: Inventory) -> Disk:
    where = "disk-setup.filter"
    patterns = setup.filter or {}
    fitting = [d for d in _candidates(inventory) if match_filter(d.udev, patterns, setup.filter_match)]
    found = [disk for disk in fitting if not disk.removable and disk.bus != "usb"]
    if len(found) == 1:
        return found[0]
    if found:
        what = f"{len(found)} disks fit {render_patterns(patterns)}, {setup.filesystem} takes one: {_list(found)}"
        todo = "add a property that only one of them has, such as ID_SERIAL"
    elif fitting:
        what = f"only removable or USB disks fit {render_patterns(patterns)}: {_list(fitting)}"
        todo = "name the disk in disk-list if it is meant"
    else:
        what, todo = f"no disk fits {render_patterns(patterns)}", _choose_from(inventory)
    raise UserError(Problem(where, what, todo))


def _candidates(inventory: Inventory) -> list[Disk]:
    return [disk for disk in inventory.disks if not disk.boot_medium]


def _list(disks: Iterable[Disk]) -> str:
    return ", ".join(render_disk(disk) for disk in disks)


def _choose_from(inventory: Inventory) -> str:
    disks = _candidates(inventory)
    return f"choose from: {_list(disks)}" if disks else "attach a disk: there is none but the boot medium"
