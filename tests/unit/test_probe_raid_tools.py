"""What the vendors' tools for RAID controllers tell, and how it gets into the inventory."""

import json
import re
from typing import Any

import pytest

from hostlib.inventory import Controller, Disk, Drive, Health, Raid
from hostlib.probe.raid_tools import read_raid_tools
from hostlib.probe.ssacli import parse_ssacli
from hostlib.probe.storcli import parse_storcli
from tests.unit.installer_fakes import FakeRunner
from tests.unit.raid_tool_data import (
    CONTROLLER,
    DETAILS,
    DRIVES,
    SECOND_GENERATION,
    SSACLI,
    VOLUMES,
    answer,
    pd,
)

ADDRESS = "0000:0a:00.0"
OUTPUTS = (answer(CONTROLLER), answer(VOLUMES), answer(DETAILS))
MIRROR = Raid(level="RAID1", members=2, state="degraded", cache="write-back", name="0/0", source="storcli")
SINGLE = Raid(
    level="RAID0", members=1, state="optimal", cache="write-through", name="1/239", source="storcli"
)


def runner() -> FakeRunner:
    lines = ("/call show", "/call/vall show", "/call/eall/sall show")
    return FakeRunner(
        {f"/bin/storcli64 {line} all J nolog": output for line, output in zip(lines, OUTPUTS, strict=True)}
    )


def disk(name: str, **values: Any) -> Disk:
    return Disk(name=name, path=f"/dev/{name}", size_bytes=479559942144, **values)


def megaraid(**values: Any) -> Controller:
    return Controller(address=ADDRESS, driver="megaraid_sas", **values)


def test_storcli_controller() -> None:
    (told,) = parse_storcli(OUTPUTS, "storcli")
    assert (told.address, told.mode, told.battery) == (ADDRESS, "mixed", "good")
    assert [volume.raid for volume in told.volumes] == [MIRROR, SINGLE]
    assert [(volume.wwn, volume.path) for volume in told.volumes] == [
        ("600605b010e943702a3372bf4d29f6a7", "/dev/sdz"),
        ("", "/dev/sdb"),
    ]


def test_storcli_drives() -> None:
    (told,) = parse_storcli(OUTPUTS, "storcli")
    assert [(drive.address, drive.state, drive.volume) for drive in told.drives] == [
        ("252:0", "member", "0/0"),
        ("252:1", "member", "0/0"),
        ("252:2", "member", "1/239"),
        ("252:3", "passthrough", ""),
        ("252:4", "unconfigured", ""),
        ("252:5", "foreign", ""),
        ("252:6", "failed", ""),
        ("252:7", "spare", ""),
    ]
    first = told.drives[0]
    assert (first.serial, first.model, first.size_bytes) == ("S0", "SAMSUNG MZ7LH480HAHQ", 480103981056)
    assert first.health == Health(source="storcli", passed=False, media_errors=3, temperature_celsius=28)
    assert (told.drives[1].rotational, told.drives[7].rotational) == (False, True)


@pytest.mark.parametrize(
    ("personality", "volumes", "drives", "mode"),
    [
        ("RAID-Mode ", CONTROLLER["VD LIST"], DRIVES[:3], "raid"),
        ("RAID-Mode ", [], DRIVES[3:4], "hba"),
        ("RAID-Mode ", [], DRIVES[3:5], "mixed"),
        ("HBA-Mode", [], [], "hba"),
        ("", [], DRIVES[4:5], "raid"),
        ("", [], [], ""),
    ],
)
def test_storcli_mode(personality: str, volumes: list[Any], drives: list[Any], mode: str) -> None:
    shown = {"Capabilities": {"Current Personality": personality}, "VD LIST": volumes, "PD LIST": drives}
    (told,) = parse_storcli([answer({**CONTROLLER, **shown})], "storcli")
    assert told.mode == mode


@pytest.mark.parametrize(
    ("part", "battery"),
    [
        ({"BBU_Info": [{"State": "Failed"}]}, "bad"),
        ({"BBU_Info": [], "Cachevault_Info": [{"State": "Optimal"}]}, "good"),
        ({"BBU_Info": [{"State": "Learning"}]}, ""),
        ({"BBU_Info": [], "HwCfg": {"BBU": "Absent"}}, "none"),
    ],
)
def test_storcli_battery(part: dict[str, Any], battery: str) -> None:
    (told,) = parse_storcli([answer({**CONTROLLER, **part})], "storcli")
    assert told.battery == battery


def test_storcli2_nests_the_same_rows() -> None:
    (told,) = parse_storcli([answer({"Basics": CONTROLLER["Basics"]}), answer(SECOND_GENERATION)], "storcli2")
    (volume,) = told.volumes
    assert volume.raid == Raid(
        level="RAID10", members=4, state="optimal", cache="write-back", name="0/1", source="storcli2"
    )
    assert [(drive.state, drive.volume) for drive in told.drives] == [("member", "0/1")] * 4


def test_storcli_tells_the_rest_when_one_part_fails() -> None:
    (told,) = parse_storcli([answer(CONTROLLER, status="Failure"), "", ""], "storcli")
    assert [volume.raid.level for volume in told.volumes] == ["RAID1", "RAID0"]


@pytest.mark.parametrize("odd", [None, [], {}, "text", 1, [[1]], [{"DG/VD": 1, "TYPE": 2}], {"SN": 3}])
def test_no_shape_of_a_storcli_answer_raises(odd: Any) -> None:
    for data in (CONTROLLER, VOLUMES, DETAILS):
        for key in data:
            parse_storcli([answer(CONTROLLER), answer({**data, key: odd})], "storcli")
    parse_storcli([json.dumps({"Controllers": odd})], "storcli")


def test_one_odd_drive_leaves_the_others_to_storcli() -> None:
    """storcli writes what a drive says as it is, control characters too."""
    odd = {**pd("252:0", "Onln", 0), "Size": "1.2.3 TB", "Model": "A\tB"}
    output = answer({"PD LIST": [odd, pd("252:1", "UGood")], "Basics": CONTROLLER["Basics"]})
    (told,) = parse_storcli([output.replace("\\t", "\t")], "storcli")
    assert [(drive.model, drive.size_bytes) for drive in told.drives] == [
        ("A\tB", None),
        ("SAMSUNG MZ7LH480HAHQ", 479559942144),
    ]


def test_one_odd_drive_leaves_the_others_to_ssacli() -> None:
    odd = re.sub(r"^( +Size): .*", r"\1: 1.2.3 TB", SSACLI, flags=re.MULTILINE)
    assert [len(told.drives) for told in parse_ssacli(odd)] == [
        len(told.drives) for told in parse_ssacli(SSACLI)
    ]


def test_ssacli_controllers() -> None:
    mixed, raid, hba = parse_ssacli(SSACLI)
    assert (mixed.address, mixed.mode, mixed.battery) == ("0000:5c:00.0", "mixed", "good")
    assert (raid.address, raid.mode, raid.battery) == ("0000:14:00.0", "", "none")
    assert (hba.address, hba.mode, hba.battery) == ("0000:03:00.0", "hba", "")


def test_ssacli_volumes() -> None:
    mixed, raid, _ = parse_ssacli(SSACLI)
    first, second = mixed.volumes
    assert first.raid == Raid(
        level="RAID1", members=2, state="degraded", cache="write-back", name="1", source="ssacli"
    )
    assert (first.wwn, first.path) == ("600508b1001c8cc3c673a109dd66ddbb", "/dev/sda")
    assert (second.raid.level, second.raid.state, second.raid.cache) == ("RAID10", "optimal", "write-through")
    # Its cache is for reading alone.
    assert raid.volumes[0].raid == Raid(
        level="RAID5", state="failed", cache="write-through", name="1", source="ssacli"
    )


def test_ssacli_drives() -> None:
    mixed, _, hba = parse_ssacli(SSACLI)
    assert [(drive.address, drive.state, drive.volume) for drive in mixed.drives] == [
        ("2I:1:1", "member", "1"),
        ("2I:1:2", "failed", ""),
        ("2I:1:5", "spare", ""),
        ("2I:1:3", "passthrough", ""),
        ("2I:1:4", "unconfigured", ""),
    ]
    good, *_, worn, spinning = mixed.drives
    assert good == Drive(
        address="2I:1:1",
        state="member",
        volume="1",
        model="MTFDDAK960TCB",
        serial="S1",
        size_bytes=960 * 10**9,
        rotational=False,
        health=Health(
            source="ssacli", passed=True, wear_percent=2, temperature_celsius=34, power_on_hours=45068
        ),
    )
    assert worn.model == "HP MB3000FCWDH"
    assert worn.health == Health(source="ssacli", passed=False, failing=("predictive failure",))
    assert spinning.rotational
    assert [(drive.state, drive.size_bytes) for drive in hba.drives] == [("passthrough", 6 * 10**12)]


def test_what_a_tool_tells_reaches_controller_and_disks() -> None:
    asked = Drive(address="megaraid,6", serial="S0", health=Health(source="smartctl -d megaraid,6"))
    before = megaraid(mode="raid", mode_source="guess", drives=(asked,), drives_source="smartctl --scan")
    guessed = Raid(level="RAID0", members=1, source="as many volumes as drives, of the same sizes")
    disks = (
        disk(
            "sda",
            controller=ADDRESS,
            wwn="0x600605b010e943702a3372bf4d29f6a7",
            raid=guessed,
            kind="virtual-disk",
        ),
        disk("sdb", controller=ADDRESS),
        disk("sdc", controller=ADDRESS, serial="S3"),
        disk("sdz", controller="0000:00:1f.2"),
    )
    tool = runner()
    (found,), shown = read_raid_tools(tool, [before], disks, 5, which=lambda name: f"/bin/{name}")
    assert len(tool.lines) == 3
    assert (found.mode, found.mode_source, found.battery) == ("mixed", "storcli", "good")
    assert (found.drives_source, found.drives[0].address) == ("storcli", "252:0")
    assert found.drives[0].health == asked.health
    assert shown[0].raid == MIRROR
    assert (shown[1].raid, shown[1].kind, shown[1].kind_source) == (SINGLE, "virtual-disk", "storcli")
    assert shown[2:] == disks[2:]


@pytest.mark.parametrize(
    ("driver", "first"),
    [
        ("mpi3mr", "/bin/storcli2"),
        ("hpsa", "/bin/ssacli"),
        ("smartpqi", "/bin/ssacli"),
        ("mpt3sas", "/bin/storcli64"),
    ],
)
def test_each_driver_has_its_tool(driver: str, first: str) -> None:
    tool = FakeRunner({"/bin/": "{}"})
    read_raid_tools(
        tool, [Controller(address=ADDRESS, driver=driver)], [], 5, which=lambda name: f"/bin/{name}"
    )
    assert {line.split()[0] for line in tool.lines} == {first}


@pytest.mark.parametrize("driver", ["ahci", "nvme", ""])
def test_no_tool_is_run_for_other_drivers(driver: str) -> None:
    tool, plain = FakeRunner(), (Controller(address=ADDRESS, driver=driver),)
    assert read_raid_tools(tool, plain, [], 5, which=lambda name: f"/bin/{name}") == (plain, ())
    assert tool.lines == []


def test_a_tool_that_fails_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    plain, disks = (megaraid(),), (disk("sda", controller=ADDRESS),)
    broken = FakeRunner({"/bin/storcli64 /call show": "Segmentation fault"})
    assert read_raid_tools(broken, plain, disks, 5, which=lambda name: f"/bin/{name}") == (plain, disks)
    assert "the tool storcli: cannot be read" in caplog.text
    assert read_raid_tools(FakeRunner(), plain, disks, 5, which=lambda _: None) == (plain, disks)
