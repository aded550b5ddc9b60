"""Patterns and sizes of the answer file, and whether a device fits them. Pure.

Each ValueError reads `what is wrong; what to do`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import Final, Literal

from hostlib.sizes import GIB, KIB, MIB, TIB

SIZE: Final = re.compile(r"(>=|<=|>|<|=)? *(\d{1,12}(?:\.\d{1,6})?) *([KMGTP](?:i?B)?)", re.IGNORECASE)
UNITS: Final = {
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15,
    "KIB": KIB, "MIB": MIB, "GIB": GIB, "TIB": TIB, "PIB": 1024 * TIB,
}  # fmt: skip
NEAR: Final = 0.01
"""`=` takes what differs by this share at most: a disk is never of exactly the size that is printed on it."""
SIZE_TODO: Final = (
    "give such as '>= 200GB', '< 1TiB', '= 480GB' or '>= 400GB, < 1TB'; GB is 10^9 bytes, GiB and G are 2^30"
)


def match_filter(
    properties: Mapping[str, str], patterns: Mapping[str, str], mode: Literal["any", "all"] = "any"
) -> bool:
    """Tell whether a device's udev properties fit the patterns (`*`, `?`, `[a-z]`, `[!a]`; case counts).

    With `any` one pattern must fit, with `all` every one; a property that the device lacks never fits.
    """
    fits = (
        key in properties and fnmatch.fnmatchcase(properties[key], pattern)
        for key, pattern in patterns.items()
    )
    return any(fits) if mode == "any" else all(fits)


def match_text(text: str, pattern: str) -> bool:
    """Tell whether a text fits a pattern, whatever the case of its letters; an empty one never does."""
    return bool(text) and fnmatch.fnmatchcase(text.casefold(), pattern.casefold())


def match_size(size_bytes: int, wanted: str) -> bool:
    """Tell whether a size fits comparisons such as `>= 200GB, < 1TiB`. Raises ValueError when they are none."""
    return all(_compare(size_bytes, operator, limit) for operator, limit in parse_sizes(wanted))


def parse_sizes(text: str) -> list[tuple[str, float]]:
    """Give the comparisons of a text such as `>= 200GB, < 1TiB`: operator and bytes. Raises ValueError.

    A lone letter is a binary unit, as lsblk prints it; no operator is `=`.
    """
    found = []
    for part in text.split(","):
        parts = SIZE.fullmatch(part.strip())
        if parts is None:
            raise ValueError(f"{quote(text)} is no size to compare with; {SIZE_TODO}")
        operator, number, unit = parts.groups()
        unit = unit.upper()
        found.append((operator or "=", float(number) * UNITS[f"{unit}IB" if len(unit) == 1 else unit]))
    return found


def _compare(size_bytes: int, operator: str, limit: float) -> bool:
    if operator == "=":
        return abs(size_bytes - limit) <= limit * NEAR
    return {
        ">=": size_bytes >= limit,
        "<=": size_bytes <= limit,
        ">": size_bytes > limit,
        "<": size_bytes < limit,
    }[operator]


def check_sizes(text: str) -> str:
    """Raise ValueError unless `text` holds sizes to compare with."""
    parse_sizes(text)
    return text


def check_pattern(pattern: str) -> str:
    """Raise ValueError when a `[` of the pattern is never closed."""
    rest = pattern
    while "[" in rest:
        rest = rest.partition("[")[2].removeprefix("!")
        # The first character stands for itself, even when it is the closing bracket.
        _, closed, rest = rest[1:].partition("]")
        if not closed:
            todo = "close it; '[[]' stands for the bracket itself"
            raise ValueError(f"bad pattern {quote(pattern)}: a '[' is not closed; {todo}")
    return pattern


def quote(text: str, shown: int = 60) -> str:
    """Give a text of the answer file for a message, cut short. Not for secrets."""
    return f"'{text[:shown]}…'" if len(text) > shown else f"'{text}'"


def render_patterns(patterns: Mapping[str, str]) -> str:
    """Give the patterns as in an answer file, for a message."""
    return ", ".join(f'{key} = "{pattern}"' for key, pattern in patterns.items())
