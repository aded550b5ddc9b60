"""docs/inventory.md and the stored JSON Schema say what the records are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hostlib.inventory import parse_inventory, render_inventory, render_inventory_schema
from tests.unit.answer_schema import INVENTORY_SCHEMA, complaints

PROJECT = Path(__file__).parents[2]
DOCUMENT = PROJECT / "docs/inventory.md"
SCHEMA: dict[str, Any] = json.loads(render_inventory_schema())
RECORDS: dict[str, Any] = {"Inventory": SCHEMA, **SCHEMA["$defs"]}
on_a_checkout = pytest.mark.skipif(
    not (PROJECT / "Makefile").exists(), reason="the documentation is not on the image"
)


def record_of(field: dict[str, Any]) -> str:
    """The record that a field of the schema holds, alone or in a list; empty for other fields."""
    options = [field, field.get("items", {}), *field.get("anyOf", ())]
    return next((option["$ref"].rpartition("/")[2] for option in options if "$ref" in option), "")


def named(section: str) -> str:
    """The record that a heading such as `disks[].raid` is about; the heading's text has no more than its path."""
    found: dict[str, Any] = SCHEMA
    record = "Inventory"
    for part in section.split(".") if section else ():
        field = found["properties"][part.removesuffix("[]")]
        assert part.endswith("[]") == (field.get("type") == "array")
        record = record_of(field)
        found = RECORDS[record]
    return record


def documented() -> dict[str, dict[str, str]]:
    """Record -> field -> meaning, by the tables below each heading that is a path."""
    record = ""
    found: dict[str, dict[str, str]] = {}
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = re.fullmatch(r"#{2,3} (?:`(.+)`|The machine)", line)
            record = named(heading[1] or "") if heading else ""
            assert record not in found
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if record and len(cells) == 3 and cells[0].startswith("`"):
            found.setdefault(record, {})[cells[0].strip("`")] = cells[1]
    return found


@on_a_checkout
def test_the_document_lists_every_field_of_every_record_in_order() -> None:
    expected = {name: list(record["properties"]) for name, record in RECORDS.items()}
    assert {name: list(fields) for name, fields in documented().items()} == expected


@on_a_checkout
def test_the_document_names_every_choice() -> None:
    meanings = documented()
    missing = [
        f"{record}.{name}: {choice}"
        for record, definition in RECORDS.items()
        for name, field in definition["properties"].items()
        for choice in field.get("enum", ())
        if choice and f"`{choice}`" not in meanings[record][name]
    ]
    assert missing == []


@on_a_checkout
def test_the_example_is_an_inventory() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (example,) = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    machine = parse_inventory(example)
    assert machine.disks[0].controller == machine.controllers[0].address
    # What is left out has its default: the rest says the same.
    assert parse_inventory(render_inventory(machine)) == machine


@on_a_checkout
def test_the_stored_schema_is_the_one_that_is_printed() -> None:
    stored = (PROJECT / "docs/inventory.schema.json").read_text(encoding="utf-8")
    assert stored == render_inventory_schema(), "write it anew: slipway-install schema inventory"


def test_the_schema_explains_itself() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "Inventory"
    assert SCHEMA["properties"]["schema"]["const"] == 1
    assert "/dev/disk/by-id" in SCHEMA["$defs"]["Disk"]["properties"]["ids"]["description"]
    assert all(record["description"] for record in SCHEMA["$defs"].values())


RECORDED = sorted(
    [
        *(PROJECT / "tests/machines").glob("*.json"),
        *(PROJECT / "tests/machines/qemu").glob("*/inventory.json"),
        *(PROJECT / "examples/machines").glob("*.json"),
    ]
)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recorded_machine_fits_the_schema(path: Path) -> None:
    machine = json.loads(path.read_text(encoding="utf-8"))
    assert list(complaints(machine, INVENTORY_SCHEMA)) == []
    machine["disks"][0]["size_bytes"] = None
    machine["disks"][0]["kind"] = "drive"
    assert list(complaints(machine, INVENTORY_SCHEMA)) == [
        ".disks[].size_bytes: is no integer",
        ".disks[].kind: is none of the choices",
    ]


def test_a_record_of_before_is_read_and_one_of_a_later_version_refused() -> None:
    before = {"schema": 1, "firmware": {"mode": "bios"}, "memory_bytes": 1}
    assert parse_inventory(json.dumps(before)).controllers == ()
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        parse_inventory(json.dumps(before | {"gpus": []}))
