"""Follows what installer, first boot and agent write down, and sends each event to the host as it is written."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Final

from tests.vm.guest.enrolled import ENROLLMENT, read_enrollment
from tests.vm.guest.port import send

FILES: Final = {
    "install": Path("/run/slipway/events.jsonl"),
    "firstboot": Path("/var/lib/slipway/firstboot-events.jsonl"),
}
MARKS: Final = {
    "cluster-change": Path("/var/lib/slipway/incus-cluster-change"),
    "join-begun": Path("/var/lib/incus/cluster.crt"),
}
"""Files that tell by being there that the agent is in the middle of something."""
_POLL_SECONDS: Final = 0.05
"""Short, so that a power cut on an event comes before much has happened after it."""


def follow_events() -> None:
    """Send every event as `{"kind": "event", "source": …, …}`, for ever.

    A file that is there already is sent from its beginning: the events of an earlier boot come with `old` set.
    """
    offsets = dict.fromkeys(FILES, 0)
    old = {source: path.stat().st_size if path.exists() else 0 for source, path in FILES.items()}
    send("events", {"kind": "relay-started"})
    # What was so before this boot is no event.
    state, marks = str(read_enrollment()["state"]), {name for name, path in MARKS.items() if path.exists()}
    watched = [str(path) for path in (*FILES.values(), *MARKS.values(), ENROLLMENT)]
    seen: list[tuple[int, ...]] = []
    while True:
        # A look costs a hundredth of reading, and without it this alone takes 6 % of an emulated processor.
        found = [_look(path) for path in watched]
        if found == seen:
            time.sleep(_POLL_SECONDS)
            continue
        seen = found
        for source, path in FILES.items():
            offsets[source] = _send_new(source, path, offsets[source], old[source])
        state = _send_state(state)
        marks = _send_marks(marks)


def _look(path: str) -> tuple[int, ...]:
    """Give what is another when a file is, too: appended to, replaced, gone."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _send_state(last: str) -> str:
    """Send the enrolment's state where it is another than the last one; give what it is."""
    found = read_enrollment()
    if found["state"] != last:
        values = {"event": "enrollment", "state": found["state"], "reason": found["reason"]}
        send("events", {"kind": "event", "source": "agent", **values})
    return str(found["state"])


def _send_marks(last: set[str]) -> set[str]:
    found = {name for name, path in MARKS.items() if path.exists()}
    for name in sorted(found - last):
        send("events", {"kind": "event", "source": "agent", "event": name})
    return found


def _send_new(source: str, path: Path, offset: int, old_bytes: int) -> int:
    """Send the whole lines behind `offset`; give the offset to go on from."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return offset
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        offset += len(line)
        try:
            event = json.loads(line)
        except ValueError:
            continue
        send("events", {**event, "kind": "event", "source": source, "old": offset <= old_bytes})
    return offset
