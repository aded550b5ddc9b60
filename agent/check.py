"""`slipway check`: the hardware of this node, for a person, for programs, and for what the node keeps of it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from hostlib.check_report import (
    CheckReport,
    check_allowed_ids,
    keep_report,
    make_report,
    render_journal,
    render_json,
    render_report,
)
from hostlib.checks import Purpose
from hostlib.command import read_this_machine
from hostlib.errors import ExitStatus, Problem, StepError
from hostlib.files import write_atomic


def run_check(purpose: Purpose, allow: list[str], *, as_json: bool) -> ExitStatus:
    """Check this node and print the report; CHECK_BLOCKS when something blocks. Raises UserError."""
    check_allowed_ids(allow)
    machine, unread = read_this_machine()
    report = make_report(machine, purpose, allow=allow, unread=unread)
    sys.stdout.write(render_json(report) if as_json else render_report(machine, report))
    return report.exit_status


def run_saved_check(purpose: Purpose, allow: list[str], path: Path) -> ExitStatus:
    """Check this node, write the findings to `path` and a line for each of them to the journal.

    DONE whatever is found: a worn disk must not fail a service every day. Raises UserError, StepError when `path`
    cannot be written.
    """
    check_allowed_ids(allow)
    machine, unread = read_this_machine("<4>")
    report = make_report(machine, purpose, allow=allow, unread=unread)
    # First, so that what was found is told even where it cannot be kept.
    sys.stdout.write(render_journal(report))
    _save(report, path)
    return ExitStatus.DONE


def _save(report: CheckReport, path: Path) -> None:
    kept = keep_report(report, datetime.now(tz=UTC).replace(microsecond=0))
    try:
        write_atomic(path, render_json(kept), mode=0o640)
    except OSError as error:
        what = f"the findings cannot be written ({error.strerror}); those of the last time are kept"
        todo = "free some space on its file system, or run it as root"
        raise StepError(str(Problem(str(path), what, todo))) from error
