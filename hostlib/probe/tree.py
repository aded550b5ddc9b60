"""Reads values out of JSON that a drive or a tool has filled: no key and no type in it is certain."""

from __future__ import annotations

import json
from collections.abc import Iterator


def parse_tree(text: str) -> object:
    """Read JSON, from the first brace on: some tools print a line before it. Raises ValueError.

    Control characters in texts are let through: some tools write what a drive says as it is.
    """
    return json.loads(text[max(text.find("{"), 0) :], strict=False)


def at(tree: object, *keys: str) -> object:
    """Give what is at the end of `keys`, or None where the way there does not exist."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def number(tree: object, *keys: str) -> int | None:
    """Give a whole number that is not negative; None for anything else."""
    value = at(tree, *keys)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def text(tree: object, *keys: str) -> str:
    """Give a text without white space around it; empty for anything else.

    Half of a surrogate pair, which JSON can hold and UTF-8 cannot, becomes a question mark.
    """
    value = at(tree, *keys)
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def flag(tree: object, *keys: str) -> bool | None:
    """Give a truth value; None for anything else."""
    value = at(tree, *keys)
    return value if isinstance(value, bool) else None


def rows(tree: object, *keys: str) -> list[dict[str, object]]:
    """Give the objects of a list."""
    value = at(tree, *keys)
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def objects(tree: object, name: str = "") -> Iterator[tuple[str, dict[str, object]]]:
    """Give every object in a tree with the key that it is under, in the order of the text."""
    if isinstance(tree, dict):
        yield name, tree
        for key, value in tree.items():
            yield from objects(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from objects(value, name)
