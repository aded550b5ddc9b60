"""Runs the tasks in order and reports on each."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence

from firstboot.context import Context, Task
from firstboot.state import State, load_state, save_state
from hostlib.errors import SlipwayError
from hostlib.events import EventLog
from hostlib.files import write_atomic
from hostlib.paths import FIRSTBOOT_DONE, FIRSTBOOT_EVENTS, FIRSTBOOT_STATE

LOG = logging.getLogger("slipway.firstboot")


def run_tasks(tasks: Sequence[Task], context: Context, say: Callable[[str], None]) -> bool:
    """Run `tasks`; tell whether every one of them is complete.

    A task that fails stops only those that need it: the more of the node works, the better it can be repaired.
    `say` takes a line for the console. The failures stay in `context.failures`.
    """
    events = EventLog(context.path(FIRSTBOOT_EVENTS))
    state = _load(context)
    for task in tasks:
        LOG.info("task %s", task.name)
        events.emit("task-started", task=task.name)
        started = time.monotonic()
        reason = _attempt(task, context)
        if reason is None:
            events.emit("task-done", task=task.name, seconds=round(time.monotonic() - started, 1))
            state = state.with_done(task.name, context.now())
        else:
            context.failures[task.name] = reason
            LOG.error("task %s failed: %s", task.name, reason)
            events.emit("task-failed", task=task.name, reason=reason)
            say(f"first boot: {task.name} failed: {reason}")
            state = state.with_failure(task.name, reason, context.now())
        _save(state, context)
    events.emit("finished", failed=len(context.failures))
    return not context.failures


def write_marker(context: Context, version: str) -> None:
    """Say for good that first boot is finished. Raises OSError."""
    # Programs that the tasks ran wrote files without waiting for the disk. The marker must not outlive them.
    os.sync()
    write_atomic(context.path(FIRSTBOOT_DONE), f"{version} {context.now().isoformat(timespec='seconds')}\n")


def explain(error: SlipwayError | OSError) -> str:
    """Give the text of an expected error for the administrator."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _attempt(task: Task, context: Context) -> str | None:
    if broken := [name for name in task.after if name in context.failures]:
        return f"not tried, because it needs {' and '.join(broken)}"
    try:
        if task.needed(context):
            task.run(context)
            if task.needed(context):
                return "everything was done without an error, but the effect is not there"
    except (SlipwayError, OSError) as error:
        return explain(error)
    except Exception as error:
        # A bug in one task must not keep the others from running.
        LOG.exception("bug in task %s", task.name)
        return f"bug: {type(error).__name__}: {error}"
    return None


def _load(context: Context) -> State:
    try:
        state, odd = load_state(context.path(FIRSTBOOT_STATE))
    except OSError as error:
        state, odd = State(), explain(error)
    if odd:
        context.warn(odd)
    return state


def _save(state: State, context: Context) -> None:
    try:
        save_state(state, context.path(FIRSTBOOT_STATE))
    except OSError as error:
        context.warn(f"the state of first boot cannot be stored: {explain(error)}")
