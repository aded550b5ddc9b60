"""What is read out of smartctl's JSON."""

import json
from typing import Any

import pytest

from hostlib.inventory import Drive, Health
from hostlib.probe.smart import Smart, parse_scan, parse_smart
from tests.unit.smart_data import (
    NVME,
    SAS,
    SATA_HDD,
    SATA_SSD,
    SCAN,
    STANDBY,
    USB_BRIDGE,
    attribute,
    smartctl,
)


def health(output: str) -> Health:
    smart = parse_smart(output)
    assert smart
    assert smart.health
    return smart.health


def test_sata_hdd_with_bad_sectors() -> None:
    assert parse_smart(smartctl(8 | 16 | 64, **SATA_HDD), "smartctl -d megaraid,4") == Smart(
        model="WDC WD20EFRX-68EUZN0",
        serial="HDD1",
        size_bytes=2000398934016,
        rotational=True,
        health=Health(
            source="smartctl -d megaraid,4",
            passed=False,
            failing=("Reallocated_Sector_Ct",),
            reallocated_sectors=1960,
            pending_sectors=16,
            media_errors=10,
            temperature_celsius=41,
            power_on_hours=61000,
        ),
    )


def test_a_drive_unknown_to_the_database_has_no_wear_by_its_attributes() -> None:
    found = health(smartctl(4, **SATA_SSD))
    assert (found.passed, found.wear_percent, found.media_errors) == (True, None, 0)


def test_wear_by_an_attribute_of_a_known_drive() -> None:
    assert health(smartctl(**{**SATA_SSD, "in_smartctl_database": True})).wear_percent == 1
    above = {"table": [attribute(177, "Wear_Leveling_Count", 200, "0")]}
    known = {**SATA_SSD, "in_smartctl_database": True, "ata_smart_attributes": above}
    assert health(smartctl(**known)).wear_percent is None


@pytest.mark.parametrize(("valid", "wear"), [(True, 7), (False, None)])
def test_wear_by_the_device_statistics(valid: bool, wear: int | None) -> None:  # noqa: FBT001 - a test's case
    row = {"name": "Percentage Used Endurance Indicator", "value": 7, "flags": {"valid": valid}}
    pages = {"pages": [{"number": 7, "table": [row]}]}
    assert health(smartctl(**SATA_SSD, ata_device_statistics=pages)).wear_percent == wear


def test_a_pending_sector_that_is_bogus_does_not_count() -> None:
    table = {"table": [attribute(197, "Bogus_Current_Pend_Sect", 100, "1")]}
    assert health(smartctl(**{**SATA_SSD, "ata_smart_attributes": table})).pending_sectors is None


def test_nvme() -> None:
    smart = parse_smart(smartctl(**NVME))
    assert smart
    assert smart.rotational is False
    assert smart.health == Health(
        source="smartctl",
        passed=True,
        wear_percent=2,
        spare_percent=100,
        media_errors=0,
        temperature_celsius=31,
        power_on_hours=4236,
    )


def test_nvme_critical_warnings_are_named() -> None:
    log = {**NVME["nvme_smart_health_information_log"], "critical_warning": 0b1001, "percentage_used": 130}
    found = health(smartctl(8, **{**NVME, "nvme_smart_health_information_log": log}))
    assert found.failing == (
        "available spare has fallen below threshold",
        "media has been placed in read only mode",
    )
    assert found.wear_percent == 130


def test_sas() -> None:
    smart = parse_smart(smartctl(**SAS))
    assert smart
    assert (smart.model, smart.rotational) == ("TOSHIBA AL15SEB24EQY", True)
    assert smart.health == Health(
        source="smartctl",
        passed=True,
        reallocated_sectors=3,
        media_errors=3,
        temperature_celsius=32,
        power_on_hours=12437,
    )
    worn = health(smartctl(**SAS, scsi_percentage_used_endurance_indicator=11))
    assert worn.wear_percent == 11


def test_sas_says_why_it_will_fail() -> None:
    status = {"passed": False, "scsi": {"asc": 93, "ascq": 16, "ie_string": "HARDWARE IMPENDING FAILURE"}}
    assert health(smartctl(8, **{**SAS, "smart_status": status})).failing == ("HARDWARE IMPENDING FAILURE",)


def test_a_sleeping_drive_tells_its_name_alone() -> None:
    smart = parse_smart(STANDBY)
    assert smart
    assert (smart.serial, smart.health) == ("HDD2", Health(source="smartctl", standby=True))


@pytest.mark.parametrize("output", [USB_BRIDGE, smartctl(2)])
def test_no_drive_was_asked(output: str) -> None:
    assert parse_smart(output) is None


def test_a_drive_without_smart_has_no_health() -> None:
    smart = parse_smart(smartctl(4, serial_number="1", smart_support={"available": False}))
    assert smart
    assert smart.health is None


@pytest.mark.parametrize("odd", [None, [], {}, "text", -1, 1.5, True, [[1]], [{"id": 5, "name": 7}]])
def test_no_shape_of_an_answer_raises(odd: Any) -> None:
    for whole in (SATA_HDD, SATA_SSD, NVME, SAS):
        for key in whole:
            parse_smart(smartctl(**{**whole, key: odd}))
            if isinstance(whole[key], dict):
                for inner in whole[key]:
                    parse_smart(smartctl(**{**whole, key: {**whole[key], inner: odd}}))
    parse_smart(json.dumps({"smartctl": odd}))
    parse_scan(json.dumps({"devices": odd}))


def test_scan_gives_drives_behind_megaraid_alone() -> None:
    assert parse_scan(SCAN) == [(2, "megaraid,0"), (2, "megaraid,1"), (3, "sat+megaraid,0")]


def test_what_utf_8_cannot_write_does_not_break_the_inventory() -> None:
    smart = parse_smart(smartctl(0, **{**SAS, "serial_number": "S\ud800AS1"}))
    assert smart
    assert Drive(address="megaraid,0", serial=smart.serial).model_dump_json()
