"""Starting the Incus daemon, for the first time and after a power cut.

Its first start makes a database and a certificate without waiting for the disk. Cut short there, Incus 6.0 does not
start again: it takes the half-made database for one of an older version, and an empty key for a broken one. As long
as the first start is not known to be over, there is nothing in that database, and it is made anew.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from firstboot.context import Context
from firstboot.units import ensure_unit, read_unit_states
from hostlib.errors import StepError
from hostlib.files import write_atomic
from hostlib.incus import INCUS_STATE, UNIT, UNITS, Incus
from hostlib.paths import STATE

DATABASE = INCUS_STATE / "database"
FIRST_START = STATE / "incus-first-start"
"""There from before the first start until the daemon has answered and all that it wrote is on disk."""


def has_leftovers(context: Context) -> bool:
    """Tell whether the daemon's first start, or the making of its certificate, was cut short."""
    return context.path(FIRST_START).exists() or any(
        path.exists() and path.stat().st_size == 0 for path in _certificate(context)
    )


def remove_leftovers(context: Context) -> None:
    """Remove what a first start left that was cut short. Raises CommandError, OSError."""
    if not read_unit_states(context.runner, [UNIT])[UNIT].down:
        context.runner.run(["systemctl", "stop", "incus.socket", *UNITS])
    if guests := _guests(context):
        raise StepError(
            f"{INCUS_STATE}: Incus never said that its first start is over, and there are guests ({', '.join(guests)}); "
            f"nothing is removed; if they work, delete {FIRST_START}"
        )
    context.warn(f"{INCUS_STATE}: Incus was cut short while it set itself up; that part is made anew")
    # The key would be trusted by nobody yet, and the daemon makes another.
    for path in _certificate(context):
        path.unlink(missing_ok=True)
    if context.path(FIRST_START).exists():
        if context.path(DATABASE).exists():
            shutil.rmtree(context.path(DATABASE))
        context.path(FIRST_START).unlink()


def _guests(context: Context) -> list[str]:
    folders = (context.path(INCUS_STATE / kind) for kind in ("containers", "virtual-machines"))
    return sorted(entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir())


def lacks_incus(context: Context) -> bool:
    """Tell whether the daemon is not running; its unit is active only once it answers."""
    states = read_unit_states(context.runner, UNITS)
    return context.path(FIRST_START).exists() or not all(state.active for state in states.values())


def ensure_incus(context: Context) -> None:
    """Start the daemon and wait until it answers. Raises StepError, OSError."""
    first = context.path(FIRST_START)
    if not context.path(DATABASE).exists():
        write_atomic(first, "")
    # After failures in a row systemd refuses even the socket, whatever has been repaired since.
    context.runner.run(["systemctl", "reset-failed", "incus.socket", *UNITS], ok=(0, 1))
    for unit, state in read_unit_states(context.runner, UNITS).items():
        ensure_unit(context, unit, state)
    Incus(context.runner).wait_ready()
    if first.exists():
        os.sync()
        first.unlink()
        os.sync()


def _certificate(context: Context) -> tuple[Path, Path]:
    return context.path(INCUS_STATE / "server.crt"), context.path(INCUS_STATE / "server.key")
