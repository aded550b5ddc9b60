"""Keeps one broken device from hiding all the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from hostlib.errors import SlipwayError

LOG = logging.getLogger("slipway.probe")

P = ParamSpec("P")
T = TypeVar("T")


def attempt(what: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Give what `read` gives, or None with a warning that names `what` when it fails."""
    try:
        return read(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - whatever a broken device raises, the others are still to be read
        # A message of ours stands for itself; of another error the name of its type is often all that tells something.
        kind = "" if isinstance(error, SlipwayError) else f"{type(error).__name__}: "
        LOG.warning("%s: cannot be read: %s%s", what, kind, error)
        return None
