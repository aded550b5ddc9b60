"""Starts a container on each member of a cluster, all of them from this one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.vm.guest.commands import read_json, read_output, run
from tests.vm.guest.container import IMAGE, write_image
from tests.vm.guest.port import send


def main(parameters: Mapping[str, Any]) -> None:
    """Report as `containers`, for each of `members`: `status`, `location`, `pool` of its disk, `seconds`.

    With `keep` they are left there.
    """
    with tempfile.TemporaryDirectory(prefix="lab-container-") as folder:
        archive = Path(folder) / "image.tar"
        write_image(archive)
        read_output("incus", "image", "import", str(archive), "--alias", IMAGE)
    found = {}
    for member in parameters["members"]:
        name = f"on-{member}"
        started = time.monotonic()
        read_output("incus", "launch", IMAGE, name, "--target", member)
        seconds = round(time.monotonic() - started, 1)
        instance: Any = read_json("incus", "query", f"/1.0/instances/{name}")
        found[member] = {
            "status": instance["status"],
            "location": instance["location"],
            "pool": instance["expanded_devices"]["root"]["pool"],
            "inside": run("incus", "exec", name, "--", "/usr/bin/ip", "address")["status"],
            "seconds": seconds,
        }
        if not parameters.get("keep"):
            run("incus", "delete", "--force", name)
    send("report", {"kind": "containers", "containers": found})
