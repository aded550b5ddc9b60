"""Measures how little memory was left at the worst moment, for as long as the machine runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.vm.guest.port import send

_POLL_SECONDS: Final = 0.2
_STEP_KIB: Final = 1024
"""A new low is told when it is lower by so much."""


def main(_parameters: Mapping[str, object]) -> None:
    """Report each new low as `memory`: `total_kib`, `available_kib`. Never ends by itself."""
    lowest = 1 << 62
    while True:
        rows = (line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        values = {row[0].rstrip(":"): int(row[1]) for row in rows}
        if values["MemAvailable"] <= lowest - _STEP_KIB:
            lowest = values["MemAvailable"]
            send("report", {"kind": "memory", "total_kib": values["MemTotal"], "available_kib": lowest})
        time.sleep(_POLL_SECONDS)
