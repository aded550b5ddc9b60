"""What is typed before a disk is erased tells it from all others, and can be typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostlib.inventory import Content, Disk
from installer.tui.confirmation import Confirmation, confirmation_of, is_confirmed
from tests.tui.harness import MACHINES, Console, machine
from tests.tui.live_fakes import SERVER, STICK, Live, with_disks

DISK = SERVER.disks[0]


def disk(**update: Any) -> Disk:
    other: dict[str, Any] = {"ids": (), "wwn": "", "serial": ""}
    return DISK.model_copy(update=other | update)


A = {"name": "sda", "path": "/dev/sda"}
B = {"name": "sdb", "path": "/dev/sdb"}
SERIAL = "serial number"
CASES = [
    # of this disk, beside that one: what is typed, and what it is called
    ({"serial": "WD-1234ABCD"}, {"serial": "WD-1234ABCE"}, "ABCD", "the last 4 characters of its serial number"),
    ({"serial": "77"}, {"serial": "78"}, "77", "its whole serial number"),
    ({"serial": "XYZ1", "ids": ("ata-A_9Q",)}, {"serial": "abxyz1"}, "A_9Q", "the last 4 characters of its name"),
    ({"serial": "7777", "wwn": "0xabc1", "ids": ("ata-M_7777",)}, {"serial": "37777", "ids": ("ata-M_37777",)},
     "abc1", "the last 4 characters of its WWN"),
    ({"serial": "1A7777", "ids": ("ata-M_1A7777",)}, {"serial": "1B7777", "ids": ("ata-M_1B7777",)},
     "A7777", "the last 5 characters of its serial number"),
    ({"serial": "7777", "ids": ("ata-M_7777",)}, {"serial": "37777", "ids": ("ata-M_37777",)},
     "_7777", "the last 5 characters of its name"),
    ({"serial": "ABC 123", "ids": ("ata-M_ABC_123",)}, {}, "_123", "the last 4 characters of its name"),
    ({"serial": " ABC123  "}, {}, "C123", "the last 4 characters of its serial number"),
    ({"serial": "ABC-\u00fc\ufffd"}, {}, "/sda", "the last 4 characters of its name"),
    ({"serial": "", "path": "/dev/s d\u00fc"}, {"size_bytes": 2**40}, "465.8 GiB", "its size as it is shown, with the unit"),
    ({"serial": "", "path": "/dev/s d\u00fc"}, {}, "sda", "the kernel's name for it"),
]  # fmt: skip


@pytest.mark.parametrize(("mine", "others", "typed", "hint"), CASES)
def test_what_is_asked_for(mine: dict[str, Any], others: dict[str, Any], typed: str, hint: str) -> None:
    this, other = disk(**A | mine), disk(**B | others)
    found = confirmation_of(this, with_disks(this, other))
    assert (found.text, found.hint) == (typed, hint)


def test_what_the_summary_does_not_show_anyhow_comes_with_the_question(live: Live) -> None:
    held = {"contents": (Content(device="sda", type="ext4"),)}
    this = disk(**A | held, serial="7777", wwn="0xabc1", ids=("ata-M_7777",))
    live._inventory = with_disks(this, disk(**B, serial="37777", ids=("ata-M_37777",)))
    live.set("disk", this.stable_path)
    intent = live.intent()
    assert intent is not None
    assert intent.disk.endswith("serial 7777, 465.8 GiB, WWN 0xabc1")
    assert intent.confirmation == "abc1"


@pytest.mark.parametrize("path", sorted(MACHINES.glob("*.json")), ids=lambda path: path.stem)
def test_no_two_disks_of_a_machine_are_confirmed_by_the_same(path: Path) -> None:
    recorded = machine(path.stem)
    asked = [confirmation_of(each, recorded).text.casefold() for each in recorded.disks]
    assert len(set(asked)) == len(asked)
    assert all(text.isascii() and text.isprintable() for text in asked)


@pytest.mark.parametrize("typed", [" c123 ", "C123", "c123"])
def test_capitals_and_blanks_around_do_not_matter(typed: str) -> None:
    assert is_confirmed("C123", typed)
    assert not is_confirmed("C123", typed.replace("3", "4"))


def test_a_serial_number_with_a_blank_near_its_end_can_be_confirmed(live: Live) -> None:
    held = (Content(device=DISK.name, type="ext4"),)
    this = DISK.model_copy(update={"serial": "ABC 123", "contents": held})
    live._inventory = with_disks(this, STICK)
    assert confirmation_of(this, live._inventory) == Confirmation("0101", "the last 4 characters of its name")
    console = Console(live)
    live.set("confirmation", "123")
    assert live.start() == (
        "'123' is not the last 4 characters of its name; type the last 4 characters of its name to erase it"
    )
    live.set("confirmation", "0101")
    assert (live.start(), console.state) == ("", "confirmed")
