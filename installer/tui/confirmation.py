"""What a person types to confirm that a disk is erased: something that no other disk of the machine has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hostlib.inventory import Disk, Inventory
from hostlib.sizes import render_size

TAIL: Final = 4
"""How many characters are enough where no other disk ends so."""
LETTERS: Final = re.compile(r"[0-9A-Za-z]+")
"""Of a serial number: what a keyboard of any country has, and what looks the same on a label."""
PRINTABLE: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is to be typed."""

    text: str
    hint: str
    """What that is, in words: `the last 4 characters of its serial number`."""
    note: str = ""
    """What has to be shown of the disk besides path, model, serial number and size, so that it can be typed."""


def confirmation_of(disk: Disk, machine: Inventory) -> Confirmation:
    """Give what tells this disk from all others: by its serial number, its name, its WWN, more of these, its size."""
    others = [other for other in machine.disks if other.name != disk.name]
    taken = [name.casefold() for other in others for name in _names(other)]
    for found in _tails(disk):
        if not any(name.endswith(found.text.casefold()) for name in taken):
            return found
    size = render_size(disk.size_bytes)
    if size not in {render_size(other.size_bytes) for other in others}:
        return Confirmation(size, "its size as it is shown, with the unit")
    return Confirmation(disk.name, "the kernel's name for it", f"kernel name {disk.name}")


def is_confirmed(wanted: str, typed: str) -> bool:
    """Tell whether that is what was asked for; capitals and blanks do not matter."""
    return _folded(wanted) == _folded(typed)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _names(disk: Disk) -> list[str]:
    return [name.strip() for name in (disk.serial, disk.wwn, disk.path, *disk.ids)]


def _tails(disk: Disk) -> Iterator[Confirmation]:
    """Give the ends of the disk's names that can be typed, the best first."""
    wwn = disk.wwn.strip()
    kinds = (
        ("serial number", disk.serial.strip(), LETTERS, ""),
        ("name", disk.stable_path, PRINTABLE, ""),
        ("WWN", wwn, PRINTABLE, f"WWN {wwn}"),
    )
    short = [(kind, min(TAIL, len(kind[1]))) for kind in kinds]
    longer = [(kind, length) for kind in kinds for length in range(TAIL + 1, len(kind[1]) + 1)]
    for (what, text, allowed, note), length in (*short, *longer):
        tail = text[len(text) - length :]
        if allowed.fullmatch(tail):
            part = f"the last {length} characters of its" if length < len(text) else "its whole"
            yield Confirmation(tail, f"{part} {what}", note)
