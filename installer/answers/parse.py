"""From the text of an answer file to Answers, or to all that is wrong with it."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hostlib.errors import Problem, UserError
from installer.answers.advice import advise
from installer.answers.disks import (
    BtrfsOptions,
    DiskSetup,
    LvmOptions,
    Match,
    ZfsOptions,
    uncarried,
)
from installer.answers.enrollment import Enrollment
from installer.answers.load import load_section, load_tables, render_path
from installer.answers.model import (
    EVENTS,
    Answers,
    Checks,
    FirstBoot,
    FqdnFromDhcp,
    Global,
    Network,
    Pinning,
    Report,
    Webhook,
)
from installer.match import quote

ALIASES: Final = {
    "global": ("root_password", "root_password_hashed", "reboot_on_error", "reboot_mode", "root_ssh_keys",
               "subscription_key"),
    "disk-setup": ("disk_list", "filter_match"),
    "disk-setup.zfs": ("arc_max",),
    "post-installation-webhook": ("cert_fingerprint", "auth_token"),
    "first-boot": ("cert_fingerprint",),
}  # fmt: skip
"""Deprecated spellings that the peer still takes."""
REFUSED: Final = {
    "packages": ("this section is unknown: the image is installed as it is, without further packages",
                 "remove it; use apt on the node, or a [first-boot] hook"),
}  # fmt: skip
MODELS: Final[dict[str, type[BaseModel]]] = {
    "": Answers,
    "global": Global,
    "global.fqdn": FqdnFromDhcp,
    "network": Network,
    "network.interface-name-pinning": Pinning,
    "disk-setup": DiskSetup,
    "disk-setup.lvm": LvmOptions,
    "disk-setup.zfs": ZfsOptions,
    "disk-setup.btrfs": BtrfsOptions,
    "disk-setup.match": Match,
    "checks": Checks,
    "enrollment": Enrollment,
    "first-boot": FirstBoot,
    "post-installation-webhook": Webhook,
    "report": Report,
}
WANTED: Final = {
    "string_type": "a text in quotes",
    "bool_type": "true or false, without quotes",
    "float_type": "a number, without quotes",
    "int_type": "a whole number, without quotes",
    "int_from_float": "a whole number, without quotes",
    "finite_number": "the size in GiB",
    "tuple_type": 'a list of texts: ["..."]',
    "dict_type": "a table of texts",
    "model_type": "a table of keys",
}  # fmt: skip
"""Kind of pydantic's error -> what to give."""
CHOICE_HINTS: Final = {
    ("disk-setup.match.bus", "usb"): "name the disk in disk-list; a USB disk is taken only by its name",
}


def parse_answers(text: str, source: str) -> tuple[Answers, list[str]]:
    """Read an answer file in TOML or JSON.

    Takes its text and the name to call it by in messages; gives the answers and warnings about its style.
    Raises UserError with every problem that was found; no message repeats a secret.
    """
    data = load_tables(text, source)
    warnings: list[str] = []
    problems = [*_settle_aliases(data, warnings), *_take_out_refused(data)]
    _take_out_nulls(data)
    try:
        answers = Answers.model_validate(data)
    except ValidationError as error:
        problems += [_problem(details, data) for details in error.errors(include_url=False)]
        if unfit := uncarried(_table_at(data, ["disk-setup"]).get("filesystem")):
            problems.append(unfit)
        raise UserError(problems) from None
    if problems:
        raise UserError(problems)
    bare = "/" not in str(_table_at(data, ["network"]).get("cidr") or "/")
    return answers, warnings + advise(answers, bare_address=bare)


def parse_report(text: str) -> Report | None:
    """Give the [report] of an answer file that may be wrong elsewhere, so that the refusal can be reported.

    A key of it that does not matter for the way is left out when it is wrong: unknown ones and `events`. None
    when there is no such section, or no safe way to send. Never raises.
    """
    table = load_section(text, "report")
    way = {key: table[key] for key in ("url", "cert-fingerprint", "auth-token") if key in table}
    for candidate in (table, way | {"events": table.get("events", EVENTS)}, way):
        try:
            return Report.model_validate(candidate)
        except ValueError:
            # pydantic's error, or its dislike of half a surrogate pair.
            continue
    return None


def _settle_aliases(data: dict[str, Any], warnings: list[str]) -> Iterator[Problem]:
    for section, names in ALIASES.items():
        table = _table_at(data, section.split("."))
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


def _take_out_nulls(data: dict[str, Any]) -> None:
    """Take null in JSON for a key that was left out, where it may be."""
    for path, model in MODELS.items():
        table = _table_at(data, path.split(".") if path else [])
        for name, field in model.model_fields.items():
            key = field.alias or name
            if not field.is_required() and table.get(key, ...) is None:
                del table[key]


def _take_out_refused(data: dict[str, Any]) -> Iterator[Problem]:
    for section, (what, todo) in REFUSED.items():
        if section in data and data.pop(section) is not None:
            yield Problem(section, what, todo)


def _table_at(data: dict[str, Any], path: Sequence[str | int]) -> dict[Any, Any]:
    """Give the table at `path`; an empty one where there is none."""
    table: Any = data
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def _problem(details: ErrorDetails, data: dict[str, Any]) -> Problem:
    loc = details["loc"]
    if loc[:2] in {("global", "fqdn"), ("enrollment", "url")}:
        # The third is the form that the value has: a text, or a table or list.
        loc = loc[:2] + loc[3:]
    if loc[2:3] == ("mapping",) and loc[4:] == ("[key]",):
        # It is about the key itself, not about its value.
        loc = loc[:4]
    kind, found, context = details["type"], details["input"], details.get("ctx", {})
    where = render_path(loc)
    if found is None or found == ():
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
    # Where a choice is taken in upper case too, the message has it once; it leads to no other refusal.
    choices = [choice for choice in re.findall(r"'([^']*)'", expected) if choice.islower()]
    if where == "disk-setup.filesystem":
        choices = [choice for choice in choices if uncarried(choice) is None]
    if not isinstance(found, str):
        return Problem(where, f"it is {_kind_of(found)}", f"use one of: {', '.join(choices)}")
    near = [] if uncarried(found) else difflib.get_close_matches(found.lower(), choices, n=1)
    todo = f"did you mean '{near[0]}'?" if near else f"use one of: {', '.join(choices)}"
    todo = CHOICE_HINTS.get((where, found.lower()), todo)
    return Problem(where, f"{quote(found)} is not allowed", todo)


def _suggest_key(loc: Sequence[str | int], data: dict[str, Any]) -> str:
    model = MODELS[render_path(loc[:-1])]
    known = [field.alias or name for name, field in model.model_fields.items()]
    present: Mapping[object, Any] = _table_at(data, loc[:-1])
    free = [name for name in known if name not in present]
    wanted = str(loc[-1]).replace("_", "-")
    near = difflib.get_close_matches(wanted, free, n=1) or difflib.get_close_matches(wanted, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"remove it; known are: {', '.join(known)}"
