"""Tries answer files in the live system, one after the other, and reports how the installer ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.vm.guest.commands import run
from tests.vm.guest.port import send


def main(parameters: Mapping[str, Any]) -> None:
    """Report one message of kind `refusal` for each answer, then `refusals-done`.

    Args:
        parameters: `answers`: text of an answer file by a name; `power_off` true to switch the machine off.
    """
    folder = Path("/run/lab-answers")
    folder.mkdir()
    for name, text in parameters["answers"].items():
        path = folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        start = time.monotonic()
        done = run("slipway-install", "install", str(path))
        seconds = round(time.monotonic() - start, 1)
        send("report", {"kind": "refusal", "name": name, "seconds": seconds, **done})
    send("report", {"kind": "refusals-done"})
    if parameters.get("power_off"):
        run("systemctl", "--no-block", "poweroff")
