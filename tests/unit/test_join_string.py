"""The string of `slipway token create`."""

from __future__ import annotations

import base64
import json

import pytest

from hostlib.join_string import (
    LIMIT,
    JoinString,
    check_join_url,
    is_join_string,
    parse_join_string,
    render_join_string,
)

TOKEN = "never-print-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
FINGERPRINT = "0123456789abcdef" * 4
JOIN = JoinString(("https://192.0.2.10:8007", "https://[2001:db8::10]:8007"), FINGERPRINT, TOKEN)
TODO = "paste all of the line that `slipway token create` prints"


def encode(**changes: object) -> str:
    data = {"u": ["https://192.0.2.10"], "f": FINGERPRINT, "t": TOKEN} | changes
    return "slipway1." + base64.urlsafe_b64encode(json.dumps(data).encode()).decode()


def test_what_is_rendered_is_read() -> None:
    text = render_join_string(JOIN)
    assert parse_join_string(text) == JOIN
    assert text.removeprefix("slipway1.").replace("-", "").replace("_", "").isalnum()
    assert TOKEN not in repr(JOIN)


def test_urls_and_fingerprint_are_brought_into_their_usual_form() -> None:
    text = encode(u=["https://Node1.example.test/"], f=FINGERPRINT.upper())
    assert parse_join_string(text) == JoinString(("https://node1.example.test:8007",), FINGERPRINT, TOKEN)
    assert parse_join_string(encode()) == parse_join_string(encode().rstrip("="))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "it does not begin with slipway1."),
        (TOKEN, "it does not begin with slipway1."),
        ("slipway2.eyJ9", "it is not of the version that is known here (slipway1.…); use a newer image"),
        ("slipway1.", "it is cut off or changed"),
        (render_join_string(JOIN)[:-9], "it is cut off or changed"),
        (encode()[:40] + " " + encode()[40:], "it is cut off or changed"),
        ("slipway1.W10", "it is cut off or changed"),
        ("slipway1." + "A" * LIMIT, f"it has {LIMIT + 9} characters, {LIMIT} are the limit"),
        (encode(u=[]), "it does not hold 1 to 16 URLs of members"),
        (encode(u="https://192.0.2.10"), "it does not hold 1 to 16 URLs of members"),
        (encode(u=["http://192.0.2.10"]), "what it holds is not right (a node joins over https alone, not http)"),
        (encode(f="ab"), "what it holds is not right (this is no SHA-256 fingerprint of 64 hex digits)"),
        (encode(t="short"), "what it holds is not right (this is no token of 32 to 256 letters, digits, '-' and '_')"),
        (encode(t=None), "what it holds is not right (this is no token of 32 to 256 letters, digits, '-' and '_')"),
    ],
)  # fmt: skip
def test_what_is_no_such_string(text: str, what: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        parse_join_string(text)
    message = str(caught.value)
    assert message.removesuffix(f"; {TODO}") == what
    assert "never-print" not in message


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("https://192.0.2.10", "https://192.0.2.10:8007"),
        ("https://node1.example.test:9000/", "https://node1.example.test:9000"),
        ("HTTPS://[2001:db8::10]", "https://[2001:db8::10]:8007"),
    ],
)
def test_urls_of_members(url: str, given: str) -> None:
    assert check_join_url(url) == given


@pytest.mark.parametrize(
    "url",
    [
        *("", "192.0.2.10", "https://", "https://a:0", "https://a:99999", "https://[::1", "https://a b"),
        *("ftp://a", "https://u:never-print@a", "https://a/v1", "https://a?token=never-print", "https://a#b"),
    ],
)
def test_what_is_no_url_of_a_member(url: str) -> None:
    with pytest.raises(ValueError, match=r"; give one such as 'https://192\.0\.2\.10:8007'$") as caught:
        check_join_url(url)
    assert "never-print" not in str(caught.value)


def test_a_string_of_any_version_is_known_as_one() -> None:
    assert [is_join_string(text) for text in (encode(), "slipway2.x", "slipway.x", TOKEN, "")] == [
        True, True, True, False, False,
    ]  # fmt: skip
