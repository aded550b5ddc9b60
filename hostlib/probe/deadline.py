"""Runs probes beside each other, all of them within one time: a dead disk may hold up a program for minutes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from hostlib.probe.attempt import attempt

LOG = logging.getLogger("slipway.probe")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def gather(what: str, probes: Mapping[K, Callable[[], V]], seconds: float) -> dict[K, V]:
    """Give what each probe gives, by its key; one that fails or is not done after `seconds` is left out.

    A warning in the log names it by `what` and its key. Its thread is left behind: a program that waits for a device
    cannot be ended, and a daemon's thread does not hold up the end of Python.
    """
    found: dict[K, V] = {}

    def run(key: K, probe: Callable[[], V]) -> None:
        result = attempt(f"{what} {key}", probe)
        if result is not None:
            found[key] = result

    until = time.monotonic() + seconds
    threads = {
        key: threading.Thread(target=run, args=(key, probe), daemon=True) for key, probe in probes.items()
    }
    for thread in threads.values():
        thread.start()
    for key, thread in threads.items():
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            LOG.warning("%s %s: no answer within %g s", what, key, seconds)
    return dict(found)
