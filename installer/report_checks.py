"""What the checks of the hardware found, as reports and the webhook tell it. Pure. See docs/reporting.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from hostlib.checks import Finding
from hostlib.inventory import Disk, Inventory


def plan_checks(findings: Iterable[Finding], inventory: Inventory) -> list[dict[str, Any]]:
    """Give the findings that are not ok as JSON objects; kernel names of disks, which change, are replaced."""
    return [
        {
            "id": finding.id,
            "severity": finding.severity,
            "device": name_disks(finding.device, inventory),
            "measured": name_disks(finding.measured, inventory),
            "allowed": finding.allowed,
        }
        for finding in findings
        if finding.severity != "ok"
    ]


def name_disks(text: str, inventory: Inventory) -> str:
    """Replace each kernel name of a disk or partition (`sda`, `/dev/nvme0n1p2`) by one that is there for good."""
    for disk in inventory.disks:
        # Partitions of a disk whose name ends with a digit have a `p` before their number (kernel: disk_name()).
        part = rf"(?:{'p' if disk.name[-1].isdigit() else ''}(?P<part>\d+))?"
        name = rf"(?<![\w/.-])(?:/dev/)?{re.escape(disk.name)}{part}(?![\w-])"
        text = re.sub(name, lambda found, disk=disk: _stable(disk, found["part"]), text)  # type: ignore[misc]
    return text


def _stable(disk: Disk, part: str | None) -> str:
    names = [f"/dev/disk/by-id/{name}" for name in disk.ids] + [
        f"/dev/disk/by-path/{name}" for name in disk.paths
    ]
    if names:
        return f"{names[0]}-part{part}" if part else names[0]
    nameless = f"a disk without name ({disk.model or 'no model'}, serial {disk.serial or 'unknown'})"
    return f"partition {part} of {nameless}" if part else nameless
