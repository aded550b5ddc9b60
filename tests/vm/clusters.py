"""What the tests of clusters share: the network of the members, and waiting for what a cluster says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.vm.lab.bench import KeyPair, Lab, Shared
from tests.vm.lab.cluster import Lan, Member
from tests.vm.lab.errors import LabError, LabTimeout
from tests.vm.lab.machine import Vm
from tests.vm.lab.namespace import Namespace
from tests.vm.scenarios import BIOS_CD
from tests.vm.waits import NODE_SECONDS

POLL_SECONDS: Final = 1.0
ONLINE_SECONDS: Final = 180.0


@contextmanager
def open_lan(lab: Lab, shared: Shared, keys: KeyPair, count: int) -> Iterator[Lan]:
    """Make the network of so many members."""
    taps = [Member(number).tap for number in range(1, count + 1)]
    # Of a Unix socket's path the kernel takes 107 bytes.
    with Namespace(lab.folder, taps) as network, TemporaryDirectory(prefix="slipway-lan-") as sockets:
        yield Lan(network, shared, BIOS_CD, keys, lab.folder, Path(sockets))


def wait_serving(vm: Vm) -> None:
    """Wait until a node is in its cluster."""
    vm.report.wait("event", NODE_SECONDS, event="enrollment", state="serving")


def read_members(lan: Lan, member: Member) -> dict[str, str]:
    """Give the members as Incus on one of them sees them: name -> status."""
    rows = json.loads(lan.run(member, "incus", "cluster", "list", "--format", "json"))
    return {row["server_name"]: row["status"].upper() for row in rows}


def wait_status(lan: Lan, asked: Member, name: str, status: str, limit_seconds: float) -> float:
    """Ask a member until it shows another in this status; give the seconds that it took. Raises LabTimeout."""

    def shown() -> bool:
        try:
            return read_members(lan, asked).get(name) == status
        except LabError:
            # Incus may be choosing another leader of its database.
            return False

    return wait_until(f"{name} is shown as {status}", shown, limit_seconds)


def wait_online(lan: Lan, asked: Member, names: Iterable[str]) -> None:
    """Wait until a member shows these as the members, all online: a slow host delays what they tell each other."""
    wanted = dict.fromkeys(names, "ONLINE")
    wait_until(f"{', '.join(wanted)} are online", lambda: read_members(lan, asked) == wanted, ONLINE_SECONDS)


def wait_until(what: str, found: Callable[[], bool], limit_seconds: float) -> float:
    """Ask again and again until it is so; give the seconds that it took. Raises LabTimeout."""
    started = time.monotonic()
    while True:
        so = found()
        seconds = time.monotonic() - started
        # An answer that comes late counts as late.
        if seconds > limit_seconds:
            raise LabTimeout(f"{what}: not within {limit_seconds:.0f} s")
        if so:
            return seconds
        time.sleep(POLL_SECONDS)


def make_token(lan: Lan, member: Member, *options: str) -> tuple[str, dict[str, object]]:
    """Make a token on a member; give its id, and the enrolment that a node's answer with it would ask for."""
    made = json.loads(lan.run(member, "slipway", "token", "create", "--expires", "1h", "--json", *options))
    return made["id"], {"mode": "join", **{name: made[name] for name in ("urls", "fingerprint", "token")}}
