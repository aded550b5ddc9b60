"""Wording that the rules of the answer file share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic_core import PydanticCustomError

WRONG = "slipway"
"""Type of the pydantic errors that our own rules raise; their context holds `what` and `todo`."""


def wrong(what: str, todo: str) -> PydanticCustomError:
    """Give the error of a rule that a value breaks. Never put a secret into it."""
    return PydanticCustomError(WRONG, "{what}; {todo}", {"what": what, "todo": todo})


def closest(given: str, known: Iterable[str]) -> str | None:
    """Give the known word that was most likely meant."""
    folded = {word.lower().replace("_", "-"): word for word in known}
    found = difflib.get_close_matches(given.lower().replace("_", "-"), folded, n=1)
    return folded[found[0]] if found else None


def suggest(given: str, known: Iterable[str], otherwise: str) -> str:
    """Give what to do about an unknown word: the likely one, or `otherwise`."""
    meant = closest(given, known)
    return f"did you mean `{meant}`?" if meant else otherwise


def listed(words: Iterable[str]) -> str:
    """Give words as a list for a sentence, in code quotes."""
    return ", ".join(f"`{word}`" for word in words)
