"""The [report] of an answer that is wrong elsewhere."""

from __future__ import annotations

import json
import tomllib

import pytest

from installer.answers import Report, parse_report
from installer.answers.model import EVENTS
from tests.unit.answer_data import changed

SECTION = """
[report]
url = "https://192.0.2.10/events"
auth-token = "t"
events = [
    "succeeded",
    "failed",
]
"""
WANTED = Report.model_validate(tomllib.loads(SECTION)["report"])


@pytest.mark.parametrize(
    "text",
    [
        SECTION,
        "[global]\nkeyboard = 5\n" + SECTION,
        "[global\n" + SECTION + "\n[network]\ncidr = 192.0.2.1/24\n",
        SECTION + "[global\nkeyboard = 'de'\n",
        "x = ]\n" + SECTION + "[network]\n" + "y = " + "[" * 9999,
        "a = 1\na = 2\n" + SECTION.replace("\n", "\r\n"),
        SECTION.replace("[report]", " [ report ] # where to") + "[disk-setup.filter]\nA = ",
        "n = 123456789012345678901234567890\n" + SECTION,
        json.dumps({"global": 5} | tomllib.loads(SECTION)),
    ],
)
def test_it_is_found(text: str) -> None:
    assert parse_report(text) == WANTED


@pytest.mark.parametrize(
    "extra", [{"events": ["done"]}, {"events": []}, {"events": 5}, {"retries": 3}, {"events": None}]
)
def test_what_does_not_matter_for_the_way_is_left_out(extra: dict[str, object]) -> None:
    found = parse_report(json.dumps({"report": {"url": "https://a"} | extra}))
    assert found == Report(url="https://a")
    assert found.events == EVENTS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "{",
        "[report]",
        "report = 5",
        "[[report]]\nurl = 'https://a'",
        json.dumps(changed({})),
        json.dumps({"report": {"url": "ftp://a"}}),
        json.dumps({"report": {"url": "https://a", "cert-fingerprint": "ab"}}),
        json.dumps({"report": {"url": "https://a", "auth-token": "a b"}}),
        '{"report": {"url": "https://\\ud800"}}',
        '{"report": {"url": "https://a", "events": ' + "[" * 99999,
        "[report]\nurl = 'https://a\n",
    ],
)
def test_none_without_a_safe_way(text: str) -> None:
    assert parse_report(text) is None
