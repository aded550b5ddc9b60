"""Finds out how a node is: LVM, file system, md arrays, units, certificate, and what the hardware check found."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.x509 import load_pem_x509_certificate

from agent.health import (
    Array,
    Health,
    ThinPool,
    Trouble,
    check_array,
    check_certificate,
    check_fill,
    check_thin_pool,
    check_units,
    sort_troubles,
)
from hostlib.errors import CommandError
from hostlib.files import read_if_there
from hostlib.finding import Finding
from hostlib.paths import FINDINGS
from hostlib.run import Runner
from hostlib.tls import CERTIFICATE

TIMEOUT_SECONDS: Final = 30.0


def parse_thin_pools(text: str) -> list[ThinPool]:
    """Read `lvs --reportformat json`. Raises ValueError, KeyError."""

    def percent(value: str) -> float | None:
        return float(value) if value else None

    return [
        ThinPool(
            f"{lv['vg_name']}/{lv['lv_name']}", percent(lv["data_percent"]), percent(lv["metadata_percent"])
        )
        for report in json.loads(text)["report"]
        for lv in report["lv"]
        if lv["lv_attr"].startswith("t")
    ]


def parse_mdstat(text: str) -> list[Array]:
    """Read /proc/mdstat."""
    arrays = []
    for block in re.split(r"\n(?=md\S* : )", text):
        head = re.match(r"(md\S*) : (active|inactive|broken) ?((?:\([\w-]+\) )*)(.*)", block)
        if head is None:
            continue
        words = head[4].split()
        level = next((word for word in words if "[" not in word), "")
        places = re.search(r"\[(\d+)/(\d+)\] \[", block)
        progress = re.search(r"(?:recovery|resync|reshape|check) ?= ?[\d.]+%", block)
        arrays.append(
            Array(
                name=head[1],
                active=head[2] != "inactive",
                container="super external:" in block and head[2] == "inactive",
                level=level,
                failed=tuple(word.split("[")[0] for word in words if word.endswith("(F)")),
                missing=int(places[1]) - int(places[2]) if places else 0,
                progress=" ".join(progress[0].split()) if progress else "",
            )
        )
    return arrays


def parse_failed_units(text: str) -> list[str]:
    """Read `systemctl list-units --state=failed --output=json`: the units' names. Raises ValueError, KeyError."""
    return [str(row["unit"]) for row in json.loads(text or "[]")]


class _Reader:
    """Reads one thing after the other; what cannot be read is a trouble of its own and stops nothing."""

    def __init__(self, runner: Runner, root: Path, now: datetime) -> None:
        self.runner = runner
        self.root = root
        self.now = now
        self.thin_pool_percent: float | None = None
        self.certificate_expires: int | None = None

    def read(self, where: str, step: Callable[[], list[Trouble]]) -> list[Trouble]:
        try:
            return step()
        except CommandError as error:
            what = f"cannot be read: {error.reason}" + (
                f" ({error.output.splitlines()[-1]})" if error.output else ""
            )
            return [Trouble("warning", where, what, f"try it: {error.command}")]
        except (OSError, ValueError, KeyError, TypeError) as error:
            return [
                Trouble(
                    "warning", where, f"cannot be read: {error}", "look at it; it is tried again by itself"
                )
            ]

    def thin_pools(self) -> list[Trouble]:
        fields = "vg_name,lv_name,lv_attr,data_percent,metadata_percent"
        argv = ["lvs", "--reportformat", "json", "-o", fields]
        pools = parse_thin_pools(self.runner.run(argv, timeout_seconds=TIMEOUT_SECONDS).stdout)
        self.thin_pool_percent = max(
            (pool.data_percent for pool in pools if pool.data_percent is not None), default=None
        )
        return [trouble for pool in pools for trouble in check_thin_pool(pool)]

    def root_file_system(self) -> list[Trouble]:
        numbers = os.statvfs(self.root)
        used = numbers.f_blocks - numbers.f_bfree
        # As df(1) counts: without what is reserved for root.
        percent = 100.0 * used / max(1, used + numbers.f_bavail)
        todo = (
            "delete what is not needed, such as backups and images in /var/lib/vz; look: du -xh / | sort -h"
        )
        return check_fill("/", "is", percent, todo)

    def arrays(self) -> list[Trouble]:
        troubles: list[Trouble] = []
        for array in parse_mdstat(read_if_there(self.root / "proc/mdstat") or ""):
            state = read_if_there(self.root / f"sys/block/{array.name}/md/array_state") or ""
            troubles += check_array(array, state)
        return troubles

    def units(self) -> list[Trouble]:
        argv = ["systemctl", "list-units", "--state=failed", "--output=json"]
        return check_units(parse_failed_units(self.runner.run(argv, timeout_seconds=TIMEOUT_SECONDS).stdout))

    def certificate(self) -> list[Trouble]:
        path = self.root / CERTIFICATE.relative_to("/")
        expires = load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        self.certificate_expires = int(expires.timestamp())
        return check_certificate(CERTIFICATE, expires, self.now)

    def hardware(self) -> list[Trouble]:
        text = read_if_there(self.root / FINDINGS.relative_to("/"))
        if text is None:
            # The first check comes some minutes after the first start.
            return []
        # Not by `hostlib.check_report`, which would bring all checks into the agent's memory for good.
        findings = [Finding.model_validate(row) for row in json.loads(text)["findings"]]
        return [
            Trouble(
                "critical" if finding.severity == "blocking" else "warning",
                finding.problem.where,
                finding.problem.what,
                finding.problem.todo,
            )
            for finding in findings
            if not finding.allowed and finding.severity != "ok"
        ]


def read_health(runner: Runner, now: datetime, root: Path = Path("/")) -> Health:
    """Find out how the system at `root` is. Never raises for what cannot be read: that is one of the troubles."""
    reader = _Reader(runner, root, now)
    troubles = [
        *reader.read("lvs", reader.thin_pools),
        *reader.read("/", reader.root_file_system),
        *reader.read("/proc/mdstat", reader.arrays),
        *reader.read("systemctl", reader.units),
        *reader.read("the node's certificate", reader.certificate),
        *reader.read(str(FINDINGS), reader.hardware),
    ]
    return Health(
        int(now.timestamp()), sort_troubles(troubles), reader.thin_pool_percent, reader.certificate_expires
    )
