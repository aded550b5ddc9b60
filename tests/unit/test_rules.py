"""The rules of the code base that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
OURS = {"hostlib", "installer", "firstboot", "agent", "image", "tests"}
MAY_IMPORT = {
    "hostlib": {"hostlib"},
    "installer": {"hostlib", "installer"},
    "firstboot": {"hostlib", "firstboot"},
    "agent": {"hostlib", "agent"},
    "image": {"hostlib", "image"},
}
SOURCES = sorted(path for package in MAY_IMPORT for path in (PROJECT / package).rglob("*.py"))
ALL_SOURCES = [*SOURCES, *sorted((PROJECT / "tests").rglob("*.py"))]
PURE = ("installer/answers", "installer/resolve", "installer/layout", "installer/plan", "installer/config",
        "installer/report_checks", "installer/tui/draft", "installer/tui/check", "installer/tui/views",
        "installer/tui/flow", "installer/tui/hardware",
        "hostlib/checks", "hostlib/join_string", "hostlib/check_report", "hostlib/controllers", "hostlib/netrender", "hostlib/sizes")  # fmt: skip
EFFECTS = {"subprocess", "socket", "hostlib.run", "hostlib.files", "hostlib.probe", "shutil", "os"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_packages_import_only_what_they_may(path: Path) -> None:
    package = path.relative_to(PROJECT).parts[0]
    ours = {name.split(".")[0] for name in imports_of(path)} & OURS
    assert ours <= MAY_IMPORT[package]


def test_one_door_for_subprocesses() -> None:
    users = {name_of(path) for path in SOURCES if "subprocess" in set(imports_of(path))}
    assert users == {"hostlib/run.py"}


def test_only_the_screens_import_urwid() -> None:
    users = [
        name_of(path) for path in SOURCES if any(name.split(".")[0] == "urwid" for name in imports_of(path))
    ]
    assert [user for user in users if not user.startswith(("installer/tui/", "agent/screen"))] == []


SCREENS = (
    "installer/tui/screens/",
    "installer/tui/page",
    "installer/tui/scrolling",
    "installer/tui/table",
    "installer/tui/widgets",
)
SHOWN = {f"installer.tui.{name}" for name in ("controller", "draft", "page", "scrolling", "table", "widgets")}


@pytest.mark.parametrize("path", [p for p in SOURCES if name_of(p).startswith(SCREENS)], ids=name_of)
def test_screens_know_plain_types_and_one_controller(path: Path) -> None:
    names = set(imports_of(path))
    ours = {name for name in names if name.split(".")[0] in OURS}
    assert {name for name in ours if not name.startswith("installer.tui.screens.")} <= SHOWN
    assert EFFECTS & names == set()


def test_what_the_screens_show_is_made_without_urwid() -> None:
    users = {
        name_of(path)
        for path in (PROJECT / "installer/tui").glob("*.py")
        if any(name.split(".")[0] == "urwid" for name in imports_of(path))
    }
    assert users == {
        f"installer/tui/{name}.py"
        for name in ("app", "consoles", "loop", "page", "scrolling", "table", "widgets")
    }


@pytest.mark.parametrize("path", [p for p in SOURCES if name_of(p).startswith(PURE)], ids=name_of)
def test_pure_modules_have_no_effects(path: Path) -> None:
    assert EFFECTS & set(imports_of(path)) == set()


@pytest.mark.parametrize("path", ALL_SOURCES, ids=name_of)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 40
    ]
    assert long == []


def test_no_mirror_stands_in_the_project() -> None:
    pattern = re.compile(r"https?://[A-Za-z0-9.-]+/debian(-security)?([/ ]|$)", re.MULTILINE)
    found = [
        name_of(path)
        for folder in (*MAY_IMPORT, "tests", "docs", "examples")
        for path in (PROJECT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and pattern.search(path.read_text(errors="replace"))
    ]
    assert found == []
