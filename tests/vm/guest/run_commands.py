"""Runs commands one after the other and reports what each gave."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.vm.guest.commands import run
from tests.vm.guest.port import send


def main(parameters: Mapping[str, Any]) -> None:
    """Report each of `commands` (lists) as `output`: `status`, `stdout`, `stderr` and `seconds`."""
    for command in parameters["commands"]:
        started = time.monotonic()
        done = run(*command)
        send("report", {"kind": "output", "seconds": time.monotonic() - started, **done})
