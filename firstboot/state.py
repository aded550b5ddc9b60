"""Record of first boot for people and programs. It decides nothing: each task looks at the machine itself."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import ConfigDict, Field, ValidationError

from hostlib.files import write_atomic
from hostlib.record import Record

SCHEMA: Final = 1


class Failure(Record):
    """The last time that a task failed."""

    task: str
    reason: str
    at: datetime


class State(Record):
    """What happened so far, over all boots."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    done: dict[str, datetime] = Field(default_factory=dict)
    """Task -> when it was last found or made complete, UTC."""
    last_failure: Failure | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def with_done(self, task: str, at: datetime) -> State:
        """Give the state after `task` was completed."""
        return self.model_copy(update={"done": {**self.done, task: at}})

    def with_failure(self, task: str, reason: str, at: datetime) -> State:
        """Give the state after `task` failed; it does not count as done any more."""
        done = {name: when for name, when in self.done.items() if name != task}
        return self.model_copy(
            update={"done": done, "last_failure": Failure(task=task, reason=reason, at=at)}
        )


def load_state(path: Path) -> tuple[State, str | None]:
    """Read the state, and say what was odd about it.

    A file that is damaged or of a newer version is kept beside as `*.odd` and an empty state is given: nothing
    is lost, since every task looks again whether it is needed. Raises OSError when the file cannot be read.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return State(), None
    try:
        return State.model_validate_json(text), None
    except ValidationError:
        aside = path.with_name(f"{path.name}.odd")
        path.replace(aside)
        return (
            State(),
            f"{path}: damaged or of a newer version; kept as {aside}, all tasks are looked at again",
        )


def save_state(state: State, path: Path) -> None:
    """Write the state. Raises OSError."""
    write_atomic(path, state.model_dump_json(by_alias=True, indent=2) + "\n")
