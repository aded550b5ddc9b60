"""Where an installation is: the state that all consoles show. Safe to use from any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hostlib.banner import render_certificate
from installer.progress import Event
from installer.tui.controller import Outcome, Progress, State

NEXT: Final = {
    State.EDITING: {State.CONFIRMED},
    State.CONFIRMED: {State.INSTALLING, State.FAILED},
    State.INSTALLING: {State.DONE, State.FAILED},
    State.FAILED: {State.EDITING},
    State.DONE: set[State](),
}
"""State -> those that may follow. What is installed is never installed again by mistake."""


class Installation:
    """One installation from the question to its end."""

    def __init__(self, changed: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Take who is told of every change."""
        self._changed = changed
        self._clock = clock
        self._lock = threading.RLock()
        self._state = State.EDITING
        self._progress = Progress()
        self._outcome = Outcome()
        self._begun = 0.0
        self._fingerprint = ""

    @property
    def state(self) -> State:
        """Where it is."""
        return self._state

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self._outcome

    @property
    def progress(self) -> Progress:
        """How far it is; the time stands still once it has ended."""
        with self._lock:
            now, running = self._progress, self._state in {State.CONFIRMED, State.INSTALLING}
            elapsed = int(self._clock() - self._begun) if running else now.elapsed_seconds
            return Progress(now.phase, now.percent, elapsed, now.warnings)

    def confirm(self) -> bool:
        """Take the order to install. False when another console has given it already."""
        with self._lock:
            if self._state is not State.EDITING:
                return False
            self._begun = self._clock()
            self._progress, self._outcome = Progress(), Outcome()
            self._move(State.CONFIRMED)
            return True

    def begin(self) -> None:
        """Say that the installation proper begins."""
        self._move(State.INSTALLING)

    def take(self, event: Event) -> None:
        """Take an event of the installation, see `installer.progress`. Its end is told by `succeed` and `fail`."""
        with self._lock:
            now = self._progress
            if event.event == "warning":
                self._progress = Progress(now.phase, now.percent, 0, (*now.warnings, event.text))
            elif event.event in {"phase", "progress"}:
                self._progress = Progress(event.phase, event.percent, 0, now.warnings)
            elif event.event == "succeeded":
                self._fingerprint = event.fingerprint
        self._changed()

    def succeed(self, outcome: Outcome) -> None:
        """Say that all is installed; the fingerprint is the one that came with the event."""
        self._end(State.DONE, replace(outcome, certificate=tuple(render_certificate(self._fingerprint))))

    def fail(self, reason: str) -> None:
        """Say why it ended without success."""
        self._end(State.FAILED, Outcome(reason=reason))

    def retry(self) -> None:
        """Go back from a failure; does nothing when another console has done so."""
        with self._lock:
            if self._state is State.FAILED:
                self._move(State.EDITING)

    def _end(self, state: State, outcome: Outcome) -> None:
        with self._lock:
            self._progress, self._outcome = self.progress, outcome
            self._move(state)

    def _move(self, state: State) -> None:
        with self._lock:
            if state not in NEXT[self._state]:
                raise ValueError(f"an installation cannot go from {self._state} to {state}")
            self._state = state
        self._changed()
