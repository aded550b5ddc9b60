from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from installer.answers.urls import check_fingerprint, check_token, check_url
from tests.unit.answer_data import outcome

DIGITS = "0123456789abcdef" * 4
PAIRS = ":".join(DIGITS[at : at + 2] for at in range(0, 64, 2))


@pytest.mark.parametrize(
    "url",
    [
        "https://a",
        "http://192.0.2.1:8080/x?y=z#w",
        "HTTPS://[2001:db8::1]:8443/",
        "https://a.example.test/%20",
    ],
)
def test_urls(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a",
        "//a",
        "ftp://a",
        "https:a",
        "https://",
        "https://:1",
        "https://a:b",
        "https://a:99999",
        "https://[::1",
        "https://a b",
        "https://a\n",
        "https://ä",
        "https://u:never@a",
        "https://never@a",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(this is no URL|the URL holds a user name)") as caught:
        check_url(url)
    assert "never" not in str(caught.value)


@pytest.mark.parametrize("text", [DIGITS, DIGITS.upper(), PAIRS, PAIRS.upper()])
def test_fingerprints(text: str) -> None:
    assert check_fingerprint(text) == DIGITS


@pytest.mark.parametrize("text", ["", DIGITS[1:], DIGITS + "0", f"SHA256:{DIGITS}", DIGITS.replace("0", " ")])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(ValueError, match="openssl x509"):
        check_fingerprint(text)


def test_tokens_that_fit_a_header() -> None:
    assert check_token(SecretStr("name:se/cr+et==")).get_secret_value() == "name:se/cr+et=="
    for wrong in ("", "a b", "a\r\nX: y", "ä"):
        with pytest.raises(ValueError, match=r"^the token is empty or holds white space") as caught:
            check_token(SecretStr(wrong))
        assert not wrong or wrong not in str(caught.value)


FROM_URL = {"source": "from-url", "url": "http://a"}


@pytest.mark.parametrize(
    ("changes", "warnings"),
    [
        ({"report.url": "https://a"}, []),
        ({"report.url": "HTTP://a"}, ["report.url: it is http without TLS, which anyone on the way can read and change"]),
        ({"report": {"url": "http://a", "cert-fingerprint": DIGITS}}, ["report.url: it is http without TLS, which anyone on the way can read and change, the fingerprint is of no use there"]),
        ({"first-boot": FROM_URL}, ["first-boot.url: it is http without TLS, which anyone on the way can read and change"]),
        ({"first-boot": FROM_URL | {"source": "from-iso", "cert-fingerprint": DIGITS}},
         ["first-boot.url: source 'from-iso' does not use it; remove it", "first-boot.cert-fingerprint: source 'from-iso' does not use it; remove it"]),
    ],
)  # fmt: skip
def test_warnings(changes: dict[str, Any], warnings: list[str]) -> None:
    assert outcome(changes).splitlines() == ["ok", *warnings]
