"""Checks of controllers: drives that they keep to themselves, their cache, and drives that no disk row tells of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from hostlib.checks.advice import advise_nvme, advise_passthrough
from hostlib.checks.drives import awake, other_drives, told_failing, told_worn
from hostlib.checks.model import (
    BLOCK_DATA_WARN_SYSTEM,
    WARN_ALWAYS,
    WARN_DATA,
    Check,
    Read,
    Reading,
    each_controller,
)
from hostlib.inventory import Controller, Drive, Health, Inventory
from hostlib.sizes import render_size


def _name(controller: Controller) -> str:
    return f"controller {controller.address}"


def _model(controller: Controller) -> str:
    return controller.model or controller.pci_id or controller.kind


def _drive(drive: Drive) -> str:
    facts = (drive.model, drive.serial, "" if drive.size_bytes is None else render_size(drive.size_bytes))
    told = " ".join(fact for fact in facts if fact)
    return f"{drive.address} ({told})" if told else drive.address


def _list(drives: Iterable[Drive]) -> str:
    names = [_drive(drive) for drive in drives]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _hides(controller: Controller) -> bool:
    return bool(controller.hidden_disks) or (controller.kind == "vmd" and not controller.driver)


def _driver(_: Inventory, controller: Controller) -> list[Reading]:
    if _hides(controller):
        return []
    measured = f"driver {controller.driver}" if controller.driver else f"{_model(controller)}, no driver"
    return [Reading(_name(controller), measured, bool(controller.driver))]


def _hidden(inventory: Inventory, controller: Controller) -> list[Reading]:
    if controller.kind != "vmd" and controller.hidden_disks is None:
        return []
    if not _hides(controller):
        return [Reading(_name(controller), "none hidden", good=True)]
    count = f"{controller.hidden_disks} hidden" if controller.hidden_disks else "VMD without a driver"
    return [
        Reading(
            _name(controller), f"{_model(controller)}, {count}", good=False, advice=advise_nvme(inventory)
        )
    ]


def _of_state(*states: str, advise: Callable[[Controller], str] | None = None) -> Read:
    """Make a check's `read` that wants no drive to be in one of these states."""

    def read(_: Inventory, controller: Controller) -> list[Reading]:
        if not controller.drives:
            return []
        found = [drive for drive in controller.drives if drive.state in states]
        if not found:
            return [Reading(_name(controller), "none", good=True)]
        measured = f"{_model(controller)}, {len(found)} of {len(controller.drives)} drives: {_list(found)}"
        return [Reading(_name(controller), measured, good=False, advice=advise(controller) if advise else "")]

    return each_controller(read)


def _empty(inventory: Inventory, controller: Controller) -> list[Reading]:
    """Told only where every disk's controller is known and nobody could ask for the drives."""
    # An AHCI controller in RAID mode shows its drives all the same.
    if controller.kind != "raid" or not controller.driver or controller.drives or controller.mode == "hba":
        return []
    if any(disk.controller == controller.address for disk in inventory.disks):
        return [Reading(_name(controller), "shows disks", good=True)]
    if not all(disk.controller for disk in inventory.disks):
        return []
    return [
        Reading(_name(controller), f"{_model(controller)}, no disk", False, advise_passthrough(controller))
    ]


def _mixed(_: Inventory, controller: Controller) -> list[Reading]:
    if not controller.mode:
        return []
    source = f": {controller.mode_source}" if controller.mode_source else ""
    mixed = controller.mode == "mixed"
    measured = f"{_model(controller)}, mixed mode{source}" if mixed else f"{controller.mode.upper()} mode"
    return [Reading(_name(controller), measured, not mixed)]


def _cache(inventory: Inventory, controller: Controller) -> list[Reading]:
    caches = [
        disk.raid.cache for disk in inventory.disks if disk.controller == controller.address and disk.raid
    ]
    if "write-back" not in caches or not controller.battery:
        return []
    good = controller.battery == "good"
    state = {"good": "good", "bad": "bad", "none": "missing"}[controller.battery]
    count = caches.count("write-back")
    return [Reading(_name(controller), f"write-back for volumes: {count}; battery {state}", good)]


def _other_drives(told: Callable[[Health], str]) -> Read:
    """Make a check's `read` of the health of the drives that are no disks of their own."""

    def read(inventory: Inventory, controller: Controller) -> Iterator[Reading]:
        for drive in other_drives(inventory, controller):
            for health in awake([drive.health] if drive.health else []):
                wrong = told(health)
                about = f"{_drive(drive)}: {wrong}; by {health.source}" if wrong else "no complaint"
                yield Reading(f"{_name(controller)} drive {drive.address}", about, not wrong)

    return each_controller(read)


CONTROLLER_CHECKS: Final = (
    Check(
        "controller-driver",
        "controller",
        WARN_ALWAYS,
        "a driver has taken it",
        "has no driver: its drives are not seen",
        "if drives are missing, use a controller that Debian 13 has a driver for, or another mode of it",
        each_controller(_driver),
    ),
    Check(
        "nvme-hidden",
        "controller",
        WARN_ALWAYS,
        "hides no NVMe drive",
        "keeps the NVMe drives behind it from the system (Intel RST, VMD)",
        "change it in the firmware setup (a system that is installed in that mode may not start afterwards)",
        each_controller(_hidden),
    ),
    Check(
        "controller-empty",
        "controller",
        WARN_ALWAYS,
        "shows disks",
        "is a RAID controller that shows no disk: if drives are plugged in, they are in no volume",
        "make volumes or pass the drives through",
        each_controller(_empty),
    ),
    Check(
        "drives-unconfigured",
        "controller",
        WARN_ALWAYS,
        "keeps no drive to itself",
        "has drives that are in no volume and not passed through: the system does not see them",
        "if they are wanted, pass them through or make volumes of them; a change of the controller's mode may lose its "
        "other volumes, the system's too",
        _of_state("unconfigured", advise=advise_passthrough),
    ),
    Check(
        "drives-foreign",
        "controller",
        WARN_ALWAYS,
        "has no foreign drive",
        "has drives with the RAID configuration of another controller: the system does not see them",
        "in the controller's setup import the foreign configuration to keep their data, or clear it to use them anew",
        _of_state("foreign"),
    ),
    Check(
        "drives-failed",
        "controller",
        WARN_ALWAYS,
        "has no failed drive",
        "has drives that it has given up",
        "replace them; see the state of the volumes that they belong to",
        _of_state("failed"),
    ),
    Check(
        "drive-failing",
        "controller",
        WARN_ALWAYS,
        "the drives behind it are in order",
        "says that it is failing",
        "replace it while the volume's other drives are well",
        _other_drives(told_failing),
    ),
    Check(
        "drive-worn",
        "controller",
        WARN_ALWAYS,
        "the drives behind it are not worn",
        "is worn",
        "plan its replacement",
        _other_drives(told_worn),
    ),
    Check(
        "controller-mixed",
        "controller",
        WARN_DATA,
        "is in one mode",
        "shows volumes and drives side by side: it is easy to take the wrong one",
        "for data use the drives that are passed through, by the kind of each disk in the inventory; leave the mode as "
        "it is if the system is or shall be on a volume",
        each_controller(_mixed),
    ),
    Check(
        "cache-unprotected",
        "controller",
        BLOCK_DATA_WARN_SYSTEM,
        "its write cache is protected",
        "keeps writes in a cache that no battery protects: a power failure loses what was written",
        "replace the battery or capacitor, or set the volumes to write-through (`storcli /cN/vall set wrcache=wt`, "
        "or in the controller's setup)",
        each_controller(_cache),
    ),
)
