"""From the text of an answer file to its tables, before anything is known about their meaning. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from typing import Any, Final

from hostlib.errors import Problem, UserError
from installer.match import quote

SHOWN: Final = 60
INTEGER_LIMIT: Final = 2**63
SURROGATE: Final = re.compile("[\ud800-\udfff]")
HEADER: Final = re.compile(r"[ \t]*\[{1,2}[ \t]*([A-Za-z0-9_.\"' \t-]+?)[ \t]*\]{1,2}[ \t]*(#.*)?")


def load_tables(text: str, source: str) -> dict[str, Any]:
    """Read TOML or JSON. Raises UserError; its text holds keys and single characters, never a value."""
    try:
        data = json.loads(text, object_pairs_hook=_no_key_twice) if _is_json(text) else tomllib.loads(text)
        _check_values(data)
    except (ValueError, RecursionError) as error:
        # The parsers quote a key or one character, never a value: no secret can be in their text.
        place = re.sub(r"\s+", " ", str(error))
        problem = Problem(
            source, f"this is neither TOML nor JSON ({place})", "correct the syntax at that place"
        )
        raise UserError(problem) from None
    return dict(data)


def load_section(text: str, name: str) -> dict[str, Any]:
    """Give one section of a text that is broken elsewhere; an empty table where it cannot be read."""
    try:
        found = load_tables(text, name).get(name)
    except UserError:
        found = None if _is_json(text) else _cut_out(text, name)
    return found if isinstance(found, dict) else {}


def render_path(loc: Sequence[str | int]) -> str:
    """Give the place of a value as in a message: `global.root-ssh-keys[1]`."""
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part[:SHOWN]}"
    return path.removeprefix(".")


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _cut_out(text: str, name: str) -> object:
    """Read the lines from the header of a section of TOML to the next header."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        header = HEADER.fullmatch(line)
        if header:
            inside = header[1] == name
        elif line.startswith("["):
            # A header that is broken itself.
            inside = False
        if inside:
            lines.append(line)
    try:
        return load_tables("\n".join(lines), name).get(name)
    except UserError:
        return None


def _no_key_twice(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse in JSON what TOML refuses by itself. Raises ValueError."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {quote(max(keys, key=keys.count))} is there twice")
    return table


def _check_values(data: dict[str, Any]) -> None:
    """Raise UserError for what the two formats do not have, but Python's parsers let through."""
    rest: list[tuple[tuple[str | int, ...], object]] = [((), data)]
    problems = []
    for loc, value in rest:
        what = ""
        if isinstance(value, dict):
            rest += [((*loc, key), part) for key, inner in value.items() for part in (key, inner)]
        elif isinstance(value, list):
            rest += [((*loc, index), part) for index, part in enumerate(value)]
        elif isinstance(value, str) and SURROGATE.search(value):
            what = "it holds half of a surrogate pair"
        elif isinstance(value, int) and not -INTEGER_LIMIT <= value < INTEGER_LIMIT:
            what = "it is a number of more than 64 bits"
        if what:
            problems.append(Problem(render_path(loc), what, "correct it"))
    if problems:
        raise UserError(problems)
