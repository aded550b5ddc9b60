"""What happens during an installation, as events, and who shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from hostlib.events import EventLog
from installer.steps.base import Progress, Step

BAR_WIDTH = 20
LINE_WIDTH = 78


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to tell: of the installation (`percent` is of the whole) or of its current phase."""

    event: Literal["started", "phase", "progress", "warning", "succeeded", "failed"]
    phase: str = ""
    percent: int = 0
    text: str = ""
    """The warning, or the reason of the failure; the installation's id for `started`."""
    status: int = 0
    """The exit status, for `failed`."""
    url: str = ""
    """Of the node's web console, for `succeeded`."""
    fingerprint: str = ""
    """SHA-256 of the certificate that it shows, as browsers print it, for `succeeded`."""


Sink = Callable[[Event], None]
"""Takes events. It must not raise: a dead console is no reason to stop an installation."""


def log_sink(log: EventLog) -> Sink:
    """Give the sink that writes JSON lines."""
    names = {"started": "install_id", "warning": "text", "failed": "reason"}

    def write(event: Event) -> None:
        fields: dict[str, str | float | None] = {}
        if event.event in {"phase", "progress"}:
            fields = {"phase": event.phase, "percent": event.percent}
        elif event.event == "succeeded":
            fields = {"url": event.url, "fingerprint": event.fingerprint}
        elif event.event in names:
            fields = {names[event.event]: event.text}
        log.emit(event.event, **fields)

    return write


def render_bar(percent: int, text: str) -> str:
    """Give a line with a bar: `[########            ]  42%  copy`."""
    bar = "#" * (percent * BAR_WIDTH // 100)
    return f"[{bar:<{BAR_WIDTH}}] {percent:3d}%  {text}"[:LINE_WIDTH]


def console_sink(write: Callable[[str], None], *, moving: bool) -> Sink:
    """Give the sink for a person. `moving`: the bar is drawn again in its line; else one line a phase."""
    drawn = False

    def show(event: Event) -> None:
        nonlocal drawn
        if event.event == "phase" or (event.event == "progress" and moving):
            line = render_bar(event.percent, event.phase)
            write(f"\r{line:<{LINE_WIDTH}}" if moving else f"{line}\n")
            drawn = moving
            return
        end = "\n" if drawn else ""
        if event.event == "warning":
            drawn = False
            write(f"{end}warning: {event.text}\n")
        elif event.event == "succeeded":
            write(f"{end if moving else ''}{render_bar(100, 'installed')}\n")
        elif event.event == "failed":
            write(end)

    return show


class Reporter:
    """Turns the progress of single steps into events of the whole installation."""

    def __init__(self, steps: Sequence[Step], sinks: Sequence[Sink]) -> None:
        """Take all steps of the installation and who is told."""
        self._sinks = sinks
        self._total = sum(step.weight for step in steps) or 1
        self._done = 0
        self._shown = -1

    def tell(self, event: Event) -> None:
        """Hand an event to every sink."""
        for sink in self._sinks:
            sink(event)

    def warn(self, text: str) -> None:
        """Tell something that does not stop the installation."""
        self.tell(Event("warning", text=text))

    def begin(self, step: Step) -> Progress:
        """Say that a step begins; give what takes its progress."""
        self._shown = self._percent(0)
        self.tell(Event("phase", step.name, self._shown))

        def progress(done: float) -> None:
            percent = self._percent(step.weight * min(max(done, 0.0), 1.0))
            if percent > self._shown:
                self._shown = percent
                self.tell(Event("progress", step.name, percent))

        return progress

    def end(self, step: Step) -> None:
        """Say that a step is done."""
        self._done += step.weight

    def _percent(self, extra: float) -> int:
        return int(100 * (self._done + extra) / self._total)
