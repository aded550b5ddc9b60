"""The wizard: which screen is shown, and what is before and behind it. Knows nothing of how they look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Stop(Generic[S]):
    """A screen of the wizard, and when it is one."""

    screen: S
    wanted: Callable[[], bool]


class Flow(Generic[S]):
    """The place in the wizard; all consoles share it. What has been entered is kept elsewhere, and stays."""

    def __init__(self, stops: Sequence[Stop[S]], moved: Callable[[], None]) -> None:
        """Take the screens in their order, and who is told of a move."""
        self._stops = stops
        self._moved = moved
        self._place = 0

    @property
    def current(self) -> S:
        """The screen that is shown. Where it is not wanted any more, the next that is, else the last before it."""
        self._settle()
        return self._stops[self._place].screen

    @property
    def number(self) -> tuple[int, int]:
        """Which screen of how many."""
        # An installation that ends between two looks at this may have taken the screen away.
        places = self._settle()
        return places.index(self._place) + 1, len(places)

    def forward(self) -> None:
        """Go to the next screen; stay on the last."""
        self._go(next((place for place in self._wanted() if place > self._place), self._place))

    def back(self) -> None:
        """Go to the screen before; stay on the first."""
        self._go(max((place for place in self._wanted() if place < self._place), default=self._place))

    def _wanted(self) -> list[int]:
        return [place for place, stop in enumerate(self._stops) if stop.wanted()]

    def _settle(self) -> list[int]:
        """Leave a screen that is not wanted any more; give the places of those that are."""
        places = self._wanted()
        if self._place not in places:
            self._place = next((place for place in places if place > self._place), places[-1])
        return places

    def _go(self, place: int) -> None:
        self._place = place
        self._moved()
