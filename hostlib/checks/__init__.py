"""What a machine and its disks must be like, for a purpose. Pure: reads an Inventory, touches nothing.

The table is in docs/checks.md; a test keeps both equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hostlib.checks.controllers import CONTROLLER_CHECKS
from hostlib.checks.disks import DISK_CHECKS
from hostlib.checks.machine import MACHINE_CHECKS
from hostlib.checks.model import Check, Purpose, find
from hostlib.checks.render import render_findings
from hostlib.checks.target import MINIMUM_TARGET_BYTES, TARGET_CHECKS
from hostlib.controllers import BOOT_VOLUME
from hostlib.errors import Problem
from hostlib.finding import Finding, Severity
from hostlib.inventory import Disk, Inventory

__all__ = [
    "ALL_CHECKS",
    "CHECK_IDS",
    "MINIMUM_TARGET_BYTES",
    "NEVER_ALLOWED",
    "Check",
    "Finding",
    "Purpose",
    "Severity",
    "allow_findings",
    "blocking_problems",
    "check_installation",
    "check_target",
    "disks_for",
    "render_findings",
    "run_checks",
]

ALL_CHECKS: Final = (*MACHINE_CHECKS, *CONTROLLER_CHECKS, *DISK_CHECKS, *TARGET_CHECKS)
CHECK_IDS: Final = frozenset(check.id for check in ALL_CHECKS)
NEVER_ALLOWED: Final = frozenset(
    {"target-medium", "target-in-use", "target-size", "target-read-only", "disk-present", "nic-present"}
)
"""What no `checks.allow` gets past: no installation is possible then."""


def disks_for(inventory: Inventory, purpose: Purpose) -> tuple[Disk, ...]:
    """Give the disks that a purpose is about.

    `system`: all but the boot medium. `ceph` and `zfs`: of these neither the volumes of cards that are made for the
    system alone (Dell BOSS and the like) nor the disks that the running system is on; on the live system it is on
    none, so the disk that a node will be installed on is among them.
    """
    return tuple(
        disk
        for disk in inventory.disks
        if not disk.boot_medium
        and (
            purpose == "system"
            or not (
                BOOT_VOLUME.match(disk.model) or any("/" in content.mountpoints for content in disk.contents)
            )
        )
    )


def run_checks(inventory: Inventory, purpose: Purpose = "system") -> list[Finding]:
    """Check machine, controllers and disks for a purpose: what is wrong one by one, what is well a line a check.

    A node that stores data lives on its system disk too: what is made for `system`, such as health, is about all
    disks for every purpose.
    """
    every, data = disks_for(inventory, "system"), disks_for(inventory, purpose)
    checks = (*MACHINE_CHECKS, *CONTROLLER_CHECKS, *DISK_CHECKS)
    return [
        finding
        for check in checks
        for finding in find(check, purpose, inventory, data if check.severities.system == "ok" else every)
    ]


def check_target(inventory: Inventory, disk: Disk) -> list[Finding]:
    """Check a disk of the machine as the one that will be erased."""
    return [finding for check in TARGET_CHECKS for finding in find(check, "system", inventory, [disk])]


def check_installation(inventory: Inventory, target: Disk | None) -> list[Finding]:
    """Check a machine and the disk that will be erased, where one is chosen; what is wrong with it is told once."""
    findings = run_checks(inventory)
    if target is None:
        return findings
    rows = {check.id for check in DISK_CHECKS}
    others = [found for found in findings if found.id not in rows or found.device != target.stable_path]
    return others + check_target(inventory, target)


def blocking_problems(findings: Iterable[Finding]) -> tuple[Problem, ...]:
    """Give what must stop an installation, for a CheckBlocksError: what blocks and is not allowed."""
    return tuple(
        finding.problem for finding in findings if finding.severity == "blocking" and not finding.allowed
    )


def allow_findings(findings: Iterable[Finding], ids: Iterable[str]) -> list[Finding]:
    """Mark the findings whose check is one of `ids` as allowed, save those that are well and NEVER_ALLOWED."""
    allowed = frozenset(ids) - NEVER_ALLOWED
    return [
        finding.model_copy(update={"allowed": True})
        if finding.id in allowed and finding.severity != "ok"
        else finding
        for finding in findings
    ]
