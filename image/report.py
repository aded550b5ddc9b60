"""Says what the build is doing, step by step, with the time since its start."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Report:
    """Prints one line when a step begins and one when it has ended."""

    def __init__(self) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the elapsed time in front."""
        seconds = int(time.monotonic() - self._start)
        sys.stdout.write(f"[{seconds // 60:2}:{seconds % 60:02}] {text}\n")
        sys.stdout.flush()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Announce a step, and say how long it took when it ended well."""
        self.say(f"{text} …")
        began = time.monotonic()
        yield
        self.say(f"{text}: done in {time.monotonic() - began:.1f} s")
