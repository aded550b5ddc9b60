"""Runs probes beside each other, all of them within one time: a dead disk may hold up a program for minutes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Final, TypeVar

from hostlib.probe.attempt import attempt

LOG = logging.getLogger("slipway.probe")

AT_ONCE: Final = 64
"""Each probe is a program with its pipes: of all drives of a large machine at once, the open files would run out
(systemd.exec(5), LimitNOFILE=: 1024)."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def gather(what: str, probes: Mapping[K, Callable[[], V]], seconds: float) -> dict[K, V]:
    """Give what each probe gives, by its key; one that fails or is not done after `seconds` is left out.

    A warning in the log names it by `what` and its key. Its thread is left behind: a program that waits for a device
    cannot be ended, and a daemon's thread does not hold up the end of Python. At most `AT_ONCE` run at a time, in the
    order given.
    """
    found: dict[K, V] = {}
    ended: set[K] = set()
    places = threading.Semaphore(AT_ONCE)
    until = time.monotonic() + seconds

    def run(key: K, probe: Callable[[], V]) -> None:
        # Nothing is begun after the end: the disk may be in use by then.
        if not places.acquire(timeout=max(0.0, until - time.monotonic())) or time.monotonic() > until:
            return
        result = attempt(f"{what} {key}", probe)
        places.release()
        if result is not None:
            found[key] = result
        ended.add(key)

    threads = {
        key: threading.Thread(target=run, args=(key, probe), daemon=True) for key, probe in probes.items()
    }
    for thread in threads.values():
        thread.start()
    for key, thread in threads.items():
        thread.join(max(0.0, until - time.monotonic()))
        if key not in ended:
            LOG.warning("%s %s: no answer within %g s", what, key, seconds)
    return dict(found)
