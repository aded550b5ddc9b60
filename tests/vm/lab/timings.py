"""Durations that tests measure, and the table that shows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

PROPERTY: Final = "slipway-timing"
"""Name of the pytest user property that carries a duration from a test worker to the report."""


class Timing(NamedTuple):
    """One duration, or another amount that was measured."""

    test: str
    name: str
    value: float
    unit: str = "s"


class Timings:
    """Takes a test's durations."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        """Take the function that keeps a property with the test's result."""
        self._record = record

    def add(self, name: str, value: float, unit: str = "s") -> None:
        """Keep a duration in seconds, or an amount in another unit, under a name."""
        self._record(PROPERTY, [name, round(value, 1), unit])

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure the block and keep its duration, also when it fails."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - start)


def collect_timings(test: str, properties: Iterable[tuple[str, object]]) -> list[Timing]:
    """Pick the durations out of a test's user properties."""
    return [
        Timing(test, str(value[0]), float(value[1]), str(value[2]))
        for name, value in properties
        if name == PROPERTY and isinstance(value, list | tuple)
    ]


def render_timings(timings: Iterable[Timing]) -> list[str]:
    """Render a table, one line a duration, in the order given."""
    rows = [
        (timing.test.split("::", 1)[-1], timing.name, f"{timing.value:.1f} {timing.unit}")
        for timing in timings
    ]
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [f"{test:<{widths[0]}}  {name:<{widths[1]}}  {value:>{widths[2]}}" for test, name, value in rows]
