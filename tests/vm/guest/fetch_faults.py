"""Lets the installer look for its answer with one kernel command line after the other, and reports how that ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.vm.guest.commands import read_output, run
from tests.vm.guest.port import send

CMDLINE: Final = "/proc/cmdline"
INSTALLER: Final = "slipway-installer.service"
_LIMITED: Final = """\
import sys
sys.path.insert(0, "/usr/lib/slipway")
from installer.cli import main
from installer.discovery import fetch
fetch.LIMIT_SECONDS = float(sys.argv[1])
sys.exit(main(["install", "--auto"]))
"""
"""The installer with less patience than it has with a server: ten minutes of it are no time for a test."""


def main(parameters: Mapping[str, Any]) -> None:
    """Report one message of kind `refusal` for each attempt, then `refusals-done`. Begins when the installer has ended.

    Args:
        parameters: `attempts`: by a name, kernel parameters that take the place of all those that begin with
            `slipway.`; `limit_seconds`: how long a server is tried.
    """
    # The unattended run reads the same file.
    while str(run("systemctl", "is-active", INSTALLER)["stdout"]).strip() == "active":
        time.sleep(1)
    own = Path(CMDLINE).read_text(encoding="utf-8").split()
    rest = [word for word in own if not word.startswith("slipway.")]
    path = Path("/run/lab-cmdline")
    for name, words in parameters["attempts"].items():
        path.write_text(" ".join([*rest, *words]) + "\n", encoding="utf-8")
        read_output("mount", "--bind", str(path), CMDLINE)
        start = time.monotonic()
        done = run("/usr/bin/python3", "-c", _LIMITED, str(parameters["limit_seconds"]))
        seconds = round(time.monotonic() - start, 1)
        read_output("umount", CMDLINE)
        send("report", {"kind": "refusal", "name": name, "seconds": seconds, **done})
    send("report", {"kind": "refusals-done"})
