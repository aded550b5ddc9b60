"""Finds the answer file on volumes with an agreed label, and reads answer files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hostlib.errors import CommandError, Problem, UserError
from hostlib.paths import MEDIUM, RUN
from hostlib.run import Runner
from hostlib.sizes import MIB, render_size

LABELS: Final = ("SLIPWAY", "PROXMOX-AIS")
"""Compared without regard to letter case."""
ANSWER: Final = "answer.toml"
LIMIT_BYTES: Final = MIB
MOUNT_POINT: Final = RUN / "answer"
LSBLK: Final = ("lsblk", "--json", "--paths", "--output", "NAME,FSTYPE,LABEL,ID-LINK,MOUNTPOINTS")
SAFE: Final = "ro,nosuid,nodev,noexec"
MOUNT_OPTIONS: Final = {
    "vfat": ("vfat", SAFE),
    "iso9660": ("iso9660", SAFE),
    # ext4's driver reads the older two; without `noload` it would write to replay the journal.
    "ext2": ("ext4", f"{SAFE},noload"),
    "ext3": ("ext4", f"{SAFE},noload"),
    "ext4": ("ext4", f"{SAFE},noload"),
}
"""Type of the file system -> type and options to mount with."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A file system that may hold an answer."""

    device: str
    """Its /dev/disk/by-id path, where udev gave one that no other has."""
    type: str
    label: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The text of an answer file and where it was found."""

    text: str
    source: str


def parse_volumes(text: str, labels: tuple[str, ...] = LABELS) -> list[Volume]:
    """Read lsblk's JSON; give the volumes with one of `labels`, without those of the live medium itself.

    The whole stick and its first partition carry the label of the medium's own ISO file system. A partition
    that was added to the stick counts. Raises ValueError.
    """
    wanted = {label.casefold() for label in labels}
    disks = json.loads(text)["blockdevices"]
    links = Counter(node.get("id-link") for disk in disks for node in _nodes(disk))
    found: dict[str, Volume] = {}
    for disk in disks:
        nodes = list(_nodes(disk))
        is_medium = any(str(MEDIUM) in (node.get("mountpoints") or []) for node in nodes)
        for node in nodes:
            link = node.get("id-link")
            # Cheap sticks share a serial number; the link then leads to one of them alone.
            device = f"/dev/disk/by-id/{link}" if link and links[link] == 1 else node["name"]
            volume = Volume(device, node.get("fstype") or "", node.get("label") or "")
            own = is_medium and volume.type == "iso9660"
            if volume.label.casefold() in wanted and not own:
                found[node["name"]] = volume
    return list(found.values())


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("children") or []:
        yield from _nodes(child)


def find_on_volumes(runner: Runner, labels: tuple[str, ...], *, warn: Callable[[str], None]) -> Answer | None:
    """Give the answer on the volumes with one of `labels`, or None when there is none.

    `warn` is told of a volume with the label but without an answer. Raises UserError when answers differ or one
    cannot be read, CommandError when the volumes cannot be listed.
    """
    volumes = parse_volumes(runner.run(LSBLK).stdout, labels)
    answers = [answer for volume in volumes if (answer := _read_volume(runner, volume, warn))]
    if len({answer.text for answer in answers}) > 1:
        sources = " and ".join(answer.source for answer in answers)
        raise UserError(
            Problem(ANSWER, f"{sources} give different answers", "leave only one of them attached")
        )
    return answers[0] if answers else None


def read_answer(path: Path, source: str) -> Answer:
    """Read an answer file of at most 1 MiB. Raises UserError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LIMIT_BYTES + 1)
    except OSError as error:
        problem = Problem(source, f"cannot be read: {error.strerror}", "check the path and the medium")
        raise UserError(problem) from error
    if len(data) > LIMIT_BYTES:
        what = f"the file is larger than {render_size(LIMIT_BYTES)}"
        raise UserError(Problem(source, what, "this is no answer file; put the right one there"))
    return parse_answer_text(data, source)


def parse_answer_text(data: bytes, source: str) -> Answer:
    """Give the text of an answer file; a byte order mark is allowed. Raises UserError."""
    try:
        return Answer(data.decode("utf-8-sig"), source)
    except UnicodeDecodeError as error:
        problem = Problem(source, f"byte {error.start} is not UTF-8", "save the file as UTF-8")
        raise UserError(problem) from error


def _read_volume(runner: Runner, volume: Volume, warn: Callable[[str], None]) -> Answer | None:
    """Mount a volume read-only, read its answer and unmount it. None when it holds no answer."""
    if volume.type not in MOUNT_OPTIONS:
        kind = volume.type or "no file system"
        warn(f"{volume.device} is labelled {volume.label}, but it has {kind} and not FAT, ext4 or ISO 9660")
        return None
    source = f"{ANSWER} on {volume.device} ({volume.label})"
    kind, options = MOUNT_OPTIONS[volume.type]
    MOUNT_POINT.mkdir(parents=True, exist_ok=True)
    try:
        runner.run(["mount", "-t", kind, "-o", options, volume.device, str(MOUNT_POINT)])
    except CommandError as error:
        what = (
            f"the volume cannot be mounted: {error.output.splitlines()[-1] if error.output else error.reason}"
        )
        raise UserError(Problem(source, what, "make it anew as FAT with this label, or detach it")) from error
    try:
        if not (MOUNT_POINT / ANSWER).is_file():
            warn(f"{volume.device} is labelled {volume.label}, but holds no {ANSWER}")
            return None
        return read_answer(MOUNT_POINT / ANSWER, source)
    finally:
        runner.run(["umount", str(MOUNT_POINT)])
