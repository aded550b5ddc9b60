"""Which VG each PV belongs to, by one LVM call that takes no locks and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hostlib.run import Runner

COMMAND = ("pvs", "--reportformat", "json", "--readonly", "-o", "pv_name,vg_name,vg_uuid,vg_tags")
# LVM exits with 5 when one PV cannot be read and has listed the others all the same.
PARTIAL = 5
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Vg:
    """Name, UUID and tags of a VG; all empty for a PV that belongs to none."""

    name: str
    uuid: str
    tags: tuple[str, ...] = ()


def read_vgs(runner: Runner, paths: Sequence[str] = ()) -> dict[str, Vg]:
    """Give path of a PV -> its VG. Raises CommandError, ValueError, KeyError.

    With `paths` only these are read (lvm(8), `--devices`): else LVM looks for its label on every disk, which wakes
    those that sleep and waits for those that hang.
    """
    only = ("--devices", ",".join(paths)) if paths else ()
    done = runner.run((*COMMAND, *only), ok=(0, PARTIAL), timeout_seconds=TIMEOUT_SECONDS)
    return parse_pvs(done.stdout)


def parse_pvs(text: str) -> dict[str, Vg]:
    """Read the JSON report of `pvs`. Raises ValueError or KeyError when it is none."""
    rows = [row for report in json.loads(text)["report"] for row in report.get("pv", [])]
    return {
        row["pv_name"]: Vg(row["vg_name"], row["vg_uuid"], tuple(filter(None, row["vg_tags"].split(","))))
        for row in rows
    }
