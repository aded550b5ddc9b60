"""Looks at the live system from inside and runs the project's unit tests there, with its Python and libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.vm.guest.commands import collect, read_output, run
from tests.vm.guest.facts import SYSTEM
from tests.vm.guest.port import send


def main(parameters: Mapping[str, Any]) -> None:
    """Report the system as `live`, then the tests of a volume, which also holds pytest, as `unit-tests`.

    Args:
        parameters: `label` of the volume; `power_off` true to switch the machine off.
    """
    state = run("systemctl", "is-system-running", "--wait")
    send("report", {"kind": "live", "state": str(state["stdout"]).strip(), **collect(SYSTEM)})
    send("report", {"kind": "unit-tests", **_run_unit_tests(str(parameters["label"]))})
    if parameters.get("power_off"):
        run("systemctl", "--no-block", "poweroff")


def _run_unit_tests(label: str) -> dict[str, object]:
    """Run the tests on the volume `label`; give the exit status and what was printed last."""
    folder = Path("/run/lab-tests")
    folder.mkdir()
    read_output("mount", "-o", "ro", f"/dev/disk/by-label/{label}", str(folder))
    library = "/usr/lib/slipway"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}/wheels:{library}:{folder}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            # In memory, half of which this may take; /run is much smaller on a machine with 1 GiB.
            "--basetemp=/dev/shm/lab-tmp",
            "--override-ini=tmp_path_retention_policy=failed",
            "tests/unit",
        ],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    output = done.stdout.decode(errors="replace")
    return {"status": done.returncode, "output": output[-20000:]}
