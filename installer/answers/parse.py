"""From the text of an answer file to Answers, or to all that is wrong with it."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hostlib.errors import Problem, UserError
from installer.answers.model import Answers, DiskSetup, Global, LvmOptions, Network, Pinning

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
    "network": Network,
    "network.interface-name-pinning": Pinning,
    "disk-setup": DiskSetup,
    "disk-setup.lvm": LvmOptions,
}


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
        problems += [_problem(details, data) for details in _relevant(error.errors(include_url=False))]
        raise UserError(dict.fromkeys(problems)) from None
    problems += _check_passwords(answers)
    if problems:
        raise UserError(problems)
    return answers, warnings


def _load(text: str, source: str) -> dict[str, Any]:
    try:
        data = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # The parsers quote nothing but the place, so no secret can be in their text.
        place = re.sub(r"\s+", " ", str(error))
        problem = Problem(
            source, f"this is neither TOML nor JSON ({place})", "correct the syntax at that place"
        )
        raise UserError(problem) from None
    return dict(data)


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
        table: object = data
        for parent in parents:
            table = table.get(parent) if isinstance(table, dict) else None
        if isinstance(table, dict) and key in table:
            del table[key]
            yield Problem(path, f"this version does not support {what}", "remove this part")
    setup = data.get("disk-setup")
    if isinstance(setup, dict) and setup.get("filesystem") in ("zfs", "btrfs"):
        name = setup["filesystem"]
        setup["filesystem"] = "ext4"
        yield Problem("disk-setup.filesystem", f"this image carries no {name}", "use 'ext4' or 'xfs'")


def _check_passwords(answers: Answers) -> list[Problem]:
    plain, hashed = answers.global_.root_password, answers.global_.root_password_hashed
    if plain is not None and hashed is not None:
        return [Problem("global.root-password", "root-password-hashed is set too", "keep one of the two")]
    if plain is None and hashed is None:
        todo = "set it or 'root-password-hashed'"
        return [Problem("global.root-password", "there is no password for root", todo)]
    return []


def _relevant(errors: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out what a union says about the form that was not meant: an FQDN is a text or a table."""
    for details in errors:
        where = details["loc"]
        if where[:2] == ("global", "fqdn") and len(where) > 2:
            text_form = str(where[2]).startswith("function-after")
            given_text = not isinstance(details["input"], Mapping) and len(where) == 3
            if text_form != given_text:
                continue
        yield details


def _problem(details: ErrorDetails, data: Mapping[str, Any]) -> Problem:
    where = [str(part) for part in details["loc"] if not _is_union_part(str(part))]
    path = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", ".".join(where))
    parent = ".".join(where[:-1])
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(path, "this key is unknown", _suggest_key(where[-1], parent, data))
    if kind == "missing":
        return Problem(path, "it is missing", "add it")
    if kind == "literal_error":
        return _wrong_choice(path, details, str(context["expected"]))
    if kind == "value_error":
        what, _, todo = str(context["error"]).rpartition("; ")
        return Problem(path, what, todo)
    expected = details["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return Problem(path, f"the value is no valid {expected}", "correct it")


def _is_union_part(part: str) -> bool:
    return part.startswith("function-after") or part == "FqdnFromDhcp"


def _wrong_choice(path: str, details: ErrorDetails, expected: str) -> Problem:
    choices = re.findall(r"'([^']*)'", expected)
    found = details["input"]
    near = difflib.get_close_matches(str(found).lower(), choices, n=1)
    todo = f"did you mean '{near[0]}'?" if near else f"use one of: {', '.join(choices)}"
    return Problem(path, f"'{found}' is not allowed", todo)


def _suggest_key(key: str, parent: str, data: Mapping[str, Any]) -> str:
    model = MODELS.get(parent)
    if model is None:
        return "remove it"
    known = [field.alias or name for name, field in model.model_fields.items()]
    present = data.get(parent, data) if parent else data
    free = [name for name in known if name not in present]
    near = difflib.get_close_matches(key.replace("_", "-"), free or known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"remove it; known are: {', '.join(known)}"
