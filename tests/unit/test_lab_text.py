from __future__ import annotations

import pytest

from tests.vm.lab.text import PlainText


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"a\r\nb\r\r\nc", "a\nb\nc"),
        (b"\r[ 41%] copy\r[ 42%] copy", "\n[ 41%] copy\n[ 42%] copy"),
        (b"\x1b]0;title\x07text\x1b]11;?\x1b\\more", "textmore"),
        (b"\x1bP+q6E\x1b\\x", "x"),
        (b"\x1b(B\x1b[?25lx\x1b[24;1Hy", "xy"),
        ("ä\x00\x07".encode(), "ä"),
    ],
)
def test_plain_text(data: bytes, text: str) -> None:
    whole = PlainText().feed(data)
    pieces = PlainText()
    bytewise = "".join(pieces.feed(data[place : place + 1]) for place in range(len(data)))
    assert whole == bytewise == text


def test_line_end_that_is_cut_in_two() -> None:
    plain = PlainText()
    assert plain.feed(b"a\r") + plain.feed(b"\nb") == "a\nb"


def test_noise_does_not_swallow_the_rest() -> None:
    plain = PlainText()
    assert "end" in plain.feed(b"\x1b]" + b"x" * 5000 + b"end")
