"""Which disks are candidates, and which of them is meant. More is in tests/answers."""

from __future__ import annotations

from typing import Any

import pytest

from hostlib.errors import UserError
from hostlib.inventory import Disk, Firmware, Inventory
from hostlib.sizes import GIB
from installer.answers import DiskSetup, Match
from installer.resolve_disk import choose_disk, choose_disks, fits_match


def disk(name: str, gib: float = 32, vendor: str = "", **more: Any) -> Disk:
    udev = {"ID_VENDOR": vendor, "ID_SERIAL_SHORT": name.upper()}
    values = {
        "path": f"/dev/{name}",
        "ids": (f"ata-{name}",),
        "serial": name.upper(),
        "bus": "ata",
        "model": "M",
    }
    return Disk(name=name, size_bytes=int(gib * GIB), udev=udev, **{**values, **more})


def machine(*disks: Disk) -> Inventory:
    return Inventory(firmware=Firmware(mode="uefi"), memory_bytes=8 * GIB, disks=disks)


def setup(**choice: Any) -> DiskSetup:
    return DiskSetup.model_validate({"filesystem": "ext4", **choice})


def name_of(inventory: Inventory, **choice: Any) -> str:
    return choose_disk(setup(**choice), inventory).name


def complain(inventory: Inventory, **choice: Any) -> str:
    with pytest.raises(UserError) as caught:
        choose_disk(setup(**choice), inventory)
    return str(caught.value)


ONLY_BY_NAME = [
    disk("sdb", removable=True),
    disk("sdb", bus="usb"),
    disk("sdb", 0),
    disk("sdb", model="Virtual Floppy"),
    disk("sdb", model="Virtual_CDROM0"),
    disk("sdb", model="Virtual HDisk0", vendor="AMI"),
    disk("sdb", vendor="AMI", model="Virtual_Media"),
    disk("sdb", vendor="iDRAC", model="LCDRIVE"),
    disk("sdb", model="iDRAC Virtual CD"),
    disk("sdb", vendor="iLO"),
    disk("sdb", vendor="Cisco", model="CIMC-Mapped_vHDD"),
]
CHOICES: list[dict[str, Any]] = [
    {"match": {"count": 1}},
    {"match": {"order": "smallest"}},
    {"filter": {"ID_SERIAL_SHORT": "SD*"}},
]


@pytest.mark.parametrize("odd", ONLY_BY_NAME, ids=lambda found: f"{found.udev['ID_VENDOR']} {found.model}")
def test_some_are_taken_only_by_name(odd: Disk) -> None:
    both = machine(disk("sda", 64), odd)
    assert [name_of(both, **choice) for choice in CHOICES] == ["sda"] * 3
    assert name_of(both, **{"disk-list": ["sdb"]}) == "sdb"
    for choice in CHOICES:
        text = complain(machine(odd), **choice)
        assert "only removable, USB or virtual media disks fit" in text
        assert text.endswith("name the disk in disk-list if it is meant")


@pytest.mark.parametrize(
    ("vendor", "model"),
    [("Msft", "Virtual_Disk"), ("VMware", "Virtual_disk"), ("DELL", "Virtual Disk"), ("", "SAMIRA"), ("", "PILOT 4")],
)  # fmt: skip
def test_disks_of_hypervisors_and_controllers_are_disks(vendor: str, model: str) -> None:
    assert name_of(machine(disk("sda", vendor=vendor, model=model)), match={"count": 1}) == "sda"


@pytest.mark.parametrize("choice", CHOICES)
def test_the_boot_medium_is_never_meant(choice: dict[str, Any]) -> None:
    medium = disk("sda", 8, boot_medium=True)
    assert name_of(machine(medium, disk("sdb")), **choice) == "sdb"
    assert "attach a disk: there is none but the boot medium" in complain(machine(medium), **choice)
    assert "'sda' is the medium that this system runs from" in complain(
        machine(medium, disk("sdb")), **{"disk-list": ["sda"]}
    )


@pytest.mark.parametrize(
    ("match", "name"),
    [
        ({"order": "smallest"}, "sda"),
        ({"order": "largest"}, "sdd"),
        ({"order": "largest", "count": 4}, "sdd"),
        ({"order": "largest", "size": "< 64GiB, > 32GiB"}, "sdc"),
        ({"size": "= 40GiB"}, "sdc"),
    ],
)
def test_order_and_count(match: dict[str, Any], name: str) -> None:
    four = machine(disk("sdb", 32), disk("sda", 16), disk("sdd", 64), disk("sdc", 40))
    assert name_of(four, match=match) == name


@pytest.mark.parametrize(
    ("match", "what"),
    [
        ({"order": "smallest"}, "2 disks fit the match and are the smallest, ext4 takes one: "),
        ({"order": "smallest", "count": 2}, "3 disks fit the match, count says 2: "),
        ({"count": 1}, "3 disks fit the match, count says 1: "),
        ({"bus": "ata"}, '3 disks fit bus = "ata", ext4 takes one: '),
        (
            {"bus": "nvme", "rotational": False},
            'no disk fits bus = "nvme", rotational = false; choose from: ',
        ),
    ],
)
def test_doubt_is_an_error_that_lists_the_candidates(match: dict[str, Any], what: str) -> None:
    text = complain(machine(disk("sda", 16), disk("sdb", 16), disk("sdc", 64)), match=match)
    assert text.startswith(f"disk-setup.match: {what}")
    assert "/dev/disk/by-id/ata-sda (sda, 16.0 GiB, M, serial SDA), " in text


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"bus": "ata"}, True),
        ({"bus": "scsi"}, False),
        ({"model": "m"}, True),
        ({"model": "n"}, False),
        ({"serial": "sd?"}, True),
        ({"serial": "sd"}, False),
        ({"wwn": "*"}, False),
        ({"rotational": True}, False),
        ({"rotational": False}, True),
        ({"size": "32GiB"}, True),
        ({"size": "33GiB"}, False),
        ({"size": "32GiB", "bus": "scsi"}, False),
        ({"order": "largest", "count": 7}, True),
    ],
)
def test_all_that_is_said_must_fit(match: dict[str, Any], fits: bool) -> None:  # noqa: FBT001 - a row of a table
    assert fits_match(disk("sda"), Match.model_validate(match)) is fits


def raid(level: str, count: int, filesystem: str = "zfs", **choice: Any) -> list[str]:
    disks = [disk(f"sd{chr(97 + number)}") for number in range(count)]
    wanted = DiskSetup.model_validate({"filesystem": filesystem, filesystem: {"raid": level}, **choice})
    return [found.name for found in choose_disks(wanted, machine(*disks, disk("sdz", boot_medium=True)))]


ALL: dict[str, Any] = {"filter": {"ID_SERIAL_SHORT": "*"}}


def test_disks_of_a_raid_level() -> None:
    assert raid("raid10", 4, **ALL) == ["sda", "sdb", "sdc", "sdd"]
    assert raid("RAID1", 3, "btrfs", match={"count": 3}) == ["sda", "sdb", "sdc"]
    listed: dict[str, Any] = {"disk-list": ["ata-sdc", "/dev/sda"]}
    assert raid("raid1", 3, **listed) == ["sdc", "sda"]


@pytest.mark.parametrize(
    ("level", "count", "filesystem", "choice", "what"),
    [
        ("raid10", 5, "zfs", ALL, "disk-setup.filter: ZFS RAID10 needs an even number of disks, got 5: /dev/disk"),
        ("RAID10", 5, "btrfs", ALL, "disk-setup.filter: Btrfs RAID10 needs an even number of disks, got 5: "),
        ("raidz-3", 4, "zfs", {"match": {"bus": "ata"}}, "disk-setup.match: ZFS RAIDZ-3 needs at least 5 disks, got 4: "),
        ("raid0", 2, "zfs", {"match": {"count": 3}}, "disk-setup.match: 2 disks fit the match, count says 3: "),
        ("raid0", 0, "zfs", ALL, "disk-setup.filter: no disk fits ID_SERIAL_SHORT = "),
        ("raid1", 1, "zfs", {"disk-list": ["sda", "ata-sda"]}, "disk-setup.disk-list: 'ata-sda' is a disk that is listed by another name too: "),
        ("raid1", 1, "zfs", {"disk-list": ["sda", "sdz"]}, "disk-setup.disk-list: 'sdz' is the medium that this system runs from"),
    ],
)  # fmt: skip
def test_disks_that_no_raid_can_be_made_of(
    level: str, count: int, filesystem: str, choice: dict[str, Any], what: str
) -> None:
    with pytest.raises(UserError) as caught:
        raid(level, count, filesystem, **choice)
    assert str(caught.value).startswith(what)
