"""What a disk is and hangs on, and how it is, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hostlib.inventory import Controller, Disk, DiskKind, Drive, Health, Raid

KINDS: Final[dict[DiskKind, str]] = {
    "physical": "",
    "virtual-disk": "RAID volume",
    "fake-raid-member": "part of a RAID of the firmware",
    "multipath-path": "one of several paths to a disk",
    "bmc-virtual": "virtual disk of the BMC",
}
MODES: Final = {"raid": "RAID mode", "hba": "HBA mode", "mixed": "RAID and HBA mode at once"}


def view_hardware(disk: Disk, controllers: Sequence[Controller]) -> tuple[str, ...]:
    """Give a line about the kind of the disk and its controller and one about its health, where they are known."""
    controller = next((found for found in controllers if found.address == disk.controller), None)
    kind = ", ".join([KINDS[disk.kind], *_raid(disk.raid)]) if disk.kind != "physical" else ""
    place = f"on {_controller(controller)}" if controller and disk.controller else ""
    what = " ".join(part for part in (kind, place) if part)
    return tuple(line for line in (what[:1].upper() + what[1:], _condition(disk, controller)) if line)


def _raid(raid: Raid | None) -> Iterator[str]:
    if raid is None:
        return
    drives = {None: "", 1: " of 1 drive"}.get(raid.members, f" of {raid.members} drives")
    yield f"{raid.level or 'level unknown'}{drives}"
    if raid.state:
        yield raid.state
    if raid.cache:
        yield f"{raid.cache} cache"


def _controller(controller: Controller) -> str:
    names = [controller.vendor, controller.model]
    name = " ".join(name for name in names if name) or f"{controller.kind} {controller.address}"
    facts = [
        controller.driver,
        MODES.get(controller.mode, ""),
        {"bad": "cache battery bad"}.get(controller.battery, ""),
    ]
    told = ", ".join(fact for fact in facts if fact)
    return f"{name} ({told})" if told else name


def _condition(disk: Disk, controller: Controller | None) -> str:
    if disk.health:
        return f"Health: {render_health(disk.health)}"
    if disk.raid is None or controller is None or not disk.raid.name:
        return ""
    members = [drive for drive in controller.drives if drive.volume == disk.raid.name]
    return f"Drives: {'; '.join(_drive(drive) for drive in members)}" if members else ""


def _drive(drive: Drive) -> str:
    how = render_health(drive.health) if drive.health else drive.state or "state unknown"
    return f"{drive.address} {how}"


def render_health(health: Health) -> str:
    """Give what a drive says of itself, what is bad first."""
    if health.standby:
        return "it sleeps and was not asked"
    verdict = {True: "good by its own word", False: "FAILING by its own word", None: ""}[health.passed]
    counts = (
        (health.reallocated_sectors, "reallocated sectors"),
        (health.pending_sectors, "unreadable sectors"),
        (health.media_errors, "uncorrected errors"),
    )
    parts = [
        verdict,
        f"below threshold: {', '.join(health.failing)}" if health.failing else "",
        *(f"{what}: {count}" for count, what in counts if count),
        f"{health.wear_percent} % worn" if health.wear_percent is not None else "",
        f"{health.temperature_celsius} C" if health.temperature_celsius is not None else "",
    ]
    return ", ".join(part for part in parts if part) or "nothing known"
