"""`python3 -m firstboot [--early]`, run by systemd until the node is complete."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from firstboot.context import Context
from firstboot.execute import explain, run_tasks, write_marker
from firstboot.services import read_page
from firstboot.tasks import TASKS
from hostlib.errors import ExitStatus, SlipwayError
from hostlib.events import EventLog
from hostlib.paths import FIRSTBOOT_EVENTS, RELEASE
from hostlib.release import read_release
from hostlib.run import SystemRunner

LOG = logging.getLogger("slipway.firstboot")
AGAIN = "look: journalctl -u slipway-firstboot; again: systemctl restart slipway-firstboot, or reboot"


def main(arguments: Sequence[str]) -> ExitStatus:
    """Run first boot on this machine; `--early` runs only what must be there before ssh starts."""
    parser = argparse.ArgumentParser(prog="python3 -m firstboot", description="Complete this node.")
    parser.add_argument("--early", action="store_true", help="only what must be there before ssh starts")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    context = Context(runner=SystemRunner(), warn=warn, read_page=read_page, now=lambda: datetime.now(tz=UTC))
    return run_first_boot(context, say_on_console, early=options.early)


def run_first_boot(context: Context, say: Callable[[str], None], *, early: bool) -> ExitStatus:
    """Run the tasks and, when all are complete, write the marker. `say` takes a line for the console."""
    try:
        if early:
            complete = run_tasks([task for task in TASKS if task.early], context, say)
            return ExitStatus.DONE if complete else ExitStatus.STEP_FAILED
        seed = context.seed
        if run_tasks(TASKS, context, say):
            write_marker(context, read_release(context.path(RELEASE)).version)
            say(f"first boot: {seed.fqdn} is complete")
            return ExitStatus.DONE
    except (SlipwayError, OSError) as error:
        LOG.error("%s", explain(error))  # noqa: TRY400 - an expected error is text, never a traceback
        say(f"first boot: {explain(error)}")
        return error.exit_status if isinstance(error, SlipwayError) else ExitStatus.STEP_FAILED
    say(f"first boot is not finished, failed: {', '.join(context.failures)}; {AGAIN}")
    return ExitStatus.STEP_FAILED


def warn(text: str) -> None:
    """Report something that does not stop first boot, in the log and as an event."""
    LOG.warning("%s", text)
    EventLog(FIRSTBOOT_EVENTS).emit("warning", text=text)


def say_on_console(text: str) -> None:
    """Write a line to the system console. Never waits: a serial line with nobody at it must not hold up a boot."""
    line = "\r\n".join(["", *f"slipway: {text}".splitlines(), ""])
    with contextlib.suppress(OSError):
        descriptor = os.open("/dev/console", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
