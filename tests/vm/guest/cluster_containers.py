"""Starts a container on each member of a cluster, all of them from this one."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.vm.guest.commands import read_json, read_output, run
from tests.vm.guest.container import IMAGE, write_image
from tests.vm.guest.port import send

_TRIES: Final = 3
_ONLINE_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 2.0


def _do(undo: Sequence[str], *argv: str) -> None:
    """Run it, again where Incus took members for lost meanwhile: emulated ones are late with their heartbeats."""
    for left in reversed(range(_TRIES)):
        _wait_online()
        try:
            read_output(*argv)
        except RuntimeError:
            if not left:
                raise
            run(*undo)
        else:
            return


def _wait_online() -> None:
    deadline = time.monotonic() + _ONLINE_SECONDS
    while time.monotonic() < deadline:
        rows: Any = read_json("incus", "cluster", "list", "--format", "json")
        if all(row["status"] == "Online" for row in rows):
            return
        time.sleep(_POLL_SECONDS)


def main(parameters: Mapping[str, Any]) -> None:
    """Report as `containers`, for each of `members`: `status`, `location`, `pool` of its disk, `seconds`.

    With `keep` they are left there.
    """
    with tempfile.TemporaryDirectory(prefix="lab-container-") as folder:
        archive = Path(folder) / "image.tar"
        write_image(archive)
        fingerprint = hashlib.sha256(archive.read_bytes()).hexdigest()
        delete = ("incus", "image", "delete", fingerprint)
        _do(delete, "incus", "image", "import", str(archive), "--alias", IMAGE)
    found = {}
    for member in parameters["members"]:
        name = f"on-{member}"
        started = time.monotonic()
        delete = ("incus", "delete", "--force", name)
        _do(delete, "incus", "launch", IMAGE, name, "--target", member)
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
            run(*delete)
    send("report", {"kind": "containers", "containers": found})
