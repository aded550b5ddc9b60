"""What the checks of one machine amount to: the record that is stored, and its forms for people and programs. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal

from pydantic import ConfigDict, Field

from hostlib.checks import (
    CHECK_IDS,
    NEVER_ALLOWED,
    Finding,
    Purpose,
    Severity,
    allow_findings,
    blocking_problems,
    render_findings,
    run_checks,
)
from hostlib.errors import ExitStatus, Problem, UserError, printable
from hostlib.inventory import Inventory
from hostlib.record import Record

SCHEMA: Final = 1
PURPOSES: Final[dict[Purpose, str]] = {
    "system": "to run as a node",
    "ceph": "to give its disks to Ceph",
    "zfs": "to give its disks to ZFS",
}
# Priorities of sd-daemon(3): error, warning, informational.
_PRIORITIES: Final[dict[Severity, str]] = {"blocking": "<3>", "warning": "<4>", "ok": "<6>"}


class Counts(Record):
    """Number of findings of each sort; one that is allowed is in `allowed` alone."""

    blocking: int = 0
    warning: int = 0
    allowed: int = 0
    ok: int = 0


class CheckReport(Record):
    """All that was found out about a machine."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    purpose: Purpose
    counts: Counts
    unread: tuple[str, ...] = ()
    """What could not be read, and so was not checked: a line each."""
    findings: tuple[Finding, ...] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @property
    def exit_status(self) -> ExitStatus:
        """CHECK_BLOCKS when something blocks that is not allowed."""
        return ExitStatus.CHECK_BLOCKS if blocking_problems(self.findings) else ExitStatus.DONE


class SavedReport(CheckReport):
    """What a node keeps of its latest check: the findings that are not ok, those that are only counted."""

    time: datetime
    """When it was made, with time zone."""


def check_allowed_ids(ids: Iterable[str]) -> None:
    """Refuse ids that no check has, and those of checks without which nothing can be installed.

    Raises UserError with a line for each.
    """
    given = list(dict.fromkeys(ids))
    problems = [
        Problem("--allow", f"no check is called '{name}'", "take a name from the second column of the table")
        for name in given
        if name not in CHECK_IDS
    ] + [
        Problem(
            "--allow", f"'{name}' cannot be allowed: no installation is possible like that", "leave it out"
        )
        for name in given
        if name in NEVER_ALLOWED
    ]
    if problems:
        raise UserError(problems)


def make_report(
    inventory: Inventory, purpose: Purpose, *, allow: Iterable[str] = (), unread: Sequence[str] = ()
) -> CheckReport:
    """Check a machine for a purpose. `allow` are ids of checks that may fail, `unread` what the probe complained of."""
    findings = allow_findings(run_checks(inventory, purpose), allow)
    return CheckReport(
        purpose=purpose, counts=_count(findings), unread=tuple(unread), findings=tuple(findings)
    )


def _count(findings: Iterable[Finding]) -> Counts:
    return Counts(**Counter("allowed" if finding.allowed else finding.severity for finding in findings))


def keep_report(report: CheckReport, time: datetime) -> SavedReport:
    """Give what is to be stored of a report that was made at `time`."""
    troubles = tuple(finding for finding in report.findings if finding.severity != "ok")
    return SavedReport(
        purpose=report.purpose, counts=report.counts, unread=report.unread, findings=troubles, time=time
    )


def render_json(report: CheckReport) -> str:
    """Give the JSON text of a report: ASCII, since a device may call itself anything."""
    return json.dumps(report.model_dump(mode="json", by_alias=True), indent=2) + "\n"


def render_report(inventory: Inventory, report: CheckReport) -> str:
    """Give the report as a person reads it: the machine, the purpose, the table, and what it comes to."""
    head = f"machine  {_render_machine(inventory)}\npurpose  {report.purpose}: {PURPOSES[report.purpose]}\n"
    return f"{head}\n{render_findings(report.findings)}\n{render_summary(report)}\n"


def _render_machine(inventory: Inventory) -> str:
    dmi, firmware = inventory.dmi, inventory.firmware
    secure = ", Secure Boot on" if firmware.secure_boot else ""
    parts = (
        " ".join(filter(None, (dmi.vendor, dmi.product))) or "of an unknown vendor",
        f"serial number {dmi.serial}" if dmi.serial else "no serial number",
        f"started by {firmware.mode.upper()}{secure}",
    )
    return printable(", ".join(parts))


def render_summary(report: CheckReport) -> str:
    """Give the numbers in one line: `2 block, 3 warnings, 14 checks passed`."""
    counts = report.counts
    parts = [
        _plural(counts.blocking, "blocks", "block") if counts.blocking else "nothing blocks",
        _plural(counts.warning, "warning", "warnings") if counts.warning else "no warnings",
        f"{counts.allowed} allowed" if counts.allowed else "",
        _plural(counts.ok, "check passed", "checks passed"),
        f"{len(report.unread)} could not be read" if report.unread else "",
    ]
    return ", ".join(filter(None, parts))


def _plural(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def render_journal(report: CheckReport) -> str:
    """Give a line for each finding that is not ok, the worst first, and the numbers, with sd-daemon(3)'s priorities."""
    troubles = [finding for finding in report.findings if finding.severity != "ok"]
    lines = sorted(
        f"<6>{finding.id}, allowed: {finding.problem}"
        if finding.allowed
        else f"{_PRIORITIES[finding.severity]}{finding.id}: {finding.problem}"
        for finding in troubles
    )
    return "".join(f"{line}\n" for line in (*lines, f"<6>{report.purpose}: {render_summary(report)}"))
