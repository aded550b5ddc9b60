"""Rules for URLs, fingerprints and tokens. Pure; no message repeats what may hold a secret."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

FINGERPRINT_DIGITS: Final = 64
FINGERPRINT_TODO: Final = "give what `openssl x509 -noout -fingerprint -sha256` prints behind the '='"


def check_url(url: str) -> str:
    """Raise ValueError unless this is an HTTP(S) URL. The message does not repeat it: its query may be a secret."""
    wrong = "this is no URL; give one such as 'https://192.0.2.10/hook'"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(wrong) from None
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or parts.port == 0
        or not re.fullmatch(r"[!-~]+", url)
    ):
        raise ValueError(wrong)
    if parts.username is not None:
        todo = "remove the part before the '@'"
        raise ValueError(f"the URL holds a user name or password, which logs would show; {todo}")
    return url


def check_fingerprint(text: str) -> str:
    """Give a SHA-256 fingerprint as 64 lower-case hex digits. Raises ValueError unless it is one."""
    digits = text.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]*", digits):
        raise ValueError(f"this is no SHA-256 fingerprint in hex digits; {FINGERPRINT_TODO}")
    if len(digits) != FINGERPRINT_DIGITS:
        what = f"a SHA-256 fingerprint has {FINGERPRINT_DIGITS} hex digits, this one {len(digits)}"
        raise ValueError(f"{what}; {FINGERPRINT_TODO}")
    return digits


def check_token(token: SecretStr) -> SecretStr:
    """Raise ValueError unless the token can stand in an HTTP header. The message does not repeat it."""
    if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
        raise ValueError("the token is empty or holds white space or letters beyond ASCII; correct it")
    return token
