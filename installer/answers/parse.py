"""From the text of an answer file to Answers, or to all that is wrong with it."""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hostlib.errors import Problem, UserError
from installer.answers.model import (
    Answers,
    DiskSetup,
    FqdnFromDhcp,
    Global,
    LvmOptions,
    Network,
    Pinning,
)
from installer.answers.values import SHOWN, quote

ALIASES: Final = {
    "global": ("root_password", "root_password_hashed", "reboot_on_error", "reboot_mode", "root_ssh_keys",
               "subscription_key"),
    "disk-setup": ("disk_list", "filter_match"),
}  # fmt: skip
"""Deprecated spellings that the peer still takes."""
LATER: Final = {
    "post-installation-webhook": "reports after the installation",
    "first-boot": "first-boot hooks",
    "global.subscription-key": "subscriptions",
    "disk-setup.zfs": "ZFS",
    "disk-setup.btrfs": "Btrfs",
}
MODELS: Final[dict[str, type[BaseModel]]] = {
    "": Answers,
    "global": Global,
    "global.fqdn": FqdnFromDhcp,
    "network": Network,
    "network.interface-name-pinning": Pinning,
    "disk-setup": DiskSetup,
    "disk-setup.lvm": LvmOptions,
}
WANTED: Final = {
    "string_type": "a text in quotes",
    "bool_type": "true or false, without quotes",
    "float_type": "a number, without quotes",
    "finite_number": "the size in GiB",
    "tuple_type": 'a list of texts: ["..."]',
    "dict_type": "a table of texts",
    "model_type": "a table of keys",
}  # fmt: skip
"""Kind of pydantic's error -> what to give."""
INTEGER_LIMIT: Final = 2**63
SURROGATE: Final = re.compile("[\ud800-\udfff]")


def parse_answers(text: str, source: str) -> tuple[Answers, list[str]]:
    """Read an answer file in TOML or JSON.

    Takes its text and the name to call it by in messages; gives the answers and warnings about its style.
    Raises UserError with every problem that was found; no message repeats a secret.
    """
    data = _load(text, source)
    warnings: list[str] = []
    problems = [*_settle_aliases(data, warnings), *_take_out_later(data)]
    try:
        answers = Answers.model_validate(data)
    except ValidationError as error:
        problems += [_problem(details, data) for details in error.errors(include_url=False)]
        raise UserError(problems) from None
    if problems:
        raise UserError(problems)
    return answers, warnings


def _load(text: str, source: str) -> dict[str, Any]:
    try:
        if text.lstrip().startswith("{"):
            data = json.loads(text, object_pairs_hook=_no_key_twice)
        else:
            data = tomllib.loads(text)
        _check_values(data)
    except (ValueError, RecursionError) as error:
        # The parsers quote a key or one character, never a value: no secret can be in their text.
        place = re.sub(r"\s+", " ", str(error))
        problem = Problem(
            source, f"this is neither TOML nor JSON ({place})", "correct the syntax at that place"
        )
        raise UserError(problem) from None
    return dict(data)


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
            raise UserError(Problem(_render_path(loc), what, "correct it"))


def _settle_aliases(data: dict[str, Any], warnings: list[str]) -> Iterator[Problem]:
    for section, names in ALIASES.items():
        table = data.get(section)
        if not isinstance(table, dict):
            continue
        for name in names:
            kebab = name.replace("_", "-")
            if name not in table:
                continue
            if kebab in table:
                yield Problem(
                    f"{section}.{kebab}", f"it is given twice, as '{name}' too", "remove one of them"
                )
            table.setdefault(kebab, table.pop(name))
            table.pop(name, None)
            warnings.append(f"{section}.{name}: this spelling is deprecated; write '{kebab}'")


def _take_out_later(data: dict[str, Any]) -> Iterator[Problem]:
    for path, what in LATER.items():
        *parents, key = path.split(".")
        table = _table_at(data, parents)
        if key in table:
            del table[key]
            yield Problem(path, f"this version does not support {what}", "remove this part")
    setup = _table_at(data, ["disk-setup"])
    name = setup.get("filesystem")
    if isinstance(name, str) and name.lower() in {"zfs", "btrfs"}:
        # What remains is read as if for one disk: how many there are is right for this file system.
        setup["filesystem"] = "ext4"
        if isinstance(setup.get("disk-list"), list):
            setup["disk-list"] = setup["disk-list"][:1]
        what = f"this version does not support '{name}'"
        yield Problem("disk-setup.filesystem", what, "use 'ext4' or 'xfs'")


def _table_at(data: dict[str, Any], path: Sequence[str | int]) -> dict[Any, Any]:
    """Give the table at `path`; an empty one where there is none."""
    table: Any = data
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def _problem(details: ErrorDetails, data: dict[str, Any]) -> Problem:
    loc = details["loc"]
    if loc[:2] == ("global", "fqdn"):
        # The third is the form that the value has: a text or a table.
        loc = loc[:2] + loc[3:]
    if loc[2:3] == ("mapping",) and loc[4:] == ("[key]",):
        # It is about the key itself, not about its value.
        loc = loc[:4]
    kind, found, context = details["type"], details["input"], details.get("ctx", {})
    where = _render_path(loc)
    if found is None:
        # A key that is not there is called by the name of its field.
        where = where.replace("_", "-")
    if kind == "extra_forbidden":
        return Problem(where, "this key is unknown", _suggest_key(loc, data))
    if kind == "missing":
        return Problem(where, "it is missing", "add it")
    if kind == "literal_error":
        return _wrong_choice(where, found, str(context["expected"]))
    if kind == "value_error":
        what, _, todo = str(context["error"]).rpartition("; ")
        return Problem(where, what, todo)
    if kind in WANTED:
        return Problem(where, f"it is {_kind_of(found)}", f"give {WANTED[kind]}")
    # What is left are the limits of numbers.
    limit = details["msg"].removeprefix("Input should be ")
    return Problem(where, f"{found} is out of range", f"give a number {limit}")


def _render_path(loc: Sequence[str | int]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part[:SHOWN]}"
    return path.removeprefix(".")


def _kind_of(value: object) -> str:
    """Name the type of a value, never the value: it may be a secret."""
    if value is None:
        return "null"
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number"
    kinds = {
        bool: "a truth value",
        str: "a text",
        list: "a list",
        dict: "a table",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), "a date or time")


def _wrong_choice(where: str, found: object, expected: str) -> Problem:
    choices = re.findall(r"'([^']*)'", expected)
    if not isinstance(found, str):
        return Problem(where, f"it is {_kind_of(found)}", f"use one of: {', '.join(choices)}")
    near = difflib.get_close_matches(found.lower(), choices, n=1)
    todo = f"did you mean '{near[0]}'?" if near else f"use one of: {', '.join(choices)}"
    return Problem(where, f"{quote(found)} is not allowed", todo)


def _suggest_key(loc: Sequence[str | int], data: dict[str, Any]) -> str:
    model = MODELS[_render_path(loc[:-1])]
    known = [field.alias or name for name, field in model.model_fields.items()]
    present: Mapping[object, Any] = _table_at(data, loc[:-1])
    free = [name for name in known if name not in present]
    near = difflib.get_close_matches(str(loc[-1]).replace("_", "-"), free or known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"remove it; known are: {', '.join(known)}"
