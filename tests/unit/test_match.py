from __future__ import annotations

from typing import Literal

import pytest

from installer.match import match_filter, render_patterns

DISK = {
    "ID_MODEL": "QEMU_HARDDISK",
    "ID_SERIAL": "DISKA",
    "ID_PATH": "pci-0000:00:05.0-scsi-0:0:0:0",
    "EMPTY": "",
}


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("DISKA", True),
        ("diska", False),
        ("DISK", False),
        ("DISK?", True),
        ("DISK??", False),
        ("*", True),
        ("*A", True),
        ("D*A", True),
        ("DISK[A-C]", True),
        ("DISK[!A]", False),
        ("DISK[!B]", True),
        ("DISK[A", False),
        ("", False),
        (".*", False),
    ],
)
def test_patterns(pattern: str, fits: bool) -> None:  # noqa: FBT001 - a row of a table
    assert match_filter(DISK, {"ID_SERIAL": pattern}) is fits


def test_a_star_goes_across_slashes_and_colons() -> None:
    assert match_filter({"DEVLINKS": "/dev/disk/by-id/a /dev/disk/by-path/b"}, {"DEVLINKS": "*/by-id/a *"})
    assert match_filter(DISK, {"ID_PATH": "pci-*-0:0:0:0"})


A, B, NO, GONE = {"ID_SERIAL": "DISKA"}, {"ID_MODEL": "QEMU*"}, {"ID_SERIAL": "DISKB"}, {"ID_WWN": "*"}


@pytest.mark.parametrize(
    ("patterns", "mode", "fits"),
    [
        (A | B, "any", True),
        (A | B, "all", True),
        (B | NO, "any", True),
        (B | NO, "all", False),
        (A | GONE, "any", True),
        (A | GONE, "all", False),
        (GONE, "any", False),
        (GONE, "all", False),
        ({"EMPTY": "*"}, "all", True),
    ],
)
def test_any_and_all(patterns: dict[str, str], mode: Literal["any", "all"], fits: bool) -> None:  # noqa: FBT001 - a row of a table
    assert match_filter(DISK, patterns, mode) is fits


def test_patterns_in_a_message() -> None:
    assert render_patterns({"ID_MODEL": "*", "ID_SERIAL": "a b"}) == 'ID_MODEL = "*", ID_SERIAL = "a b"'
