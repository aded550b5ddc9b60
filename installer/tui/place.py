"""What the kind of a terminal means for the screens on it: where a shell is, and what leaving ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NOTHING_WRITTEN: Final = "Nothing is written to a disk by leaving."
HALF_WRITTEN: Final = "The disk that failed stays half-written."
"""Stands in its place after a failure."""


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of terminal."""

    shell_text: str
    """Where a shell is, for F2."""
    shell_button: str = ""
    """What leads there; empty: the text alone helps."""
    leaving: str = f"What has been entered is lost. {NOTHING_WRITTEN}"
    """What leaving does while nothing is installed."""
    guest: bool = False
    """Leaving ends this terminal's view alone, and is possible at any time."""


EVERYWHERE: Final = (
    f"What has been entered is lost. {NOTHING_WRITTEN} The screens end on all terminals, and "
    "each console gets a shell."
)
SCREEN: Final = Place(
    shell_text="The second screen is a root shell: Alt+F2. Alt+F1 comes back to this, and so does the command chvt 1, for "
    "a viewer that does not pass such keys on. All goes on meanwhile.",
    shell_button="Go there",
    leaving=EVERYWHERE,
)
SERIAL: Final = Place(
    shell_text="A root shell takes this console until you type exit; then the screens come back with all that has been "
    "entered. All goes on meanwhile: the other consoles, and an installation too, after which the machine restarts.",
    shell_button="Open a shell",
    leaving=EVERYWHERE,
)
OWN: Final = Place(
    shell_text="Another login, or Alt+F2 on the machine's screen, gives a shell beside this. Leaving (F10) gives the shell "
    "that this was started from; what has been entered is lost then, and a running installation cannot be left.",
)
DEMO: Final = Place(shell_text="This is a demonstration: it runs in your terminal, and there is no other.")
JOINED: Final = Place(
    shell_text="Leaving gives the shell of this terminal. The screens and an installation go on without it, nothing is "
    "lost, and the command slipway-install tui comes back.",
    shell_button="Leave",
    leaving="The screens go on on the other terminals, and nothing that has been entered is lost. The command "
    "slipway-install tui comes back.",
    guest=True,
)
GUEST_RUNNING: Final = (
    "The installation goes on without this terminal. The command slipway-install tui shows it again."
)
