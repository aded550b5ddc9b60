"""Which drives smartctl is asked about, and what follows for controllers and volumes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hostlib.inventory import Controller, Disk, Drive, Health, Raid
from hostlib.probe.drives import ONE_EACH, infer_volumes
from hostlib.probe.health import read_health
from tests.unit.installer_fakes import FakeRunner
from tests.unit.smart_data import NVME, SAS, SATA_HDD, SATA_SSD, SCAN, smartctl

RAID = "0000:03:00.0"
JBOD = "0000:04:00.0"
ASK = "smartctl --json=c --nocheck=standby,3 -i -H -A -l ssd"
NVME_SIZE = 1600321314816


def disk(name: str, controller: str = "", size: int = 480103981056, **values: Any) -> Disk:
    return Disk(name=name, path=f"/dev/{name}", size_bytes=size, controller=controller, **values)


def volume(name: str, size: int = 480103981056, **values: Any) -> Disk:
    return disk(name, RAID, size, kind="virtual-disk", **values)


def drive(number: int, size: int | None = 480103981056, **values: Any) -> Drive:
    return Drive(address=f"megaraid,{number}", serial=f"S{number}", size_bytes=size, **values)


def controller(*drives: Drive, driver: str = "megaraid_sas", **values: Any) -> Controller:
    return Controller(**{"address": RAID, "driver": driver, "drives": drives, **values})


def read(
    runner: FakeRunner,
    controllers: Sequence[Controller],
    disks: Sequence[Disk],
    root: Path = Path("/nowhere"),
) -> tuple[tuple[Controller, ...], tuple[Disk, ...]]:
    return read_health(runner, controllers, disks, 5, root=root, which=lambda name: f"/usr/sbin/{name}")


def test_each_disk_is_asked_by_one_command() -> None:
    runner = FakeRunner(
        {f"{ASK} /dev/sda": smartctl(24, **SATA_HDD), f"{ASK} /dev/nvme0n1": smartctl(**NVME)}
    )
    _, found = read(runner, [], [disk("sda", bus="ata"), disk("nvme0n1", bus="nvme")])
    assert [d.health and d.health.passed for d in found] == [False, True]
    assert [d.health and d.health.source for d in found] == ["smartctl", "smartctl"]
    assert sorted(runner.lines) == [f"{ASK} /dev/nvme0n1", f"{ASK} /dev/sda"]


def test_disks_without_smart_are_left_alone() -> None:
    runner = FakeRunner()
    virtual = controller(kind="virtual", driver="vmw_pvscsi")
    disks = (
        disk("vda", bus="virtio"),
        disk("sda", RAID, bus="scsi"),
        volume("sdb"),
        disk("sdc", bus="usb", kind="bmc-virtual"),
    )
    assert read(runner, [virtual], disks) == ((virtual,), disks)
    assert runner.lines == []


def test_usb_bridges_get_no_48_bit_command() -> None:
    runner = FakeRunner({"smartctl": smartctl(1)})
    _, found = read(runner, [], [disk("sda", bus="usb")])
    assert runner.lines == ["smartctl --json=c --nocheck=standby,3 -i -H -A /dev/sda"]
    assert found[0].health is None


def test_one_failing_command_costs_only_its_disk(caplog: pytest.LogCaptureFixture) -> None:
    failures = {f"{ASK} /dev/sda": "no end after 4.5 s"}
    runner = FakeRunner(
        {f"{ASK} /dev/sdb": smartctl(**SAS), f"{ASK} /dev/sdc": "Segmentation fault"}, failures
    )
    _, found = read(runner, [], [disk(name, ids=(f"ata-{name}",)) for name in ("sda", "sdb", "sdc")])
    assert [bool(d.health) for d in found] == [False, True, False]
    assert "SMART of /dev/disk/by-id/ata-sda" in caplog.text


def test_without_smartctl_nothing_is_run(caplog: pytest.LogCaptureFixture) -> None:
    runner = FakeRunner()
    disks = (disk("sda"),)
    assert read_health(runner, [], disks, 5, which=lambda _: None) == ((), disks)
    assert runner.lines == []
    assert "smartctl is not installed" in caplog.text


def test_drives_behind_megaraid_belong_to_the_controller_of_their_host(tmp_path: Path) -> None:
    (tmp_path / f"sys/bus/pci/devices/{RAID}/host2").mkdir(parents=True)
    shown = disk(
        "sdd",
        JBOD,
        serial="HDD1",
        udev={"DEVPATH": f"/devices/pci0000:00/{JBOD}/host3/target3:0:0/3:0:0:0/block/sdd"},
    )
    runner = FakeRunner(
        {
            "smartctl --json=c --scan": SCAN,
            f"{ASK} -d megaraid,0 /dev/bus/2": smartctl(4, **SATA_SSD),
            f"{ASK} -d megaraid,1 /dev/bus/2": smartctl(2),
            f"{ASK} -d sat+megaraid,0 /dev/bus/3": smartctl(24, **SATA_HDD),
            f"{ASK} /dev/sdd": smartctl(24, **SATA_HDD),
        }
    )
    both = [controller(), controller(address=JBOD)]
    (raid, jbod), _ = read(runner, both, [shown], tmp_path)
    assert raid.drives_source == "smartctl --scan"
    first, second = raid.drives
    assert (first.address, first.serial, first.state, first.rotational) == (
        "megaraid,0",
        "SSD1",
        "unconfigured",
        False,
    )
    assert first.health
    assert first.health.source == "smartctl -d megaraid,0"
    assert second == Drive(address="megaraid,1", state="unconfigured")
    assert [(d.address, d.serial, d.state) for d in jbod.drives] == [("megaraid,0", "HDD1", "passthrough")]


def test_single_drive_volumes_are_inferred_from_the_scan(tmp_path: Path) -> None:
    (tmp_path / f"sys/bus/pci/devices/{RAID}/host3").mkdir(parents=True)
    runner = FakeRunner({"smartctl --json=c --scan": SCAN, ASK: smartctl(4, **SATA_SSD)})
    _, (found,) = read(runner, [controller()], [volume("sda", 479559942144)], tmp_path)
    assert found.raid == Raid(level="RAID0", members=1, source=ONE_EACH)


def test_what_a_tool_told_is_kept_and_gets_health(tmp_path: Path) -> None:
    (tmp_path / f"sys/bus/pci/devices/{RAID}/host3").mkdir(parents=True)
    told = controller(
        Drive(address="252:0", serial="SSD1", state="member", volume="0/0"), drives_source="storcli"
    )
    mirror = volume("sda", raid=Raid(level="RAID1", members=2, source="storcli"))
    runner = FakeRunner({"smartctl --json=c --scan": SCAN, ASK: smartctl(4, **SATA_SSD)})
    (found,), disks = read(runner, [told], [mirror], tmp_path)
    assert disks == (mirror,)
    assert (found.drives_source, found.drives[0].address, found.drives[0].state) == (
        "storcli",
        "252:0",
        "member",
    )
    assert found.drives[0].health
    assert found.drives[0].health.source == "smartctl -d sat+megaraid,0"


def test_numbered_drives_are_asked_through_a_volume(tmp_path: Path) -> None:
    (tmp_path / f"sys/bus/pci/devices/{RAID}/host5").mkdir(parents=True)
    runner = FakeRunner({f"{ASK} -d aacraid,5,0,1 /dev/sda": smartctl(**SAS), "smartctl": smartctl(2)})
    (found,), disks = read(runner, [controller(driver="aacraid")], [volume("sda")], tmp_path)
    assert len(runner.lines) == 16
    assert [(d.address, d.serial, d.state) for d in found.drives] == [("aacraid,5,0,1", "SAS1", "")]
    assert disks[0].raid is None


@pytest.mark.parametrize("driver", ["hpsa", "smartpqi"])
def test_smart_array_without_a_volume_is_not_asked_for_drives(driver: str) -> None:
    runner = FakeRunner({"smartctl": smartctl(2)})
    read(runner, [controller(driver=driver)], [disk("sda", RAID)])
    assert runner.lines == [f"{ASK} /dev/sda"]
    read(runner, [controller(driver=driver)], [volume("sdb")])
    assert f"{ASK} -d cciss,15 /dev/sdb" in runner.lines


def states(*drives: Drive) -> list[str]:
    return [d.state for d in drives]


def test_as_many_volumes_as_drives_of_the_same_sizes() -> None:
    # The order differs: the second volume is the small one's.
    raid = controller(drive(0), drive(1, NVME_SIZE), drive(2, state="passthrough"))
    disks = (
        volume("sda", NVME_SIZE - 10**9, raid=Raid(cache="write-back", name="0/0")),
        volume("sdb", 479559942144),
        disk("sdc", RAID, serial="S2"),
        disk("sdd", "elsewhere"),
    )
    found, (first, second, *others) = infer_volumes(raid, disks)
    assert first.raid == Raid(level="RAID0", members=1, source=ONE_EACH, cache="write-back", name="0/0")
    assert second.raid == Raid(level="RAID0", members=1, source=ONE_EACH)
    assert others == list(disks[2:])
    assert states(*found.drives) == ["member", "member", "passthrough"]


@pytest.mark.parametrize(
    ("volumes", "drives"),
    [
        pytest.param([10**12], [10**12, 10**12], id="a mirror"),
        pytest.param([5 * 10**11, 5 * 10**11], [10**12, 10**12], id="two volumes on a mirror"),
        pytest.param([10**12 + 1], [10**12], id="larger than the drive"),
        pytest.param([10**12, 10**12], [10**12, 2 * 10**12], id="one of the sizes differs"),
        pytest.param([10**12], [None], id="a drive of unknown size"),
        pytest.param([11 * 10**11] * 12, [12 * 10**11] * 12, id="twelve volumes on one RAID5"),
    ],
)
def test_volumes_that_do_not_fit_stay_unknown(volumes: list[int], drives: list[int | None]) -> None:
    raid = controller(*(drive(n, size) for n, size in enumerate(drives)))
    disks = tuple(volume(f"sd{n}", size) for n, size in enumerate(volumes))
    assert infer_volumes(raid, disks) == (raid, disks)


def test_a_level_that_is_known_is_not_overruled() -> None:
    raid = controller(drive(0))
    disks = (volume("sda", raid=Raid(level="RAID1", source="sysfs raid_level")),)
    assert infer_volumes(raid, disks) == (raid, disks)


def test_without_volumes_the_other_drives_are_unconfigured() -> None:
    raid = controller(drive(0), drive(1, state="passthrough"))
    found, _ = infer_volumes(raid, (disk("sda", RAID, serial="S1"),))
    assert states(*found.drives) == ["unconfigured", "passthrough"]


def test_a_shown_disk_that_matches_no_drive_leaves_the_rest_unknown() -> None:
    raid = controller(drive(0), drive(1, health=Health(source="smartctl")))
    disks = (disk("sda", RAID, serial="another name"),)
    assert infer_volumes(raid, disks) == (raid, disks)
