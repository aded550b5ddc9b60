"""What Broadcom's storcli and storcli2, and Dell's perccli and perccli2, say in JSON. Pure.

Sources: Broadcom's StorCLI Reference Manual (states and abbreviations), and outputs of versions 7.1907 to 7.2807. The
second generation nests the same rows in another way, so rows are known by their keys wherever they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from hostlib.inventory import Drive, Health, Raid, RaidLevel
from hostlib.probe.drives import DriveState, Told, ToldVolume
from hostlib.probe.tree import number, objects, parse_tree, rows, text

COMMANDS: Final = (
    ("/call", "show", "all", "J", "nolog"),
    ("/call/vall", "show", "all", "J", "nolog"),
    ("/call/eall/sall", "show", "all", "J", "nolog"),
)
"""Arguments to run the tool with; `nolog` keeps it from writing a log file where it stands."""

# By the beginning, in lower case: `UGShld` is a good drive under diagnosis, `UConf` the second generation's UGood.
_DRIVE_STATES: Final[tuple[tuple[str, DriveState], ...]] = (
    ("onln", "member"),
    ("conf", "member"),
    ("rbld", "member"),
    ("cpybck", "member"),
    ("jbod", "passthrough"),
    ("ug", "unconfigured"),
    ("uconf", "unconfigured"),
    ("ubad", "failed"),
    ("ghs", "spare"),
    ("dhs", "spare"),
    ("offln", "failed"),
    ("fail", "failed"),
    ("msng", "failed"),
)
_VOLUME_STATES: Final[dict[str, Literal["optimal", "degraded", "failed"]]] = {
    "optl": "optimal",
    "dgrd": "degraded",
    "pdgd": "degraded",
    "rec": "degraded",
    "ofln": "failed",
    "offln": "failed",
}
_BATTERY_LISTS: Final = ("BBU_Info", "Cachevault_Info", "Energy Pack Info")
_BAD_BATTERY: Final = ("fail", "degr", "dgd", "miss", "repl")
_UNITS: Final = {"MB": 2**20, "GB": 2**30, "TB": 2**40, "PB": 2**50}


def parse_storcli(outputs: Sequence[str], tool: str) -> list[Told]:
    """Give the controllers in the outputs of `COMMANDS`, any of which may be empty. Raises ValueError.

    `tool` is the name to give as the source. What a controller does not answer is left out: a command may fail for
    one part (a foreign configuration that is not whole) and tell the rest.
    """
    found: dict[int, _Controller] = {}
    for output in filter(str.strip, outputs):
        for answer in rows(parse_tree(output), "Controllers"):
            index = number(answer, "Command Status", "Controller")
            data = answer.get("Response Data")
            if index is not None and isinstance(data, dict):
                found.setdefault(index, _Controller(tool)).read(data)
    return [controller.told() for controller in found.values() if controller.address]


@dataclass(slots=True)
class _Controller:
    """What has been read of a controller up to now."""

    tool: str
    address: str = ""
    personality: str = ""
    battery: Literal["good", "bad", "none", ""] = ""
    volumes: dict[str, ToldVolume] = field(default_factory=dict)
    drives: dict[str, Drive] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)

    def read(self, data: dict[str, object]) -> None:
        """Take in one answer. Rows follow each other: the details of a volume or drive come after its row."""
        volume = drive = ""
        for name, row in objects(data):
            self.address = self.address or _address(row)
            self.personality = self.personality or text(row, "Current Personality").lower()
            if "DG/VD" in row and "TYPE" in row:
                volume = text(row, "DG/VD")
                self.volumes.setdefault(volume, _volume(row, volume, self.tool))
            elif "EID:Slt" in row and "State" in row:
                drive = text(row, "EID:Slt")
                self.drives.setdefault(drive, _drive(row, drive))
                if name.startswith("PDs"):
                    self.members.setdefault(volume, []).append(drive)
            elif "SCSI NAA Id" in row or "OS Drive Name" in row:
                self._describe_volume(volume, row)
            elif drive and ("SN" in row or "S.M.A.R.T alert flagged by drive" in row):
                self.drives[drive] = _described(self.drives[drive], row, self.tool)
        self.battery = self.battery or _battery(data)

    def _describe_volume(self, name: str, row: dict[str, object]) -> None:
        if name in self.volumes:
            spans, each = number(row, "Span Depth"), number(row, "Number of Drives Per Span")
            members = spans * each if spans and each else None
            raid = self.volumes[name].raid.model_copy(update={"members": members})
            wwn = text(row, "SCSI NAA Id").lower().removeprefix("0x")
            self.volumes[name] = ToldVolume(raid, wwn, text(row, "OS Drive Name"))

    def told(self) -> Told:
        """Give the whole."""
        volume_of = {drive: volume for volume, drives in self.members.items() for drive in drives}
        drives = tuple(
            drive.model_copy(update={"volume": volume_of.get(drive.address, "")})
            for drive in self.drives.values()
        )
        volumes = tuple(
            ToldVolume(_counted(volume.raid, len(self.members.get(name, ()))), volume.wwn, volume.path)
            for name, volume in self.volumes.items()
        )
        return Told(self.address, self._mode(), self.battery, volumes, drives)

    def _mode(self) -> Literal["raid", "hba", "mixed", ""]:
        if self.personality.startswith(("hba", "jbod")):
            return "hba"
        passed = sum(drive.state == "passthrough" for drive in self.drives.values())
        if passed and (self.volumes or passed < len(self.drives)):
            return "mixed"
        if passed:
            return "hba"
        return "raid" if self.volumes or self.drives or self.personality.startswith("raid") else ""


def _address(row: dict[str, object]) -> str:
    """Give the PCI address: the tool writes `00:0a:00:00`, hexadecimal, with a colon before the function too."""
    parts = text(row, "PCI Address").split(":")
    if len(parts) != 4 or not all(re.fullmatch(r"[0-9a-fA-F]+", part) for part in parts):
        return ""
    domain, bus, device, function = (int(part, 16) for part in parts)
    return f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}"


def _volume(row: dict[str, object], name: str, tool: str) -> ToldVolume:
    level = text(row, "TYPE").upper().replace("RAID00", "RAID0")
    # The first generation runs the words together: RWBD is read-ahead, write-back, direct I/O.
    cache = (text(row, "Cache") or text(row, "CurrentCache")).upper()
    raid = Raid(
        level=next((known for known in get_args(RaidLevel) if known == level), ""),
        state=_VOLUME_STATES.get(text(row, "State").lower(), ""),
        cache="write-through" if "WT" in cache else "write-back" if "WB" in cache else "",
        name=name,
        source=tool,
    )
    return ToldVolume(raid)


def _counted(raid: Raid, listed: int) -> Raid:
    # The number per span is that of the first one; the list is exact, but lacks a missing drive.
    members = max(listed, raid.members or 0)
    return raid.model_copy(update={"members": members or None})


def _drive(row: dict[str, object], address: str) -> Drive:
    medium = text(row, "Med").upper()
    return Drive(
        address=address,
        state=_drive_state(row),
        model=text(row, "Model"),
        size_bytes=_size(text(row, "Size")),
        rotational=True if medium == "HDD" else False if medium == "SSD" else None,
    )


def _drive_state(row: dict[str, object]) -> DriveState:
    # The second generation says `Conf` of a member and puts what is wrong with it beside.
    if text(row, "Status").lower().startswith(("fail", "offl", "miss")):
        return "failed"
    if text(row, "DG") == "F":
        return "foreign"
    state = text(row, "State").lower()
    return next((known for start, known in _DRIVE_STATES if state.startswith(start)), "")


def _described(drive: Drive, row: dict[str, object], tool: str) -> Drive:
    if "SN" in row:
        raw = re.search(r"\[(0x[0-9a-fA-F]+) Sectors\]", text(row, "Raw size"))
        size = _exact(int(raw[1], 16), drive.size_bytes) if raw else drive.size_bytes
        return drive.model_copy(update={"serial": text(row, "SN"), "size_bytes": size})
    alert = text(row, "S.M.A.R.T alert flagged by drive")
    temperature = re.match(r"\d{1,3}(?=C)", text(row, "Drive Temperature"))
    health = Health(
        source=tool,
        passed={"No": True, "Yes": False}.get(alert),
        media_errors=number(row, "Media Error Count"),
        temperature_celsius=int(temperature[0]) if temperature else None,
    )
    return drive.model_copy(update={"health": health})


def _size(words: str) -> int | None:
    """Read `14.551 TB`, by which the tool means TiB; three decimals make it right to a thousandth."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?) ([MGTP]B)", words)
    return int(float(found[1]) * _UNITS[found[2]]) if found else None


def _exact(sectors: int, about: int | None) -> int | None:
    """Give the size of as many sectors, of the size that fits what the row says."""
    sizes = [sectors * size for size in (512, 4096) if about and abs(sectors * size / about - 1) < 0.05]
    return sizes[0] if sizes else about


def _battery(data: dict[str, object]) -> Literal["good", "bad", "none", ""]:
    states = [text(row, "State").lower() for name in _BATTERY_LISTS for row in rows(data, name)]
    if any(state.startswith(_BAD_BATTERY) for state in states):
        return "bad"
    if any(state.startswith("opt") for state in states):
        return "good"
    return "none" if not states and text(data, "HwCfg", "BBU") == "Absent" else ""
