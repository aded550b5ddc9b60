"""What HPE's ssacli says of Smart Array controllers: `ssacli ctrl all show config detail`. Pure.

Source: HPE Smart Storage Administrator user guide, and outputs for P212, P410i, H240 and P408i-a. Sections are known by
their headings, as the indentation differs between versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from hostlib.inventory import Drive, Health, Raid, RaidLevel
from hostlib.probe.drives import DriveState, Told, ToldVolume

COMMAND: Final = ("ctrl", "all", "show", "config", "detail")

_LEVELS: Final[dict[str, RaidLevel]] = {
    "0": "RAID0",
    "1": "RAID1",
    "1 ADM": "RAID1",
    "1 TRIPLE": "RAID1",
    "1+0": "RAID10",
    "10": "RAID10",
    "1+0 ADM": "RAID10",
    "10 TRIPLE": "RAID10",
    "5": "RAID5",
    "50": "RAID50",
    "6": "RAID6",
    "60": "RAID60",
}
_DRIVE_STATES: Final[dict[str, DriveState]] = {
    "data drive": "member",
    "hba mode drive": "passthrough",
    "unassigned drive": "unconfigured",
    "spare drive": "spare",
}
_UNITS: Final = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
_ADDRESS: Final = "PCI Address (Domain:Bus:Device.Function)"

_HEADINGS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("controller", r"\S.* in Slot (.+)"),
        ("array", r"\s+Array: (\S+)"),
        ("volume", r"\s+Logical Drive: (\S+)"),
        ("drive", r"\s+physicaldrive (\S+)"),
        # These end a drive; the list of a cage repeats drives in one line each, which is no heading.
        (
            "other",
            r"\s+(Unassigned|HBA Drives|Port Name: .*|SEP .*|Enclosure SEP .*|Expander .*)",
        ),
    )
)


class _Section(dict[str, str]):
    """The fields below a heading; the first of a name counts, the others are of sub-sections."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__()
        self.kind = kind
        self.name = name


def parse_ssacli(output: str, tool: str = "ssacli") -> list[Told]:
    """Give the controllers of the output; `tool` is the name to give as the source."""
    groups: list[list[_Section]] = []
    for section in _sections(output):
        if section.kind == "controller":
            groups.append([])
        if groups:
            groups[-1].append(section)
    found = [_told(group, tool) for group in groups]
    return [told for told in found if told.address]


def _sections(output: str) -> Iterator[_Section]:
    section: _Section | None = None
    for line in output.splitlines():
        for kind, heading in _HEADINGS:
            if found := heading.fullmatch(line.rstrip()):
                if section is not None:
                    yield section
                section = _Section(kind, found[1])
                break
        else:
            key, colon, value = line.partition(": ")
            if section is not None and colon:
                section.setdefault(key.strip(), value.strip())
    if section is not None:
        yield section


def _told(sections: list[_Section], tool: str) -> Told:
    controller = sections[0]
    volumes: dict[str, list[ToldVolume]] = {}
    drives: list[tuple[str, Drive]] = []
    array = ""
    for section in sections:
        if section.kind in {"array", "other"}:
            array = section.name if section.kind == "array" else ""
        elif section.kind == "volume":
            volumes.setdefault(array, []).append(_volume(section, controller, tool))
        elif section.kind == "drive":
            drives.append((array, _drive(section, tool)))
    counted = []
    for name, found in volumes.items():
        members = sum(where == name and drive.state in {"member", "failed"} for where, drive in drives)
        counted += [
            ToldVolume(v.raid.model_copy(update={"members": members or None}), v.wwn, v.path) for v in found
        ]
    first = {name: found[0].raid.name for name, found in volumes.items()}
    return Told(
        # ssacli writes it with capitals: 0000:5C:00.0
        address=controller.get(_ADDRESS, "").lower(),
        mode=_mode(controller),
        battery=_battery(controller),
        volumes=tuple(counted),
        drives=tuple(
            drive.model_copy(update={"volume": first.get(where, "") if drive.state == "member" else ""})
            for where, drive in drives
        ),
    )


def _mode(controller: _Section) -> Literal["raid", "hba", "mixed", ""]:
    mode = controller.get("Controller Mode", "").lower()
    if mode == "hba" or "(HBA Mode)" in controller.name:
        return "hba"
    return "raid" if mode == "raid" else "mixed" if mode == "mixed" else ""


def _battery(controller: _Section) -> Literal["good", "bad", "none", ""]:
    status = controller.get("Battery/Capacitor Status", "").lower()
    if status == "ok":
        return "good"
    if status.startswith(("fail", "degraded", "not ")):
        return "bad"
    return "none" if controller.get("Battery/Capacitor Count") == "0" else ""


def _volume(section: _Section, controller: _Section, tool: str) -> ToldVolume:
    # `1 (ADM)` in one version, `1 ADM` in the next.
    level = re.sub(r"[()]", "", section.get("Fault Tolerance", "")).upper()
    raid = Raid(
        level=_LEVELS.get(level, ""),
        state=_volume_state(section.get("Status", "").lower()),
        cache=_cache(section, controller),
        name=section.name,
        source=tool,
    )
    return ToldVolume(raid, section.get("Unique Identifier", "").lower(), section.get("Disk Name", ""))


def _volume_state(status: str) -> Literal["optimal", "degraded", "failed", ""]:
    if status == "ok":
        return "optimal"
    if status.startswith("failed"):
        return "failed"
    return "degraded" if status.startswith(("interim", "ready for", "recovering", "degraded")) else ""


def _cache(section: _Section, controller: _Section) -> Literal["write-back", "write-through", ""]:
    caching = section.get("Caching", "").lower()
    # Without a battery the controller gives all of its cache to reading.
    reading_only = controller.get("Cache Ratio", "").endswith("/ 0% Write")
    if caching == "enabled":
        return "write-through" if reading_only else "write-back"
    return "write-through" if caching == "disabled" else ""


def _drive(section: _Section, tool: str) -> Drive:
    status = section.get("Status", "").lower()
    state = _DRIVE_STATES.get(section.get("Drive Type", "").lower(), "")
    if state == "unconfigured" and section.get("Drive exposed to OS") == "True":
        state = "passthrough"
    solid = section.get("Interface Type", "").startswith("Solid State")
    size = re.fullmatch(r"(\d{1,9}(?:\.\d+)?) ([MGT]B)", section.get("Size", ""))
    return Drive(
        address=section.name,
        state="failed" if status.startswith("failed") else state,
        # The vendor and the model of SCSI's inquiry, filled up with blanks: `ATA     MB1000EBZQB`.
        model=" ".join(section.get("Model", "").removeprefix("ATA ").split()),
        serial=section.get("Serial Number", ""),
        size_bytes=round(float(size[1]) * _UNITS[size[2]]) if size else None,
        rotational=False if solid else True if "Rotational Speed" in section else None,
        health=_health(section, status, tool),
    )


def _health(section: _Section, status: str, tool: str) -> Health:
    left = re.match(r"(\d+)[.\d]*%", section.get("Usage remaining", ""))
    hours, temperature = section.get("Power On Hours", ""), section.get("Current Temperature (C)", "")
    return Health(
        source=tool,
        passed=True if status == "ok" else False if status.startswith(("failed", "predict")) else None,
        failing=("predictive failure",) if status.startswith("predict") else (),
        wear_percent=100 - int(left[1]) if left else None,
        power_on_hours=int(hours) if hours.isdecimal() else None,
        temperature_celsius=int(temperature) if temperature.isdecimal() else None,
    )
