from __future__ import annotations

from typing import Literal

import pytest

from installer.match import (
    check_pattern,
    check_sizes,
    match_filter,
    match_size,
    match_text,
    parse_sizes,
    render_patterns,
)

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


@pytest.mark.parametrize(
    "pattern", ["", "a", "]", "[a]", "[]]", "[!]]", "[!a-z]*", "[[]", "a[b]c[d]", "[]a]", "**"]
)
def test_patterns_that_are_closed(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["[", "a[", "[!", "[]", "[!]", "[a", "[a]b[c", "[[]["])
def test_patterns_that_are_not_closed(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^bad pattern .* a '\[' is not closed; close it"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("SAMSUNG MZ", "samsung*", True),
        ("0x5000C500", "0X5000c5??", True),
        ("S4GE", "S4G", False),
        ("", "*", False),
        ("a/b", "a?b", True),
        ("STRASSE", "straße", True),
    ],
)
def test_texts_whatever_their_case(text: str, pattern: str, fits: bool) -> None:  # noqa: FBT001 - a row of a table
    assert match_text(text, pattern) is fits


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        (">= 200GB", [(">=", 200e9)]),
        (">=200gb", [(">=", 200e9)]),
        ("< 1TiB", [("<", 2.0**40)]),
        ("<1T", [("<", 2.0**40)]),
        ("<= 1.5 T", [("<=", 1.5 * 2**40)]),
        ("> 64G", [(">", 64 * 2.0**30)]),
        ("480GB", [("=", 480e9)]),
        ("= 447.1GiB", [("=", 447.1 * 2**30)]),
        ("  >= 400GB , < 1TB ", [(">=", 400e9), ("<", 1e12)]),
        ("> 1KB, > 1KiB, > 1K, > 1MB, > 1M, > 1PB, > 1P",
         [(">", 1e3), (">", 1024), (">", 1024), (">", 1e6), (">", 2.0**20), (">", 1e15), (">", 2.0**50)]),
    ],
)  # fmt: skip
def test_sizes(text: str, sizes: list[tuple[str, float]]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize(
    "text",
    ["", ",", "480", "GB", "=> 1GB", "== 1GB", ">= -1GB", "1 EB", "1 GiBs", ">= 1GB,", "1e3GB", "1,5TB", "½TB", "1GB 2GB", "9" * 99 + "GB"],
)  # fmt: skip
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size to compare with; give such as '>= 200GB'"):
        check_sizes(text)


@pytest.mark.parametrize(
    ("size", "wanted", "fits"),
    [
        # What disks are sold as, and what they have.
        (480_103_981_056, "480GB", True),
        (500_107_862_016, "= 500GB", True),
        (480_103_981_056, "= 500GB", False),
        (1_000_204_886_016, "= 1TB", True),
        (1_000_204_886_016, "= 1T", False),
        (480_103_981_056, "= 447.1G", True),
        (480_103_981_056, ">= 480GB", True),
        (480_103_981_056, "> 400GB, < 500GB", True),
        (480_103_981_056, "> 400GB, < 480GB", False),
        (101_000_000_000, "= 100GB", True),
        (101_000_000_001, "= 100GB", False),
        (99_000_000_000, "= 100GB", True),
        (98_999_999_999, "= 100GB", False),
        (2**30, "<= 1GiB", True),
        (2**30, "< 1GiB", False),
        (2**30, ">= 1GiB", True),
        (2**30, "> 1GiB", False),
    ],
)
def test_sizes_of_disks(size: int, wanted: str, fits: bool) -> None:  # noqa: FBT001 - a row of a table
    assert match_size(size, wanted) is fits
