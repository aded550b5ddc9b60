"""Where the agent of a node stands, and what it takes."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, Final

from tests.vm.guest.commands import read_output

ENROLLMENT: Final = Path("/var/lib/slipway/enrollment.json")
_SEED: Final = Path("/etc/slipway/seed.json")
_CERTIFICATE: Final = Path("/var/lib/slipway/node.crt")
_CONSOLE: Final = Path("/etc/cockpit/ws-certs.d/50-slipway.cert")
_LIMIT_SECONDS: Final = 400.0
OWN_UNITS: Final = tuple(f"slipway-{name}.service" for name in ("agent", "check", "firstboot", "identity"))
"""Slipway's own on a node, without those that run the administrator's commands."""


def wait_settled() -> dict[str, Any]:
    """Wait until the node is in its cluster and its web console shows its certificate; give where it stands.

    A node that is to stay alone, one that is to join and says why it cannot, and one whose agent does not get there in
    time are not waited for any longer.
    """
    mode = json.loads(_SEED.read_text(encoding="utf-8"))["enrollment"]["mode"]
    if mode == "none":
        return {"state": "none"}
    deadline = time.monotonic() + _LIMIT_SECONDS
    while time.monotonic() < deadline:
        found = read_enrollment()
        if found["state"] == "serving" and _read(_CERTIFICATE) == _read(_CONSOLE):
            return found
        if mode == "join" and found["reason"]:
            return found
        time.sleep(0.2)
    return read_enrollment()


def read_enrollment() -> dict[str, Any]:
    """Give what the agent keeps of where the node stands."""
    try:
        found: dict[str, Any] = json.loads(ENROLLMENT.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"state": "", "reason": ""}
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        # Also while a pair of key and certificate is being replaced.
        return ""


def read_own_memory() -> dict[str, int]:
    """Give the memory of each of our processes in KiB, its part of what it shares with others (PSS)."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text(encoding="utf-8").replace("\0", " ").strip()
            rows = (
                line.split() for line in (folder / "smaps_rollup").read_text(encoding="ascii").splitlines()
            )
            kib = next((int(row[1]) for row in rows if row[0] == "Pss:"), 0)
        except OSError:
            continue
        if "python3 -m agent" in command or "python3 -m firstboot" in command:
            found[f"{command} ({folder.name})"] = kib
    return found


def read_exposure() -> dict[str, float]:
    """Give how exposed each of our lasting services is by `systemd-analyze security`, from 0 to 10; below 5 is OK."""
    return {unit: _read_exposure(unit) for unit in OWN_UNITS}


def _read_exposure(unit: str) -> float:
    said = read_output("systemd-analyze", "security", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    if found is None:
        raise RuntimeError(f"no exposure of {unit} in:\n{said}")
    return float(found[1])
