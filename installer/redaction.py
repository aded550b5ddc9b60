"""What must not leave the machine: the secrets of an answer, and how to take them out of a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, SecretStr

from hostlib.join_string import PREFIX
from hostlib.run import redact

SHORTEST: Final = 4
NAME: Final = r"(?:pass|token|secret|key|sig)"
# A quoted value after a name that tells a secret, in TOML or JSON, whatever else is wrong with the text.
_ASSIGNED: Final = re.compile(
    r"(?:password|token(?![_-]file)|secret)[\w-]*[\"']?\s*[=:]\s*(?:\"+|'+)([^\"'\n]{4,})", re.IGNORECASE
)
_JOIN_STRING: Final = re.compile(rf"{re.escape(PREFIX)}[\w-]+")
_USERINFO: Final = re.compile(r"https?://[^\s/?#\"']+@[^\s\"']*", re.IGNORECASE)


def collect_secrets(value: object) -> set[str]:
    """Give every secret in a record, at any depth: each SecretStr, and what URLs hold.

    What is shorter than 4 characters is no secret, such as the `!` of a locked password; without it no text would
    be left to read.
    """
    return {secret for secret in _walk(value) if len(secret) >= SHORTEST}


def find_secrets(text: str) -> set[str]:
    """Give what looks like a secret in the text of an answer that may be no answer at all."""
    found = {match[1] for match in _ASSIGNED.finditer(text)}
    found |= set(_JOIN_STRING.findall(text))
    for match in _USERINFO.finditer(text):
        found |= set(_in_url(match[0]))
    return found


def redact_all(text: str, secrets: Iterable[str]) -> str:
    """Replace every secret in `text`."""
    return redact(text, sorted(secrets))


def _walk(value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            for _, inner in value:
                yield from _walk(inner)
        case Mapping():
            for inner in value.values():
                yield from _walk(inner)
        case str():
            yield from _in_url(value)
        case list() | tuple():
            for inner in value:
                yield from _walk(inner)
        case _:
            pass


def _in_url(text: str) -> Iterator[str]:
    """Give the password of a URL (the user where there is none) and the parts of its query that name a secret."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return
    if parts.scheme not in {"http", "https"}:
        return
    secret = parts.password or parts.username or ""
    raw = [
        secret,
        *(pair.partition("=")[2] for pair in parts.query.split("&") if _tells(pair.partition("=")[0])),
    ]
    decoded = [unquote(secret), *(value for name, value in parse_qsl(parts.query) if _tells(name))]
    yield from (part for part in (*raw, *decoded) if part)


def _tells(name: str) -> bool:
    return re.search(NAME, name, re.IGNORECASE) is not None
