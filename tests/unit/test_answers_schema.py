"""The JSON Schema takes what the parser takes, and docs/answer-file.md says what is in it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from installer.answers.parse import ALIASES
from tests.unit.answer_data import changed
from tests.unit.answer_schema import SCHEMA, complaints, resolved

PROJECT = Path(__file__).parents[2]
DOCUMENT = PROJECT / "docs/answer-file.md"
OK = sorted((PROJECT / "tests/answers/ok").glob("*.toml"))
on_a_checkout = pytest.mark.skipif(
    not (PROJECT / "Makefile").exists(), reason="the documentation is not on the image"
)


@pytest.mark.parametrize(
    "path", [path for path in OK if path.stem != "snake-case-aliases"], ids=lambda p: p.stem
)
def test_what_the_parser_takes_fits_the_schema(path: Path) -> None:
    assert list(complaints(tomllib.loads(path.read_text(encoding="utf-8")), SCHEMA)) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"network.source": "by-hand"}, [".network.source: is none of the choices"]),
        ({"global.reboot-on-error": "yes"}, [".global.reboot-on-error: is no boolean"]),
        ({"disk-setup.lvm": {"maxrot": 1}}, [".disk-setup.lvm: fits 0 of anyOf"]),
        ({"report": {"url": "https://a", "events": ["all"]}}, [".report: fits 0 of anyOf"]),
        ({"global": {}}, [f".global.{key}: is missing" for key in ("keyboard", "country", "timezone", "fqdn", "mailto")]),
        ({"cluster": 1}, [".cluster: is unknown"]),
    ],
)  # fmt: skip
def test_what_the_schema_refuses(changes: dict[str, Any], what: list[str]) -> None:
    assert list(complaints(changed(changes), SCHEMA)) == what


NAMES = {
    "string": "text",
    "boolean": "truth",
    "number": "number",
    "integer": "whole number",
    "object": "table",
}


def type_of(field: dict[str, Any]) -> tuple[str, list[str]]:
    """Give the word for a field's type and the values to choose from."""
    options = [
        resolved(option)
        for option in field.get("anyOf", field.get("oneOf", [field]))
        if option != {"type": "null"}
    ]
    names, choices = [], []
    for option in options:
        choices += option.get("enum", [option["const"]] if "const" in option else [])
        name = NAMES.get(option["type"], "")
        if option["type"] == "array":
            items = resolved(option["items"])
            choices += items.get("enum", [])
            name = f"list of {NAMES[items['type']]}s"
        if option["type"] == "object" and isinstance(option["additionalProperties"], dict):
            name = "table of texts"
        names.append("secret text" if option.get("format") == "password" else name)
    return " or ".join(names), choices


def default_of(key: str, field: dict[str, Any], model: dict[str, Any]) -> str:
    if key in model.get("required", ()):
        return "required"
    default = field.get("default")
    return "-" if default in (None, {}, "") else "`" + json.dumps(default).strip('"') + "`"


def expected(
    model: dict[str, Any], section: str = ""
) -> Iterator[tuple[str, str, str, str, tuple[str, ...]]]:
    for key, field in model["properties"].items():
        word, choices = type_of(field)
        if section:
            yield section, key, word, default_of(key, field, model), tuple(choices)
        options = (resolved(option) for option in field.get("anyOf", field.get("oneOf", [field])))
        for option in options:
            if "properties" in option:
                yield from expected(option, f"{section}.{key}".removeprefix("."))


HEADING = re.compile(r"#{2,3} `([a-z.-]+)`")


def documented() -> Iterator[tuple[str, str, str, str, tuple[str, ...]]]:
    """The rows of the tables below a heading that is a section's name; choices stand after `one of`."""
    section = ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = HEADING.fullmatch(line)
            section = heading[1] if heading else ""
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if section and len(cells) == 4 and cells[0].startswith("`"):
            key, word, default, rule = cells
            chosen = re.match(r"(?:one|some) of ((?:`[^`]*` ?)+)", rule)
            choices = re.findall(r"`([^`]*)`", chosen[1]) if chosen else []
            yield section, key.strip("`"), word, default, tuple(choices)


@on_a_checkout
def test_the_document_lists_the_keys_of_the_schema_their_types_defaults_and_choices() -> None:
    assert sorted(documented()) == sorted(expected(SCHEMA))


@on_a_checkout
def test_the_document_names_every_deprecated_spelling() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    names = {name for names in ALIASES.values() for name in names}
    assert [name for name in names if f"`{name}`" not in text] == []
