"""Which disk is meant. When there is any doubt, none is."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

from hostlib.controllers import VIRTUAL_MEDIA
from hostlib.errors import Problem, UserError
from hostlib.inventory import Disk, Inventory
from hostlib.sizes import render_size
from installer.answers import DiskSetup, Match
from installer.answers.disks import check_count
from installer.match import match_filter, match_size, match_text, quote, render_patterns


def render_disk(disk: Disk) -> str:
    """Name a disk for an administrator: id, size, model, serial."""
    identity = f"{disk.model or 'no model'}, serial {disk.serial or 'unknown'}"
    return f"{disk.stable_path} ({disk.name}, {render_size(disk.size_bytes)}, {identity})"


def choose_disk(setup: DiskSetup, inventory: Inventory) -> Disk:
    """Give the one disk that the answers mean. Raises UserError when it is none or more than one."""
    if setup.disk_list:
        return _named(setup.disk_list[0], inventory)
    return _matched(setup.match, inventory, setup.filesystem) if setup.match else _filtered(setup, inventory)


def choose_disks(setup: DiskSetup, inventory: Inventory) -> list[Disk]:
    """Give the disks for a RAID level. Raises UserError when they are not there or of a wrong number."""
    if setup.disk_list:
        return _all_named(setup.disk_list, inventory)
    fitting = _fitting(setup, inventory)
    found = [disk for disk in fitting if not _only_by_name(disk)]
    where, wanted = _wish(setup)
    if not found:
        raise UserError(_nothing_fits(where, wanted, fitting, inventory))
    if setup.match and setup.match.count not in {None, len(found)}:
        raise UserError(_wrong_count(setup.match, wanted, found))
    try:
        check_count(setup.filesystem, setup.raid, len(found))
    except ValueError as error:
        what, _, todo = str(error).rpartition("; ")
        raise UserError(Problem(where, f"{what}: {_list(found)}", todo)) from None
    return found


def _all_named(names: Iterable[str], inventory: Inventory) -> list[Disk]:
    problems: list[Problem] = []
    found: list[Disk] = []
    for name in names:
        try:
            disk = _named(name, inventory)
        except UserError as error:
            problems += error.problems
            continue
        if disk in found:
            what = f"{quote(name)} is a disk that is listed by another name too: {render_disk(disk)}"
            problems.append(Problem("disk-setup.disk-list", what, "list each disk once"))
        found.append(disk)
    if problems:
        raise UserError(problems)
    return found


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
    fitting = _fitting(setup, inventory)
    found = [disk for disk in fitting if not _only_by_name(disk)]
    if len(found) == 1:
        return found[0]
    where, wanted = _wish(setup)
    if not found:
        raise UserError(_nothing_fits(where, wanted, fitting, inventory))
    what = f"{len(found)} disks fit {wanted}, {setup.filesystem} takes one: {_list(found)}"
    raise UserError(Problem(where, what, "add a property that only one of them has, such as ID_SERIAL"))


def _matched(match: Match, inventory: Inventory, filesystem: str) -> Disk:
    """Give the one disk that fits, or the one that `order` puts first."""
    fitting = [disk for disk in _candidates(inventory) if fits_match(disk, match)]
    found = [disk for disk in fitting if not _only_by_name(disk)]
    wanted = _render_match(match)
    if not found:
        raise UserError(_nothing_fits("disk-setup.match", wanted, fitting, inventory))
    if match.count not in {None, len(found)}:
        raise UserError(_wrong_count(match, wanted, found))
    if match.order:
        end = (min if match.order == "smallest" else max)(disk.size_bytes for disk in found)
        found = [disk for disk in found if disk.size_bytes == end]
        wanted = f"{wanted} and are the {match.order}" if len(found) > 1 else wanted
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} disks fit {wanted}, {filesystem} takes one: {_list(found)}"
    raise UserError(Problem("disk-setup.match", what, "add what only one of them has, such as its serial"))


def fits_match(disk: Disk, match: Match) -> bool:
    """Tell whether a disk is like the answers say, `order` and `count` aside."""
    texts = ((match.model, disk.model), (match.serial, disk.serial), (match.wwn, disk.wwn))
    return (
        all(pattern is None or match_text(text, pattern) for pattern, text in texts)
        and match.bus in {None, disk.bus}
        and match.rotational in {None, disk.rotational}
        and (match.size is None or match_size(disk.size_bytes, match.size))
    )


def _fitting(setup: DiskSetup, inventory: Inventory) -> list[Disk]:
    if setup.match:
        return [disk for disk in _candidates(inventory) if fits_match(disk, setup.match)]
    patterns = setup.filter or {}
    return [d for d in _candidates(inventory) if match_filter(d.udev, patterns, setup.filter_match)]


def _wish(setup: DiskSetup) -> tuple[str, str]:
    """Give the place in the answer file and what stands there."""
    if setup.match:
        return "disk-setup.match", _render_match(setup.match)
    return "disk-setup.filter", render_patterns(setup.filter or {})


def _render_match(match: Match) -> str:
    wishes = match.model_dump(exclude_none=True, exclude={"order", "count"})
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in wishes.items()) or "the match"


def _nothing_fits(where: str, wanted: str, fitting: list[Disk], inventory: Inventory) -> Problem:
    if fitting:
        what = f"only removable, USB or virtual media disks fit {wanted}: {_list(fitting)}"
        return Problem(where, what, "name the disk in disk-list if it is meant")
    return Problem(where, f"no disk fits {wanted}", _choose_from(inventory))


def _wrong_count(match: Match, wanted: str, found: list[Disk]) -> Problem:
    what = f"{len(found)} disks fit {wanted}, count says {match.count}: {_list(found)}"
    return Problem("disk-setup.match", what, "correct count, or say more of the disk")


def _only_by_name(disk: Disk) -> bool:
    """Tell whether a disk is taken only when it is named: one that may be gone tomorrow."""
    identity = f"{disk.udev.get('ID_VENDOR', '')} {disk.model}".replace("_", " ")
    return disk.removable or disk.bus == "usb" or not disk.size_bytes or bool(VIRTUAL_MEDIA.search(identity))


def _candidates(inventory: Inventory) -> list[Disk]:
    return [disk for disk in inventory.disks if not disk.boot_medium]


def _list(disks: Iterable[Disk]) -> str:
    return ", ".join(render_disk(disk) for disk in disks)


def _choose_from(inventory: Inventory) -> str:
    disks = _candidates(inventory)
    return f"choose from: {_list(disks)}" if disks else "attach a disk: there is none but the boot medium"
