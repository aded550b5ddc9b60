"""Every row of the table of checks is raised by one machine and not by another, and stands in docs/checks.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hostlib.checks import ALL_CHECKS, CHECK_IDS, NEVER_ALLOWED, Check, Purpose, check_target, run_checks
from hostlib.checks.advice import PASSTHROUGH, UNHIDE_NVME
from hostlib.inventory import Content, Controller, Disk, Inventory, parse_inventory
from hostlib.sizes import GIB, MIB

PROJECT = Path(__file__).parents[2]
FOUR = parse_inventory((PROJECT / "tests/machines/four-scsi-bios.json").read_text())
PCI = "0000:03:00.0"
PURPOSES: tuple[Purpose, ...] = ("system", "ceph", "zfs")
DAY = 24 * 60 * 60
NOW = 1_800_000_000


def content(**values: Any) -> Content:
    return Content.model_validate({"device": "sda1", "type": "ext4", **values})


def volume(level: str = "RAID0", members: int | None = 1, **raid: Any) -> dict[str, Any]:
    told = {"level": level, "members": members, "state": "optimal", "name": "0", "source": "storcli", **raid}
    return {"kind": "virtual-disk", "controller": PCI, "raid": told}


def health(**values: Any) -> dict[str, Any]:
    return {"health": {"source": "smartctl -d megaraid,5", "passed": True, **values}}


def drive(state: str = "member", **values: Any) -> dict[str, Any]:
    return {"address": "252:3", "state": state, "serial": "S1", **values}


def controller(**values: Any) -> dict[str, Any]:
    card = {"address": PCI, "driver": "megaraid_sas", "kind": "raid", "mode": "raid", "model": "PERC H730"}
    return {**card, "subsystem_id": "1028:1f49", **values}


@dataclass(frozen=True)
class Case:
    """The change of a good machine that raises a check, and one near by that does not. `disk` is of the first disk."""

    disk: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    quiet_disk: dict[str, Any] = field(default_factory=dict)
    quiet_machine: dict[str, Any] = field(default_factory=dict)


def cards(*controllers: dict[str, Any]) -> dict[str, Any]:
    return {"controllers": controllers}


def with_drives(*drives: dict[str, Any]) -> dict[str, Any]:
    return cards(controller(drives=drives))


def clock(**values: int) -> dict[str, Any]:
    return {"clock": {"system_seconds": NOW, **values}}


def mounted(point: str) -> dict[str, Any]:
    return {"contents": [content(mountpoints=(point,))]}


def with_vg(uuid: str) -> dict[str, Any]:
    # The recorded machine has another VG pve, on sdd.
    return {"contents": [content(type="LVM2_member", vg="pve", vg_uuid=uuid)]}


FAILING = health(passed=False)
NICS = [nic.model_dump() for nic in FOUR.nics]
BIOS, UEFI = {"mode": "bios", "uefi_capable": True}, {"mode": "uefi", "uefi_capable": True}
RAID5 = volume("RAID5", 4)
DISK_D = FOUR.disks[3].contents[2].vg_uuid
UNUSED = with_drives(drive("unconfigured"))

CASES = {
    "memory-minimum": Case(machine={"memory_bytes": 700 * MIB}),
    "memory-guests": Case(machine={"memory_bytes": 1430 * MIB}, quiet_machine={"memory_bytes": 1900 * MIB}),
    "virtualisation": Case(machine={"cpu": {"model": "old"}}),
    "disk-present": Case(machine={"disks": []}),
    "data-present": Case(machine={"disks": []}),
    "nic-present": Case(machine={"nics": []}),
    "nic-link": Case(machine={"nics": [{**nic, "link": False} for nic in NICS]}),
    "clock-early": Case(
        machine=clock(image_seconds=NOW + 2 * DAY), quiet_machine=clock(image_seconds=NOW + DAY // 2)
    ),
    "clock-differs": Case(
        machine=clock(hardware_seconds=NOW - 2 * DAY),
        quiet_machine=clock(hardware_seconds=NOW + DAY * 14 // 24),
    ),
    "firmware-bios": Case(machine={"firmware": BIOS}, quiet_machine={"firmware": UEFI}),
    "controller-driver": Case(machine=cards(controller(driver="")), quiet_machine=cards(controller())),
    "nvme-hidden": Case(
        machine=cards({"address": PCI, "driver": "ahci", "kind": "ahci", "hidden_disks": 2}),
        quiet_machine=cards({"address": PCI, "driver": "vmd", "kind": "vmd", "hidden_disks": 0}),
    ),
    "controller-empty": Case(
        machine={
            **cards(controller()),
            "disks": [{**FOUR.disks[0].model_dump(), "controller": "0000:00:1f.2"}],
        },
        quiet_disk={"controller": PCI},
        quiet_machine=cards(controller()),
    ),
    "drives-unconfigured": Case(machine=UNUSED, quiet_machine=with_drives(drive("spare"))),
    "drives-foreign": Case(machine=with_drives(drive("foreign")), quiet_machine=UNUSED),
    "drives-failed": Case(machine=with_drives(drive("failed")), quiet_machine=UNUSED),
    "drive-failing": Case(
        # A member of a redundant volume; that of a RAID0 is told as its disk.
        RAID5,
        with_drives(drive(volume="0", **FAILING)),
        volume(),
        with_drives(drive(volume="0", **FAILING)),
    ),
    "drive-worn": Case(
        RAID5,
        with_drives(drive(volume="0", **health(wear_percent=90))),
        RAID5,
        with_drives(drive(volume="0", **health(wear_percent=89))),
    ),
    "controller-mixed": Case(
        machine=cards(controller(mode="mixed")), quiet_machine=cards(controller(mode="hba"))
    ),
    "cache-unprotected": Case(
        volume(cache="write-back"),
        cards(controller(battery="none")),
        volume(cache="write-back"),
        cards(controller(battery="good")),
    ),
    "raid0-single": Case(volume(), quiet_disk=volume(members=2)),
    "raid-volume": Case(RAID5, quiet_disk=volume()),
    "raid-unknown": Case(volume("", None), quiet_disk=RAID5),
    "raid-degraded": Case(volume("RAID1", 2, state="degraded"), quiet_disk=volume("RAID1", 2)),
    "raid-failed": Case(volume("RAID1", 2, state="failed"), quiet_disk=volume("RAID1", 2, state="degraded")),
    # Told by the only drive of a RAID0, which the controller knows.
    "disk-failing": Case(
        volume(), with_drives(drive(volume="0", **FAILING)), {**health(passed=False, standby=True)}
    ),
    "disk-unreadable": Case(
        {"contents": [content(type="unreadable")]}, quiet_disk={"contents": [content(type="unknown")]}
    ),
    "disk-errors": Case(
        health(pending_sectors=8), quiet_disk=health(pending_sectors=0, reallocated_sectors=3)
    ),
    "disk-worn": Case(health(spare_percent=10), quiet_disk=health(wear_percent=89, spare_percent=100)),
    "duplicate-serial": Case({"serial": "DISKC", "size_bytes": 9 * GIB}, quiet_disk={"serial": "other"}),
    "duplicate-vg": Case(with_vg("another"), quiet_disk=with_vg(DISK_D)),
    "data-fake-raid": Case({"kind": "fake-raid-member"}),
    "data-seen-twice": Case({"kind": "multipath-path"}),
    "data-bmc-virtual": Case({"kind": "bmc-virtual", "bus": "usb"}),
    "data-removable": Case({"bus": "usb"}, quiet_disk={"bus": "usb", "kind": "bmc-virtual"}),
    "data-in-use": Case({"contents": [content(md_name="md127")]}, quiet_disk=mounted("/")),
    "data-not-empty": Case(
        {"contents": [content()]}, quiet_machine={"disks": [disk.model_dump() for disk in FOUR.disks[:3]]}
    ),
    "data-size": Case({"size_bytes": 5 * GIB - 512}, quiet_disk={"size_bytes": 5 * GIB}),
    "data-mix": Case({"rotational": False}, quiet_disk={**RAID5, "rotational": False}),
    "target-medium": Case({"boot_medium": True}),
    "target-in-use": Case(mounted("/mnt")),
    "target-seen-twice": Case({"serial": "DISKB", "size_bytes": FOUR.disks[1].size_bytes}),
    "target-size": Case({"size_bytes": 8 * GIB - 512}, quiet_disk={"size_bytes": 8 * GIB}),
    "target-read-only": Case({"read_only": True}),
    "target-4kn-bios": Case(
        {"logical_sector_bytes": 4096},
        quiet_disk={"logical_sector_bytes": 4096},
        quiet_machine={"firmware": UEFI},
    ),
    "target-removable": Case({"removable": True}, quiet_disk={"removable": True, "kind": "bmc-virtual"}),
    "target-bmc-virtual": Case({"kind": "bmc-virtual"}),
    "target-fake-raid": Case({"kind": "fake-raid-member", "kind_source": "isw_raid_member"}),
    "target-raid0": Case(volume(members=2), quiet_disk=volume()),
    "target-raid-degraded": Case(volume("RAID1", 2, state="degraded"), quiet_disk=volume("RAID1", 2)),
    "target-raid-failed": Case(volume(state="failed"), quiet_disk=volume()),
    "target-failing": Case(health(failing=["Reallocated_Sector_Ct"]), quiet_disk=health()),
    "target-unreadable": Case({"contents": [content(type="unreadable")]}),
    "target-errors": Case(health(media_errors=1), quiet_disk=health(media_errors=0)),
    "target-worn": Case(health(wear_percent=103), quiet_disk=health(wear_percent=50)),
}


def build(disk: dict[str, Any], machine: dict[str, Any]) -> Inventory:
    """Give the recorded machine with changes, read as if from a file."""
    first, *others = FOUR.model_dump(by_alias=True)["disks"]
    whole = {**FOUR.model_dump(by_alias=True), "disks": [{**first, **disk}, *others], **machine}
    return Inventory.model_validate(whole)


def severities(check: Check, machine: Inventory) -> list[str]:
    """Give the worst of this check for each purpose, `ok` where it does not complain."""
    found: list[str] = []
    for purpose in PURPOSES:
        if check.subject == "target":
            findings = check_target(machine, machine.disks[0]) if purpose == "system" else []
        else:
            findings = run_checks(machine, purpose)
        bad = [finding for finding in findings if finding.id == check.id and finding.severity != "ok"]
        assert all(finding.todo and finding.measured and finding.device for finding in bad)
        found.append(bad[0].severity if bad else "ok")
    return found


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.id)
def test_every_check_is_raised_as_the_table_says_and_only_then(check: Check) -> None:
    case = CASES[check.id]
    assert severities(check, build(case.disk, case.machine)) == list(check.severities)
    assert severities(check, build(case.quiet_disk, case.quiet_machine)) == ["ok", "ok", "ok"]


def test_no_check_is_forgotten_and_ids_are_unique() -> None:
    assert CASES.keys() == CHECK_IDS
    assert len(ALL_CHECKS) == len(CHECK_IDS)
    assert NEVER_ALLOWED < CHECK_IDS


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({}, "iDRAC: Storage > Controllers"),
        ({"subsystem_id": "1000:9361"}, "storcli /cN set jbod=on"),
        ({"subsystem_id": ""}, "storcli /cN set jbod=on"),
        ({"subsystem_id": "17aa:1052"}, "XCC"),
        ({"subsystem_id": "1590:02d0"}, "MR controller"),
        ({"subsystem_id": "15D9:0808"}, "Del"),
        ({"subsystem_id": "103c:21c0", "driver": "hpsa"}, "ssacli"),
        ({"subsystem_id": "9005:0800", "driver": "smartpqi"}, "arcconf"),
        ({"subsystem_id": "17d3:1880", "driver": "arcmsr"}, "McBIOS"),
        ({"subsystem_id": "1028:1f53", "driver": "mpt3sas"}, "sas3ircu"),
        ({"subsystem_id": "1028:1fe2", "driver": "ahci"}, "BOSS"),
        ({"subsystem_id": "8086:7270", "driver": "ahci"}, "SATA mode to AHCI"),
        ({"subsystem_id": "1af4:0001", "driver": "newraid"}, "the controller's own setup"),
    ],
)
def test_advice_is_for_the_vendor_of_the_card(card: dict[str, Any], words: str) -> None:
    found = run_checks(build(RAID5, cards(controller(**card))), "ceph")
    (finding,) = (
        finding for finding in found if finding.id == "raid-volume" and finding.severity == "blocking"
    )
    assert words in finding.todo


@pytest.mark.parametrize(
    ("maker", "words"),
    [("Dell Inc.", "NVMe Mode"), ("HPE", "RBSU"), ("LENOVO", "F1"), ("Supermicro", "IIO"), ("", "Optane")],
)
def test_nvme_advice_is_for_the_maker_of_the_machine(maker: str, words: str) -> None:
    vmd = Controller(address=PCI, kind="vmd").model_dump()
    found = run_checks(build({}, {**cards(vmd), "dmi": {"vendor": maker}}))
    (finding,) = (finding for finding in found if finding.id == "nvme-hidden")
    assert words in finding.todo
    assert "controller-driver" not in {other.id for other in found if other.severity != "ok"}


def test_a_controller_is_called_empty_only_where_every_disk_has_its_controller() -> None:
    machine = build({}, cards(controller()))
    assert "controller-empty" not in {finding.id for finding in run_checks(machine)}


def test_24_drives_in_order_take_one_line_a_check() -> None:
    first = FOUR.disks[0]
    disks = [
        Disk.model_validate(
            {**first.model_dump(), "name": f"sd{n}", "ids": [f"scsi-{n}"], "serial": f"S{n}", **health()}
        )
        for n in range(24)
    ]
    found = run_checks(FOUR.model_copy(update={"disks": tuple(disks)}))
    assert {finding.severity for finding in found} == {"ok"}
    assert len(found) <= 12
    assert len({finding.id for finding in found}) == len(found)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in rows]


def expected_rows() -> list[str]:
    rows = []
    for check in ALL_CHECKS:
        told = ["–" if severity == "ok" else severity for severity in check.severities]  # noqa: RUF001 - a dash for a reader
        rows.append([f"`{check.id}`", check.subject, *told, check.bad, check.todo])
    rows += [[row.name, row.text] for row in (*PASSTHROUGH, *UNHIDE_NVME)]
    return table(rows)


def test_the_document_holds_the_table() -> None:
    lines = (PROJECT / "docs/checks.md").read_text().splitlines()
    headings = [n for n, line in enumerate(lines) if line.startswith("| ---")]
    rows = [line for n, line in enumerate(lines) if line.startswith("| ") and not {n, n + 1} & set(headings)]
    assert rows == expected_rows()


def test_no_advice_erases_a_volume_that_the_system_is_on() -> None:
    machine = build(volume("RAID1", 2), cards(controller(mode="mixed", mode_source="it shows both")))
    todo = {finding.id: finding.todo for finding in run_checks(machine, "ceph") if finding.severity != "ok"}
    assert todo["raid-volume"].startswith("leave it if the system is")
    assert "iDRAC" not in todo["controller-mixed"]
    # The number of the controller is the reader's to fill in: another one's volumes are not to be changed by a copy.
    assert not any("/c0" in row.text for row in PASSTHROUGH)
