"""Filters of the answer file: udev properties matched by shell-like patterns."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Literal


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


def render_patterns(patterns: Mapping[str, str]) -> str:
    """Give the patterns as in an answer file, for a message."""
    return ", ".join(f'{key} = "{pattern}"' for key, pattern in patterns.items())
