"""Three machines become one cluster without anybody typing on the second and third."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest

from tests.vm.lab.bench import KeyPair, Lab, Shared
from tests.vm.lab.cluster import Lan, Member
from tests.vm.lab.errors import LabError, LabTimeout
from tests.vm.lab.machine import Vm
from tests.vm.lab.namespace import Namespace, missing
from tests.vm.lab.spec import GuestProgram
from tests.vm.scenarios import BIOS_CD
from tests.vm.waits import EVENT_SECONDS, NODE_SECONDS

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "a network namespace can be made")

OFFLINE_SECONDS: Final = 60.0
"""Within which a node that was switched off is shown as offline."""
BACK_SECONDS: Final = 300.0
POLL_SECONDS: Final = 1.0


@contextmanager
def open_lan(lab: Lab, shared: Shared, keys: KeyPair, count: int) -> Iterator[Lan]:
    """Make the network of so many members."""
    with Namespace(lab.folder, [Member(number).tap for number in range(1, count + 1)]) as network:
        yield Lan(network, shared, BIOS_CD, keys, lab.folder)


def wait_serving(vm: Vm) -> None:
    """Wait until a node is in its cluster."""
    vm.report.wait("event", NODE_SECONDS, event="enrollment", state="serving")


def read_members(lan: Lan, member: Member) -> dict[str, str]:
    """Give the members as Incus on one of them sees them: name -> status."""
    rows = json.loads(lan.run(member, "incus", "cluster", "list", "--format", "json"))
    return {row["server_name"]: row["status"].upper() for row in rows}


def wait_status(lan: Lan, asked: Member, name: str, status: str, limit_seconds: float) -> float:
    """Ask a member until it shows another in this status; give the seconds that it took."""
    started = time.monotonic()
    while True:
        try:
            found = read_members(lan, asked).get(name, "")
        except LabError as error:
            found = str(error)
        seconds = time.monotonic() - started
        if found == status:
            return seconds
        if seconds > limit_seconds:
            raise LabTimeout(f"{name} is shown as {found!r}, not {status!r}, after {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def test_three_nodes_become_one_cluster(lab: Lab, shared: Shared, keys: KeyPair) -> None:
    first = Member(1)
    with open_lan(lab, shared, keys, 3) as lan, ExitStack() as stack:
        vm = stack.enter_context(lab.vm(lan.spec(first)))
        wait_serving(vm)
        lab.timings.add("bootstrap: power-on to serving", vm.seconds)
        join = json.loads(
            lan.run(first, "slipway", "token", "create", "--uses", "2", "--expires", "1h", "--json")
        )
        enrollment = {"mode": "join", **{name: join[name] for name in ("urls", "fingerprint", "token")}}
        others = [Member(2, enrollment), Member(3, enrollment)]
        joining = [stack.enter_context(lab.vm(lan.spec(member))) for member in others]
        for node in joining:
            wait_serving(node)
            lab.timings.add(f"{node.spec.name}: power-on to serving", node.seconds)
        names = [member.name for member in (first, *others)]
        assert read_members(lan, first) == dict.fromkeys(names, "ONLINE")
        _check_joined(lan, others, join["token"])
        lan.run_program(first, GuestProgram(module="cluster_containers", parameters={"members": names}))
        containers: Any = vm.report.wait("containers", EVENT_SECONDS)["containers"]
        wanted = {"status": "Running", "pool": "local-lvm", "inside": 0}
        for name in names:
            lab.timings.add(f"container on {name}", containers[name].pop("seconds"))
        assert containers == {name: {**wanted, "location": name} for name in names}

        joining[1].kill()
        seconds = wait_status(lan, first, names[2], "OFFLINE", OFFLINE_SECONDS)
        lab.timings.add("power cut to shown as offline", seconds)
        with lab.vm(lan.spec(others[1])) as back:
            wait_serving(back)
            wait_status(lan, first, names[2], "ONLINE", BACK_SECONDS)
            lab.timings.add("member: power-on to online again", back.seconds)
            nodes = json.loads(lan.run(first, "slipway", "node", "list", "--json"))
            lan.run(first, "slipway", "node", "remove", names[2])
            assert names[2] not in read_members(lan, first)
            back.report.wait("event", EVENT_SECONDS, event="enrollment", state="removed")
    assert {node["state"] for node in nodes["nodes"]} == {"serving"}


def _check_joined(lan: Lan, others: list[Member], token: str) -> None:
    for member in others:
        status = json.loads(lan.run(member, "slipway", "status", "--json"))
        assert (status["enrollment"]["state"], status["enrollment"]["reason"]) == ("serving", "")
        assert len(status["members"]) == 3
        assert token not in lan.run(member, "cat", "/etc/slipway/seed.json")
