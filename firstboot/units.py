"""systemd units: looking at them and starting them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from firstboot.context import Context
from hostlib.errors import CommandError, StepError
from hostlib.run import Runner

PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "ConditionResult", "ConditionTimestampMonotonic")
START_SECONDS = 300
NOISE = re.compile(r"\blevel=(debug|info|warning)\b")
"""Lines of Incus's log that do not tell why it ended."""


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says of a unit."""

    active: bool
    down: bool
    """Nothing of it runs, not even on its way up."""
    broken: bool
    """It failed, or cannot be started at all (`not-found`, `masked`)."""
    disabled: bool
    """It would not start at the next boot, but can be enabled."""
    skipped: bool
    """It was asked to start, but a condition of its own says that it has no business on this machine."""


def parse_unit_states(text: str, names: Sequence[str]) -> dict[str, UnitState]:
    """Read what `systemctl show` printed for `names`, in their order. Raises StepError."""
    blocks = [block for block in text.strip().split("\n\n") if block.strip()]
    if len(blocks) != len(names):
        raise StepError(f"systemctl show: {len(blocks)} units in the answer, {len(names)} were asked for")
    states = {}
    for name, block in zip(names, blocks, strict=True):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        # A condition that was never looked at reads "no" too.
        looked_at = values.get("ConditionTimestampMonotonic", "0") != "0"
        active_state = values.get("ActiveState", "")
        states[name] = UnitState(
            active=active_state == "active",
            down=active_state in {"inactive", "failed"},
            broken=active_state == "failed" or values.get("LoadState") != "loaded",
            disabled=values.get("UnitFileState") == "disabled",
            skipped=active_state == "inactive" and looked_at and values.get("ConditionResult") == "no",
        )
    return states


def read_unit_states(runner: Runner, names: Sequence[str]) -> dict[str, UnitState]:
    """Ask systemd for the state of units. Raises StepError."""
    done = runner.run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", *names])
    return parse_unit_states(done.stdout, names)


def ensure_unit(context: Context, name: str, state: UnitState) -> None:
    """Enable a unit that is disabled, and start it. Raises StepError with the unit's last words."""
    if state.disabled:
        context.runner.run(["systemctl", "enable", name])
    try:
        context.runner.run(["systemctl", "start", name], timeout_seconds=START_SECONDS)
    except CommandError as error:
        words = read_last_words(context, name) or error.output or error.reason
        raise StepError(f"{name} does not start: {words}") from error


def read_last_words(context: Context, name: str) -> str:
    """Give the last lines that a unit logged in this boot, where the reason of a failure is; may be empty."""
    argv = ["journalctl", "--boot", f"--unit={name}", "--lines=20", "--output=cat", "--no-pager"]
    try:
        text = context.runner.run(argv, timeout_seconds=60).stdout
    except CommandError:
        return ""
    return "\n".join([line for line in text.splitlines() if not NOISE.search(line)][-5:])
