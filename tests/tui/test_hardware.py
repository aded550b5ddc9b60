"""What the screens say of a disk's kind, controller and health."""

from __future__ import annotations

from typing import Any

import pytest

from hostlib.inventory import Controller, Disk, Drive, Health, Raid
from installer.tui.hardware import render_health, view_hardware

PERC = Controller(
    address="0000:03:00.0",
    vendor="Broadcom",
    model="PERC H730",
    driver="megaraid_sas",
    kind="raid",
    mode="mixed",
    battery="bad",
    drives=(
        Drive(address="252:3", state="member", volume="0/239", health=Health(source="x", passed=False)),
        Drive(address="252:4", state="failed", volume="0/239"),
        Drive(address="252:5", state="member", volume="0/238"),
    ),
)


def view(**update: Any) -> tuple[str, ...]:
    return view_hardware(Disk(name="sda", path="/dev/sda", size_bytes=1, **update), [PERC])


def test_a_plain_disk_needs_no_words() -> None:
    assert view() == ()


def test_a_volume_with_its_controller_and_drives() -> None:
    raid = Raid(level="RAID1", members=2, state="degraded", cache="write-back", name="0/239")
    assert view(kind="virtual-disk", controller=PERC.address, raid=raid) == (
        "RAID volume, RAID1 of 2 drives, degraded, write-back cache on "
        "Broadcom PERC H730 (megaraid_sas, RAID and HBA mode at once, cache battery bad)",
        "Drives: 252:3 FAILING by its own word; 252:4 failed",
    )


@pytest.mark.parametrize(
    ("update", "line"),
    [
        ({"kind": "virtual-disk", "raid": Raid(level="RAID0", members=1)}, "RAID volume, RAID0 of 1 drive"),
        ({"kind": "virtual-disk", "raid": Raid()}, "RAID volume, level unknown"),
        ({"kind": "bmc-virtual"}, "Virtual disk of the BMC"),
        ({"kind": "fake-raid-member"}, "Part of a RAID of the firmware"),
    ],
)
def test_kinds(update: dict[str, Any], line: str) -> None:
    assert view(**update) == (line,)


@pytest.mark.parametrize(
    ("update", "text"),
    [
        ({"passed": True, "wear_percent": 3, "temperature_celsius": 31}, "good by its own word, 3 % worn, 31 C"),
        ({"standby": True}, "it sleeps and was not asked"),
        ({"failing": ("Reallocated_Sector_Ct",), "pending_sectors": 8, "reallocated_sectors": 0},
         "below threshold: Reallocated_Sector_Ct, unreadable sectors: 8"),
        ({}, "nothing known"),
    ],
)  # fmt: skip
def test_health(update: dict[str, Any], text: str) -> None:
    assert render_health(Health(source="smartctl", **update)) == text
