"""Facts that every running system has, live or installed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.vm.guest.commands import read_json, read_output, run


def _memory() -> dict[str, int]:
    rows = (line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    wanted = {row[0].rstrip(":"): int(row[1]) for row in rows}
    return {"total": wanted["MemTotal"], "used": wanted["MemTotal"] - wanted["MemAvailable"]}


def _listening() -> list[dict[str, object]]:
    sockets: list[dict[str, object]] = []
    for line in read_output("ss", "-Hltunp").splitlines():
        fields = line.split()
        address, _, port = fields[4].rpartition(":")
        process = fields[6] if len(fields) > 6 else ""
        sockets.append({"protocol": fields[0], "address": address, "port": int(port), "process": process})
    return sockets


_DROPPED: Final = (
    *("journalctl", "--boot", "--no-pager", "--quiet", "--output=cat"),
    "--grep=ordering cycle|Dependency failed",
)
SYSTEM: Final = {
    "uptime_seconds": lambda: float(Path("/proc/uptime").read_text(encoding="ascii").split()[0]),
    "boot_time": lambda: read_output("systemd-analyze", "time"),
    "blame": lambda: read_output("systemd-analyze", "blame", "--no-pager").splitlines()[:15],
    # systemd drops a unit to break a cycle or for want of another one, and only says so here.
    "dropped_units": lambda: str(run(*_DROPPED)["stdout"]),
    "failed_units": lambda: read_json("systemctl", "--failed", "--output=json"),
    "memory_kib": _memory,
    "cmdline": lambda: Path("/proc/cmdline").read_text(encoding="utf-8").strip(),
    "version": lambda: read_output("slipway", "version"),
    "listening": _listening,
}
"""Reader by name, for `commands.collect`."""
