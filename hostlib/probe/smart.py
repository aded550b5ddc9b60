"""What smartctl says of a drive, read from its JSON (smartmontools 7.3 and later). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hostlib.inventory import Health
from hostlib.probe.tree import at, flag, number, parse_tree, rows, text

STANDBY_STATUS = 3
"""Exit status that smartctl is asked to give for a sleeping drive (`-n standby,3`). It is a bit mask else, and this
value cannot come from it: a command line with an error (bit 0) ends before a device is opened (bit 1)."""
_NOTHING_READ = 0b11

# Bits of the critical warning (NVM Express base specification, SMART / Health Information log), in smartctl's words.
_CRITICAL_WARNINGS = (
    "available spare has fallen below threshold",
    "temperature is above or below threshold",
    "NVM subsystem reliability has been degraded",
    "media has been placed in read only mode",
    "volatile memory backup device has failed",
    "persistent memory region has become unreliable",
)

# Attributes whose normalized value is the percentage of rated life that is left, by the names in smartmontools'
# drivedb.h: Samsung, Intel, Micron and Crucial, SandForce and Kingston. Names such as Percent_Lifetime_Used or
# End_of_Life count otherwise from maker to maker and are left out.
_LIFE_LEFT = frozenset(
    {"Wear_Leveling_Count", "Media_Wearout_Indicator", "Percent_Lifetime_Remain", "SSD_Life_Left"}
)
_HOTTEST_CELSIUS = 150


@dataclass(frozen=True, slots=True)
class Smart:
    """A drive as smartctl sees it."""

    model: str
    serial: str
    size_bytes: int | None
    rotational: bool | None
    health: Health | None
    """None where the drive has no SMART, or the bridge before it does not let it through."""


def parse_smart(output: str, source: str = "smartctl") -> Smart | None:
    """Read the JSON of `smartctl -i -H -A -l ssd`; None where there was no drive to ask. Raises ValueError."""
    tree = parse_tree(output)
    status = number(tree, "smartctl", "exit_status") or 0
    standby = status == STANDBY_STATUS
    if status & _NOTHING_READ and not standby:
        return None
    health = Health(source=source, standby=True) if standby else _health(tree, source)
    return Smart(
        model=text(tree, "model_name") or text(tree, "scsi_model_name"),
        serial=text(tree, "serial_number"),
        size_bytes=number(tree, "user_capacity", "bytes") or number(tree, "nvme_total_capacity"),
        rotational=_rotational(tree),
        health=None if health == Health(source=source) else health,
    )


def parse_scan(output: str) -> list[tuple[int, str]]:
    """Give SCSI host number and device type of each drive behind a MegaRAID controller, by `smartctl --scan`.

    The type is `megaraid,5` or `sat+megaraid,5`. Raises ValueError.
    """
    found = []
    for row in rows(parse_tree(output), "devices"):
        bus = re.fullmatch(r"/dev/bus/(\d+)", text(row, "name"))
        if bus and re.fullmatch(r"(sat\+)?megaraid,\d+", text(row, "type")):
            found.append((int(bus[1]), text(row, "type")))
    return found


def _rotational(tree: object) -> bool | None:
    if text(tree, "device", "protocol") == "NVMe":
        return False
    rate = number(tree, "rotation_rate")
    # Of a SCSI drive 0 stands for solid-state and for a rate that the drive does not tell (scsiprint.cpp).
    unknown = rate is None or (rate == 0 and text(tree, "device", "protocol") == "SCSI")
    return None if unknown else rate != 0


def _health(tree: object, source: str) -> Health:
    attributes = _Attributes(tree)
    nvme = at(tree, "nvme_smart_health_information_log")
    temperature = number(tree, "temperature", "current") or 0
    return Health(
        source=source,
        passed=flag(tree, "smart_status", "passed"),
        failing=(*attributes.failing, *_failing(tree)),
        wear_percent=_wear(tree, attributes),
        spare_percent=_spare(nvme),
        reallocated_sectors=_first(attributes.raw(5, "realloc"), number(tree, "scsi_grown_defect_list")),
        pending_sectors=_first(
            # Crucial's Bogus_Current_Pend_Sect does not match, as it should not.
            attributes.raw(197, "pending"),
            number(tree, "scsi_pending_defects", "count"),
        ),
        media_errors=_first(
            attributes.raw(187, "reported_u"),
            attributes.raw(198, "offline_uncorrectable"),
            number(nvme, "media_errors"),
            _uncorrected(tree),
        ),
        # Drives without a sensor say 0 or 255.
        temperature_celsius=temperature if 0 < temperature < _HOTTEST_CELSIUS else None,
        power_on_hours=number(tree, "power_on_time", "hours"),
    )


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


class _Attributes:
    """The table of ATA attributes."""

    def __init__(self, tree: object) -> None:
        self._rows = rows(tree, "ata_smart_attributes", "table")
        self.failing = tuple(
            text(row, "name") or f"attribute {number(row, 'id')}"
            for row in self._rows
            if text(row, "when_failed").lower() == "now"
        )

    def raw(self, attribute: int, name: str) -> int | None:
        """Give the raw value of an attribute whose name has `name` in it: makers use the numbers for anything.

        smartctl's text of it is read, because only that is taken apart by the drive database: `8 (2 0)`.
        """
        for row in self._rows:
            if number(row, "id") == attribute and name in text(row, "name").lower():
                digits = re.match(r"\d+(?=\s|$)", text(row, "raw", "string"))
                return int(digits[0]) if digits else number(row, "raw", "value")
        return None

    def life_left(self) -> int | None:
        for row in self._rows:
            value = number(row, "value")
            if text(row, "name") in _LIFE_LEFT and value is not None and value <= 100:
                return value
        return None


def _wear(tree: object, attributes: _Attributes) -> int | None:
    told = _first(
        number(tree, "endurance_used", "current_percent"),
        number(tree, "nvme_smart_health_information_log", "percentage_used"),
        number(tree, "scsi_percentage_used_endurance_indicator"),
        _statistics_wear(tree),
    )
    # Without an entry for the drive smartctl names the attributes by what most drives use the numbers for.
    known_drive = flag(tree, "in_smartctl_database") and number(tree, "rotation_rate") == 0
    left = attributes.life_left() if told is None and known_drive else None
    return told if left is None else 100 - left


def _spare(nvme: object) -> int | None:
    """Give the spare blocks that are left. A device that counts none, such as an emulated one, has no threshold either."""
    spare = number(nvme, "available_spare")
    return None if spare == 0 and number(nvme, "available_spare_threshold") == 0 else spare


def _statistics_wear(tree: object) -> int | None:
    """Give the percentage of ATA's device statistics (ACS-4, log 04h, page 7)."""
    for page in rows(tree, "ata_device_statistics", "pages"):
        for row in rows(page, "table"):
            if text(row, "name") == "Percentage Used Endurance Indicator" and flag(row, "flags", "valid"):
                return number(row, "value")
    return None


def _failing(tree: object) -> list[str]:
    """Give NVMe's critical warnings, or what a SCSI drive says when it is about to fail."""
    bits = number(tree, "nvme_smart_health_information_log", "critical_warning") or 0
    found = [warning for bit, warning in enumerate(_CRITICAL_WARNINGS) if bits >> bit & 1]
    if flag(tree, "smart_status", "passed") is False:
        found += filter(None, [text(tree, "smart_status", "scsi", "ie_string")])
    return found


def _uncorrected(tree: object) -> int | None:
    counts = [
        count
        for what in ("read", "write", "verify")
        if (count := number(tree, "scsi_error_counter_log", what, "total_uncorrected_errors")) is not None
    ]
    return sum(counts) if counts else None
