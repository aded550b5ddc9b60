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
    """Run the tests on the volume `label`; give the exit status, what was printed last, and how many ran `again`.

    They run here for the image's Python and libraries, and what does not fit those fails each time. What an emulated
    machine's clock or its moments of garbage collection make fail is right the second time; the host runs it, too.
    """
    folder = Path("/run/lab-tests")
    folder.mkdir()
    read_output("mount", "-o", "ro", f"/dev/disk/by-label/{label}", str(folder))
    status, output = _run_pytest(folder, "tests/unit")
    again = [line for line in output.splitlines() if line.startswith("FAILED ")]
    if again:
        status, second = _run_pytest(folder, "--last-failed", "tests/unit")
        output += second
    return {"status": status, "output": output[-20000:], "again": len(again)}


def _run_pytest(folder: Path, *arguments: str) -> tuple[int, str]:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}/wheels:/usr/lib/slipway:{folder}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q"),
            # In memory, half of which this may take; /run is much smaller on a machine with 1 GiB.
            "--override-ini=cache_dir=/dev/shm/lab-cache",
            "--basetemp=/dev/shm/lab-tmp",
            "--override-ini=tmp_path_retention_policy=failed",
            *arguments,
        ],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")
