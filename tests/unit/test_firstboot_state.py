from __future__ import annotations

import json
from pathlib import Path

import pytest

from firstboot.state import State, load_state, save_state
from tests.unit.firstboot_fakes import NOW


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = State().with_done("incus", NOW).with_failure("banner", "no room", NOW)
    save_state(state, path)
    assert load_state(path) == (state, None)
    assert json.loads(path.read_text()) == {
        "schema": 1,
        "done": {"incus": "2026-03-01T12:00:00Z"},
        "last_failure": {"task": "banner", "reason": "no room", "at": "2026-03-01T12:00:00Z"},
    }


def test_a_task_that_fails_later_is_not_done_any_more() -> None:
    assert State().with_done("incus", NOW).with_failure("incus", "gone", NOW).done == {}


def test_no_file_is_the_first_start(tmp_path: Path) -> None:
    assert load_state(tmp_path / "state.json") == (State(), None)


@pytest.mark.parametrize(
    "text", ["", "{", '{"schema": 2, "done": {}}', '{"schema": 1, "tasks": {}}', "\x00" * 64]
)
def test_an_odd_file_is_kept_aside_and_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    state, odd = load_state(path)
    assert state == State()
    assert odd is not None
    assert "all tasks are looked at again" in odd
    assert (tmp_path / "state.json.odd").read_text() == text
    assert not path.exists()


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(IsADirectoryError):
        load_state(tmp_path / "state.json")
