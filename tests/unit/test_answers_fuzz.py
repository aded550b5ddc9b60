"""Whatever an answer file or a filter holds, the installer ends with a result or with the user's mistake."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hostlib.errors import Problem, UserError
from installer.answers import parse_answers
from installer.cli import main
from installer.match import match_filter

TESTS = Path(__file__).parents[1]
MACHINE = TESTS / "machines/one-virtio-uefi.json"
VALID = {
    path.stem: path.read_text(encoding="utf-8") for path in sorted((TESTS / "answers/ok").glob("*.toml"))
}
SECRET = "quiet-as-a-mouse"
fuzz = settings(max_examples=200, derandomize=True, deadline=None, database=None)

ODD_TEXTS = (
    "",
    "\0",
    "\n",
    "\u202e",
    "\ud800",
    "\U0001f6a2",
    "x" * 5000,
    "[",
    "[!",
    "*" * 50,
    "{}",
    "a; b",
    "%s{0}",
)
ODD_NUMBERS = (0, -1, 2**31, 2**63, 10**400, 1e308, float("inf"), float("nan"), 0.1)
KNOWN_KEYS = (
    "fqdn",
    "root_password",
    "disk-list",
    "filter",
    "zfs",
    "FqdnFromDhcp",
    "function-after",
    "[key]",
    "table",
)
texts = st.one_of(st.text(max_size=20), st.sampled_from(ODD_TEXTS))
keys = st.one_of(texts, st.sampled_from(KNOWN_KEYS))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(ODD_NUMBERS), texts)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


def tables_of(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield data
    for value in data.values():
        if isinstance(value, dict):
            yield from tables_of(value)


def deep(value: object, levels: int) -> object:
    for level in range(levels):
        value = [value] if level % 2 else {"x": value}
    return value


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """A valid answer with up to four changes, as JSON; a part of the text may be gone."""
    data = tomllib.loads(draw(st.sampled_from(sorted(VALID.values()))))
    if "root-password" in data["global"]:
        data["global"]["root-password"] = SECRET
    for _ in range(draw(st.integers(1, 4))):
        table = draw(st.sampled_from(list(tables_of(data))))
        present = st.sampled_from(sorted(table) or [""])
        key = draw(present if draw(st.booleans()) else keys)
        what = draw(st.sampled_from(["set", "set", "remove", "deep", "move"]))
        if what == "set":
            table[key] = draw(trees)
        elif what == "remove":
            table.pop(key, None)
        elif what == "deep":
            table[key] = deep(draw(scalars), draw(st.integers(1, 300)))
        elif key in table:
            table[draw(texts)] = table[key]
    return json.dumps(data)


@st.composite
def torn(draw: st.DrawFn) -> str:
    """A valid answer in TOML with a part replaced by other text."""
    text = draw(st.sampled_from(sorted(VALID.values())))
    begin = draw(st.integers(0, len(text)))
    end = min(len(text), begin + draw(st.integers(0, 30)))
    piece = draw(
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(('"', "=", "[", "]]", "{", "#", "\r", "'''", "0x" + "f" * 40)),
        )
    )
    return text[:begin] + piece + text[end:]


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        parse_answers(text, "answer")
    except UserError as error:
        return error.problems
    return ()


@fuzz
@given(st.one_of(mutants(), torn(), st.text()))
def test_any_text_is_an_answer_or_a_mistake(text: str) -> None:
    for problem in problems_of(text):
        assert str(problem).isprintable()
        assert SECRET not in str(problem)


@fuzz
@given(st.one_of(mutants(), torn()))
def test_the_command_ends_with_0_or_2(text: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["validate", file.name, "--inventory", str(MACHINE)])
    assert status in {0, 2}, err.getvalue()
    assert bool(out.getvalue()) == (status == 0)
    assert SECRET not in out.getvalue() + err.getvalue()


@fuzz
@given(st.dictionaries(texts, texts, max_size=3), st.dictionaries(texts, texts, min_size=1, max_size=3))
def test_any_pattern_matches_or_does_not(properties: dict[str, str], patterns: dict[str, str]) -> None:
    one, every = match_filter(properties, patterns), match_filter(properties, patterns, "all")
    assert one or not every
