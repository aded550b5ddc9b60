"""Waiting for udev, by its own events."""

from __future__ import annotations

from typing import Final

from hostlib.run import Runner

WAIT_SECONDS: Final = 30
SETTLE: Final = ("udevadm", "settle", f"--timeout={WAIT_SECONDS}")


def settle(runner: Runner) -> None:
    """Wait until udev is idle. Time that runs out is no error: a dying disk elsewhere may keep udev busy."""
    runner.run(SETTLE, ok=(0, 1))


def wait_command(*paths: str) -> tuple[str, ...]:
    """Give the command that waits until udev has made `paths`; it fails when they do not appear."""
    return ("udevadm", "wait", f"--timeout={WAIT_SECONDS}", *paths)
