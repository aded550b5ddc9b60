"""Reads an answer file: TOML, spellings, rules; all errors at once."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from hostlib.errors import Problem, UserError
from installer.answers.crosscheck import check_document, warn_document
from installer.answers.messages import parse_errors
from installer.answers.model import LATER_DISK_TABLES, LATER_SECTIONS, Answers

ALIASES: Final = {
    "global": (
        "root_password",
        "root_password_hashed",
        "reboot_on_error",
        "reboot_mode",
        "root_ssh_keys",
        "subscription_key",
    ),
    "disk-setup": ("disk_list", "filter_match"),
}
"""Section -> keys that the peer's older files write with an underscore."""
MAXIMUM_BYTES: Final = 1024 * 1024


def read_answers(path: Path) -> tuple[Answers, list[str]]:
    """Read the answer file at `path`; see `parse_answers`. Raises UserError, also when it cannot be read."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(Problem(str(path), f"cannot be read: {reason}", "name the answer file")) from error
    if len(data) > MAXIMUM_BYTES:
        what = "is larger than 1 MiB, which no answer file is"
        raise UserError(Problem(str(path), what, "name the answer file"))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"line {line} is not UTF-8 text"
        raise UserError(Problem(str(path), what, "save the file as UTF-8")) from None
    return parse_answers(text, str(path))


def parse_answers(text: str, source: str) -> tuple[Answers, list[str]]:
    """Read the text of an answer file; `source` names it in messages.

    Gives the answers and the warnings. Raises UserError with every problem. No message holds a secret.
    """
    try:
        # Editors of Windows put a byte order mark in front.
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        what = f"is not valid TOML: {error}"
        raise UserError(Problem(source, what, "correct the file there")) from None
    except RecursionError:
        raise UserError(Problem(source, "is nested too deeply", "name the answer file")) from None
    return validate_document(document)


def validate_document(document: dict[str, object]) -> tuple[Answers, list[str]]:
    """Check an answer file that is already a document (from TOML, or from the installer's screens).

    Gives the answers and the warnings. Raises UserError with every problem. Does not change `document`.
    """
    document = {key: dict(value) if isinstance(value, dict) else value for key, value in document.items()}
    warnings: list[str] = []
    problems = _normalise_spelling(document, warnings)
    problems += _remove_unsupported(document, warnings)
    answers = None
    try:
        answers = Answers.model_validate(document)
    except ValidationError as error:
        problems += parse_errors(error)
    problems += check_document(document)
    if problems or answers is None:
        raise UserError(problems)
    return answers, [*warnings, *warn_document(document)]


def _normalise_spelling(document: dict[str, object], warnings: list[str]) -> list[Problem]:
    problems: list[Problem] = []
    for name, old_keys in ALIASES.items():
        section = document.get(name)
        if not isinstance(section, dict):
            continue
        for old in old_keys:
            if old not in section:
                continue
            new, value = old.replace("_", "-"), section.pop(old)
            if new in section:
                what = f"is there twice, also as `{old}`"
                problems.append(Problem(f"{name}.{new}", what, f"remove `{old}`"))
            else:
                section[new] = value
                warnings.append(f"{name}.{old}: this spelling is deprecated; write `{new}`")
    return problems


def _remove_unsupported(document: dict[str, object], warnings: list[str]) -> list[Problem]:
    """Take out what the peer knows and this version does not, so that it is not called unknown."""
    found = [name for name in LATER_SECTIONS if document.pop(name, None) is not None]
    setup = document.get("disk-setup")
    if isinstance(setup, dict):
        found += [f"disk-setup.{name}" for name in LATER_DISK_TABLES if setup.pop(name, None) is not None]
    section = document.get("global")
    if isinstance(section, dict) and section.pop("subscription-key", None) is not None:
        warnings.append("global.subscription-key: not used; Slipway needs no subscription")
    return [Problem(name, "is not supported by this version", "remove the section") for name in found]


def render_schema() -> str:
    """Give the JSON Schema of the answer file. What it cannot say, such as "one of two keys", is left to `validate`."""
    return json.dumps(Answers.model_json_schema(by_alias=True), indent=2) + "\n"
