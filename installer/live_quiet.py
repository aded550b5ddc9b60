"""Keeps the kernel and systemd from writing over the screens: both have a place of their own for what they say."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LOG = logging.getLogger("slipway.consoles")
PRINTK: Final = Path("/proc/sys/kernel/printk")
"""Its first number: messages below this level go to the consoles (proc_sys_kernel(5))."""
EMERGENCIES: Final = "1"
SYSTEMD: Final = 1
"""Process number; signals of systemd(1) switch its status messages on the console."""


@contextlib.contextmanager
def quiet_consoles(printk: Path = PRINTK) -> Iterator[None]:
    """Let nobody else write to the consoles meanwhile, but for the kernel's last words. Never raises by itself.

    Nothing is lost: dmesg and the journal have it all.
    """
    before = _set_level(printk, EMERGENCIES)
    _tell_systemd(signal.SIGRTMIN + 21)
    try:
        yield
    finally:
        if before:
            _set_level(printk, before)
        _tell_systemd(signal.SIGRTMIN + 20)


def _set_level(printk: Path, level: str) -> str:
    """Set the level; give the one before, or nothing when it cannot be set."""
    try:
        before = printk.read_text(encoding="ascii").split()[0]
        printk.write_text(level, encoding="ascii")
    except (OSError, IndexError) as error:
        LOG.warning("%s: %s; messages of the kernel may cover the screens", printk, error)
        return ""
    return before


def _tell_systemd(number: int) -> None:
    try:
        os.kill(SYSTEMD, number)
    except OSError as error:
        LOG.warning("systemd cannot be told to be quiet: %s", error)
