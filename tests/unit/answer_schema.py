"""The part of JSON Schema that the schemas of answer file and inventory use, as a check of values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from hostlib.inventory import render_inventory_schema
from installer.answers import render_schema

SCHEMA: Final[dict[str, Any]] = json.loads(render_schema())
INVENTORY_SCHEMA: Final[dict[str, Any]] = json.loads(render_inventory_schema())
DEFINITIONS: Final[dict[str, Any]] = {**SCHEMA["$defs"], **INVENTORY_SCHEMA["$defs"]}
KINDS: Final[dict[str, Any]] = {
    "string": str,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
    "number": (int, float),
    "integer": int,
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = DEFINITIONS[schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def complaints(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The part of JSON Schema that our schema uses; an unknown keyword is an error of this test."""
    schema = resolved(schema)
    unknown = set(schema) - KNOWN_WORDS
    assert not unknown, unknown
    for word in ("anyOf", "oneOf"):
        if word in schema:
            fits = [not list(complaints(value, option)) for option in schema[word]]
            if not (any(fits) if word == "anyOf" else fits.count(True) == 1):
                yield f"{path}: fits {fits.count(True)} of {word}"
            return
    kind = schema.get("type")
    if kind and (not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path}: is no {kind}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{path}: is none of the choices"
    if isinstance(value, int | float) and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
    ):
        yield f"{path}: is out of range"
    if isinstance(value, list):
        for item in value:
            yield from complaints(item, schema["items"], f"{path}[]")
    if isinstance(value, dict):
        yield from complaints_of_table(value, schema, path)


KNOWN_WORDS = {
    *(
        "$defs",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "format",
        "items",
    ),
    *("maximum", "minimum", "oneOf", "properties", "required", "title", "type", "writeOnly"),
}


def complaints_of_table(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    rest = schema["additionalProperties"]
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{path}.{key}: is missing"
    for key, item in value.items():
        if key in known:
            yield from complaints(item, known[key], f"{path}.{key}")
        elif rest is False:
            yield f"{path}.{key}: is unknown"
        else:
            yield from complaints(item, rest, f"{path}.{key}")
