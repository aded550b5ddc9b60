import json
from pathlib import Path

import pytest

from hostlib.events import EventLog
from installer.plan import plan_install
from installer.progress import LINE_WIDTH, Event, Reporter, console_sink, log_sink, render_bar
from tests.unit.installer_fakes import config


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (0, "[                    ]   0%  copy"),
        (42, "[########            ]  42%  copy"),
        (100, "[####################] 100%  copy"),
    ],
)
def test_render_bar(percent: int, expected: str) -> None:
    assert render_bar(percent, "copy") == expected
    assert len(render_bar(percent, "x" * 200)) == LINE_WIDTH


def test_the_whole_runs_from_0_to_100_and_never_back() -> None:
    plan = plan_install(config())
    seen: list[Event] = []
    reporter = Reporter(plan, [seen.append])
    for step in plan:
        progress = reporter.begin(step)
        for done in (0.2, 0.1, 0.5, 0.5, 7.0):
            progress(done)
        reporter.end(step)
    percents = [event.percent for event in seen]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert [event.phase for event in seen if event.event == "phase"] == [step.name for step in plan]
    changes = [event.percent for event in seen if event.event == "progress"]
    assert len(changes) == len(set(changes))


EVENTS = (
    Event("started", text="id-1"),
    Event("phase", "copy", 20),
    Event("progress", "copy", 42),
    Event("warning", text="NVRAM"),
    Event("failed", text="copy: read error"),
)


def test_events_as_json_lines(tmp_path: Path) -> None:
    sink = log_sink(EventLog(tmp_path / "events.jsonl"))
    for event in (*EVENTS, Event("succeeded", url="https://192.0.2.10:8006/", fingerprint="AB:CD")):
        sink(event)
    assert [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()] == [
        {"event": "started", "install_id": "id-1"},
        {"event": "phase", "phase": "copy", "percent": 20},
        {"event": "progress", "phase": "copy", "percent": 42},
        {"event": "warning", "text": "NVRAM"},
        {"event": "failed", "reason": "copy: read error"},
        {"event": "succeeded", "url": "https://192.0.2.10:8006/", "fingerprint": "AB:CD"},
    ]


def shown(*events: Event, moving: bool) -> str:
    written: list[str] = []
    sink = console_sink(written.append, moving=moving)
    for event in events:
        sink(event)
    return "".join(written)


def test_a_bar_moves_in_its_line_on_a_console() -> None:
    text = shown(*EVENTS, moving=True)
    first = f"{'[####                ]  20%  copy':<78}"
    second = f"{'[########            ]  42%  copy':<78}"
    assert text == f"\r{first}\r{second}\nwarning: NVRAM\n"


def test_one_line_a_phase_in_a_file() -> None:
    text = shown(*EVENTS, Event("succeeded"), moving=False)
    assert text == (
        "[####                ]  20%  copy\nwarning: NVRAM\n[####################] 100%  installed\n"
    )
