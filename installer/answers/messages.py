"""Turns what pydantic found into lines for an administrator. No value of a secret key gets into them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Final, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hostlib.errors import Problem
from installer.answers import model
from installer.answers.hints import WRONG, listed, suggest

Location = tuple[int | str, ...]

_TABLES: Final[dict[Location, type[model.Section]]] = {
    (): model.Answers,
    ("global",): model.GlobalSection,
    ("global", "fqdn", "table"): model.FqdnFromDhcp,
    ("network", "from-dhcp"): model.NetworkFromDhcp,
    ("network", "from-answer"): model.NetworkFromAnswer,
    ("network", "from-dhcp", "interface-name-pinning"): model.Pinning,
    ("network", "from-answer", "interface-name-pinning"): model.Pinning,
    ("disk-setup",): model.DiskSetup,
    ("disk-setup", "lvm"): model.LvmOptions,
}
_SECRETS: Final[tuple[Location, ...]] = (("global", "root-password"), ("global", "root-password-hashed"))
_NEEDED: Final = {
    "string_type": "text in quotes",
    "string_sub_type": "text in quotes",
    "bool_type": "true or false",
    "float_type": "a number",
    "tuple_type": 'a list, such as ["…"]',
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_TYPES: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
    datetime.datetime: "a date",
    datetime.date: "a date",
    datetime.time: "a time",
}
_SOURCES: Final = ("from-dhcp", "from-answer")


def parse_errors(error: ValidationError) -> list[Problem]:
    """Give one problem for each thing that pydantic found wrong."""
    return [_problem(details) for details in error.errors(include_url=False)]


def render_path(location: Location) -> str:
    """Give the path in the file, as TOML writes it: `disk-setup.disk-list[0]`."""
    parts = [part for part in _without_tags(location) if part != "[key]"]
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            text += f".{quoted}" if text else quoted
    return text or "the file"


def _without_tags(location: Location) -> Location:
    """Drop the tags by which pydantic tells the members of a union apart."""
    if location[:1] == ("network",) and location[1:2] and location[1] in _SOURCES:
        return (location[0], *location[2:])
    if location[:2] == ("global", "fqdn"):
        return (*location[:2], *location[3:])
    return location


def _problem(details: ErrorDetails) -> Problem:
    location = details["loc"]
    where = render_path(location)
    kind = details["type"]
    context: Mapping[str, str] = details.get("ctx", {})
    if kind == WRONG:
        return Problem(where, context["what"], context["todo"])
    if kind == "extra_forbidden":
        return _unknown_key(location, where)
    if kind == "missing":
        return _missing_key(location, where)
    if kind == "union_tag_not_found":
        return Problem(f"{where}.source", "is missing", f"use one of {listed(_SOURCES)}")
    if kind == "union_tag_invalid":
        given = str(context["tag"])
        todo = suggest(given, _SOURCES, f"use one of {listed(_SOURCES)}")
        return Problem(f"{where}.source", f'"{given}" is not known', todo)
    if kind == "greater_than_equal":
        return Problem(where, f"{details['input']} is negative", "give 0 or more (GiB)")
    if kind == "finite_number":
        return Problem(where, f"{details['input']} is no size", "give a number of GiB")
    if kind == "too_short":
        return Problem(
            where, "has no entry", 'give a udev property and a pattern, such as ID_SERIAL = "*1234"'
        )
    return _wrong_type(details, where)


def _wrong_type(details: ErrorDetails, where: str) -> Problem:
    location, given = _without_tags(details["loc"]), details["input"]
    found = _TYPES.get(type(given), "of another type")
    if location not in _SECRETS and isinstance(given, bool | int | float | str):
        shown = f'"{given}"' if isinstance(given, str) else str(given).lower()
        found += f" ({shown})"
    needed = _NEEDED.get(details["type"])
    if needed is None:
        # A rule of pydantic that has no words of ours: its own are better than none, unless it is a secret.
        text = "is not valid" if location in _SECRETS else details["msg"]
        return Problem(where, text, "correct it")
    return Problem(where, f"is {found}", f"give {needed}")


def _keys(table: type[model.Section]) -> dict[str, str]:
    """Give the keys of a table, each with its description."""
    return {cast("str", field.alias): field.description or "" for field in table.model_fields.values()}


def _unknown_key(location: Location, where: str) -> Problem:
    key, parent = str(location[-1]), location[:-1]
    if parent == ("network", "from-dhcp") and key in _keys(model.NetworkFromAnswer):
        what = 'cannot be used with source = "from-dhcp"'
        return Problem(where, what, 'remove it, or use source = "from-answer"')
    known = [*_keys(_TABLES[parent])]
    elsewhere = [
        render_path((*path, key)) for path, table in _TABLES.items() if path != parent and key in _keys(table)
    ]
    if elsewhere:
        return Problem(where, "does not belong here", f"move it to `{elsewhere[0]}`")
    return Problem(where, "is an unknown key", suggest(key, known, f"remove it; known here: {listed(known)}"))


def _missing_key(location: Location, where: str) -> Problem:
    if len(location) == 1:
        return Problem(where, "the section is missing", f"add [{where}]")
    description = _keys(_TABLES[location[:-1]])[str(location[-1])]
    return Problem(where, "is missing", f"add it: {description}")
