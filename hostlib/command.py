"""What the commands of the live system and of the node share: their errors, and reading the machine they run on."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable

from hostlib.check_report import PURPOSES
from hostlib.errors import ExitStatus, Problem, SlipwayError, printable
from hostlib.inventory import Inventory
from hostlib.run import SystemRunner


def run_verb(program: str, verb: Callable[[], int], *, debug: bool) -> int:
    """Run a verb of `program`; give the exit status.

    Expected errors become lines on standard error; a traceback comes only of a defect of ours, and with `debug`.
    """
    try:
        status = verb()
        # Here and not when Python ends, so that a failure has a status.
        sys.stdout.flush()
    except SlipwayError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Who reads our output has seen enough.
        _drop_output()
        return 128 + signal.SIGPIPE
    except Exception as error:  # noqa: BLE001 - the last line of defence
        # Of a file that we write ourselves the error has the name.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
            _drop_output()
            what = "standard output: there is no space left where it is written to"
            sys.stderr.write(f"{what}; free some, and do not use what has been written\n")
            return ExitStatus.STEP_FAILED
        if debug:
            traceback.print_exc()
        what = f"internal error: {type(error).__name__}: {error}"
        todo = f"please report it; `{program} --debug VERB ...` shows where it is"
        sys.stderr.write(f"{Problem(program, what, todo)}\n")
        return ExitStatus.BUG
    return status


def _drop_output() -> None:
    """Let go of what is not written yet: it must not be tried again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def add_check_options(verb: argparse.ArgumentParser) -> None:
    """Add what a verb needs that checks a machine: `--purpose`, `--allow`."""
    verb.add_argument(
        "--purpose",
        choices=list(PURPOSES),
        default="system",
        help="what the machine is meant for (default: system)",
    )
    verb.add_argument(
        "--allow",
        metavar="ID",
        nargs="+",
        action="extend",
        default=[],
        help="checks that do not count when they fail, by the name in the table",
    )


class _Warnings(logging.Handler):
    """Prints warnings to standard error, each in one line, and keeps them."""

    def __init__(self, prefix: str) -> None:
        super().__init__(logging.WARNING)
        self.prefix = prefix
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The output of a program is part of some messages, with its line ends.
        line = printable(" ".join(record.getMessage().split()))
        self.lines.append(line)
        sys.stderr.write(f"{self.prefix}{record.name}: {line}\n")


def read_this_machine(prefix: str = "WARNING ") -> tuple[Inventory, tuple[str, ...]]:
    """Give this machine, and a line for all that could not be read of it.

    These lines go to standard error as they come, behind `prefix` and the name of the log. Raises ValueError when
    /proc/meminfo cannot be read.
    """
    # Imported here: the probe needs libraries that only talk to a running system.
    from hostlib.probe import read_inventory  # noqa: PLC0415

    warnings = _Warnings(prefix)
    log = logging.getLogger("slipway")
    log.addHandler(warnings)
    try:
        if os.geteuid():
            logging.getLogger("slipway.probe").warning(
                "not run as root: health of the drives, VGs and the machine's serial number are left out; "
                "run it as root to have all"
            )
        inventory = read_inventory(SystemRunner())
    finally:
        log.removeHandler(warnings)
    return inventory, tuple(warnings.lines)
