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
from tests.unit.answer_schema import SCHEMA, complaints

TESTS = Path(__file__).parents[1]
MACHINE = TESTS / "machines/one-virtio-uefi.json"
VALID = {
    path.stem: path.read_text(encoding="utf-8") for path in sorted((TESTS / "answers/ok").glob("*.toml"))
}
SECRET = "quiet-as-a-mouse"
WORDS = ("Traceback", "internal error", SECRET)
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


TYPED: dict[str, tuple[object, ...]] = {
    "global.keyboard": ("xx", "DE", 5, True, None, [], {}),
    "global.fqdn": ("node1", 5, None, [], {"source": "dhcp"}, {"domain": 5}),
    "global.mailto": ("ops", "", 1.5, {"a": "b"}),
    "global.root-password": ("short", 12345678, "a\nb-c-d-e", "x" * 600),
    "global.root-ssh-keys": ("ssh-ed25519", [5], ["ssh-ed25519 AAAA"], {}),
    "global.reboot-on-error": ("true", 1, []),
    "network.source": ("dhcp", "", 0, ["from-dhcp"], None),
    "network.mtu": ("1500", 1500, None, {}),
    "network.interface-name-pinning": (
        True,
        [],
        {},
        {"enabled": "yes"},
        {"enabled": True, "mapping": {"a": "b"}},
    ),
    "disk-setup.filesystem": ("ext5", "EXT4", 4, None, ["ext4"]),
    "disk-setup.disk-list": ("vda", 5, [5], ["vda", "vdb"], {}),
    "disk-setup.lvm": ([], "all", {"hdsize": "80"}, {"hdsize": -1}, {"maxrot": 1}, {"maxvz": float("inf")}),
    "disk-setup.match": (
        "",
        {},
        {"size": 5},
        {"size": "big"},
        {"count": 0},
        {"order": "first"},
        {"bus": "usb"},
    ),
    "disk-setup.on-existing": ("keep", True),
    "report": ({}, "https://a", {"url": "a"}, {"url": "https://a", "events": "all"}),
    "first-boot": ({}, {"source": "from-url"}, {"source": "from-iso", "ordering": 1}),
    "post-installation-webhook": ({}, 5, {"url": "https://a", "cert-fingerprint": "ab"}),
    "enrollment": ([], {"mode": "auto"}, {"mode": "join"}, {"token": SECRET}, {"mode": "join", "url": 5}),
    "global": ({}, [], None, SECRET),
    "": (5, None, {"a": {"b": []}}),
}
"""Place in the file -> values that are wrong there, whatever else it holds."""


@st.composite
def malformed(draw: st.DrawFn) -> bytes:
    """A file that is wrong for certain: a wrong value, no value, or text that is no answer at all."""
    text = draw(st.sampled_from(sorted(VALID.values())))
    data = tomllib.loads(text)
    what = draw(
        st.sampled_from(["value", "value", "drop", "unknown", "bytes", "open", "deep", "cut", "huge"])
    )
    if what == "value":
        path = draw(st.sampled_from(sorted(TYPED)))
        *parents, key = path.split(".")
        table = data[parents[0]] if parents else data
        table[key] = draw(st.sampled_from(TYPED[path]))
    elif what == "drop":
        section = draw(st.sampled_from(["global", "network", "disk-setup"]))
        key = {"global": "country", "network": "source", "disk-setup": "filesystem"}[section]
        if draw(st.booleans()):
            del data[section][key]
        else:
            del data[section]
    elif what == "unknown":
        table = draw(st.sampled_from([data, data["global"], data["network"], data["disk-setup"]]))
        table[draw(st.text("abc-_ \u202e\x1b", min_size=1))] = draw(trees)
    at = draw(st.integers(0, len(text)))
    if what == "bytes":
        wrong = draw(st.sampled_from([b"\xff", b"\xc3\x28", b"\0", b"\x1b", b"\xed\xa0\x80"]))
        return text[:at].encode() + wrong + text[at:].encode()
    if what == "open":
        return (
            f"{text}\nx = {draw(st.sampled_from(['[', '{a=', '{a=['])) * draw(st.integers(1, 2000))}".encode()
        )
    if what == "huge":
        return text.encode() + b"#" * 2**20
    if what == "deep":
        data[draw(st.sampled_from(["x", "global"]))] = deep(SECRET, draw(st.integers(1, 400)))
    body = json.dumps(data)
    return (body[: draw(st.integers(0, len(body) - 1))] if what == "cut" else body).encode()


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
@given(malformed())
def test_a_malformed_file_ends_with_2(content: bytes) -> None:
    out, err = io.StringIO(), io.StringIO()
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["validate", file.name])
    lines = err.getvalue().splitlines()
    assert (status, out.getvalue()) == (2, ""), err.getvalue()
    assert lines
    assert [line for line in lines if not (line.isprintable() and ": " in line)] == []
    assert [word for word in WORDS if word in err.getvalue()] == []


@fuzz
@given(mutants())
def test_what_is_taken_fits_the_schema(text: str) -> None:
    try:
        _, warnings = parse_answers(text, "answer")
    except UserError:
        return
    if not any("deprecated" in warning for warning in warnings):
        assert list(complaints(json.loads(text), SCHEMA)) == []


@fuzz
@given(st.dictionaries(texts, texts, max_size=3), st.dictionaries(texts, texts, min_size=1, max_size=3))
def test_any_pattern_matches_or_does_not(properties: dict[str, str], patterns: dict[str, str]) -> None:
    one, every = match_filter(properties, patterns), match_filter(properties, patterns, "all")
    assert one or not every
