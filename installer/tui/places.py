"""Countries, time zones and keyboard layouts by their names, and which goes with which."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from installer.answers.tables import COUNTRIES, known_timezones
from installer.tui.controller import Choice

LAYOUTS: Final[Mapping[str, str]] = {
    "de": "German",
    "de-ch": "German (Switzerland)",
    "dk": "Danish",
    "en-gb": "English (UK)",
    "en-us": "English (US)",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "fr-be": "French (Belgium)",
    "fr-ca": "French (Canada)",
    "fr-ch": "French (Switzerland)",
    "hu": "Hungarian",
    "is": "Icelandic",
    "it": "Italian",
    "jp": "Japanese",
    "lt": "Lithuanian",
    "mk": "Macedonian",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "pt-br": "Portuguese (Brazil)",
    "se": "Swedish",
    "si": "Slovenian",
    "tr": "Turkish",
}
_LAYOUT_OF: Final = {
    "at": "de", "be": "fr-be", "br": "pt-br", "ch": "de-ch", "gb": "en-gb", "gi": "es", "li": "de-ch", "lu": "fr-ch",
    "va": "it",
}  # fmt: skip
_LAYOUT_OF_ITS_OWN: Final = frozenset("de dk es fi fr hu is it jp lt mk no pl pt se si tr".split())  # noqa: SIM905 - quoted words would hide the list


@cache
def countries() -> tuple[Choice, ...]:
    """Give the countries by name."""
    names = {code.lower(): name for code, name in _table("iso3166.tab", 0, 1)}
    choices = (Choice(code, f"{names.get(code, code)} ({code})") for code in COUNTRIES)
    return tuple(sorted(choices, key=lambda choice: choice.label))


@cache
def timezones(country: str) -> tuple[Choice, ...]:
    """Give the time zones, those of the country first."""
    own = _zones_of(country)
    rest = sorted((known_timezones() | {"UTC"}) - set(own))
    return tuple(Choice(zone, zone) for zone in (*own, *rest))


@cache
def keyboards() -> tuple[Choice, ...]:
    """Give the keyboard layouts by name."""
    choices = (Choice(key, f"{name} ({key})") for key, name in LAYOUTS.items())
    return tuple(sorted(choices, key=lambda choice: choice.label))


def default_timezone(country: str) -> str:
    """Give the first time zone of a country."""
    return next(iter(_zones_of(country)), "UTC")


def default_keyboard(country: str) -> str:
    """Give the layout that goes with a country."""
    return country if country in _LAYOUT_OF_ITS_OWN else _LAYOUT_OF.get(country, "en-us")


@cache
def _zones_of(country: str) -> tuple[str, ...]:
    return tuple(zone for code, zone in _table("zone.tab", 0, 2) if code.lower() == country)


@cache
def _table(name: str, key: int, value: int) -> tuple[tuple[str, str], ...]:
    """Give two columns of a table of the system's zone data; nothing where it has none."""
    for file in (Path(folder) / name for folder in zoneinfo.TZPATH):
        if file.is_file():
            lines = file.read_text(encoding="utf-8").splitlines()
            rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
            return tuple((row[key], row[value]) for row in rows if len(row) > value)
    return ()
