"""The power fails on a node's way into a cluster, on the node and on the member; it still ends there exactly once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from hostlib.ports import ENROLLMENT
from tests.vm.clusters import make_token, open_lan, wait_online, wait_serving, wait_until
from tests.vm.lab.bench import KeyPair, Lab, Shared
from tests.vm.lab.cluster import Lan, Member
from tests.vm.lab.machine import Vm
from tests.vm.lab.namespace import missing
from tests.vm.waits import NODE_SECONDS

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "a network namespace can be made")


def test_power_cuts_on_the_way_into_a_cluster(lab: Lab, shared: Shared, keys: KeyPair) -> None:
    """A node that an administrator approves; seven cuts, three of them on the member."""
    with open_lan(lab, shared, keys, 2) as lan, ExitStack() as up:
        first = Member(1)
        with _boot(lab, lan, first, "bootstrap") as vm:
            _wait(vm, "cluster-change")
            vm.kill()
        vm = up.enter_context(_boot(lab, lan, first, "bootstrap-again"))
        wait_serving(vm)
        token, enrollment = make_token(lan, first, "--approve", "manual")
        node = Member(2, enrollment)
        with _boot(lab, lan, node, "asks") as joining:
            _wait_state(joining, "requested")
            joining.kill()
        vm.kill()
        up.close()
        vm = up.enter_context(_boot(lab, lan, first, "member-after-request"))
        with _boot(lab, lan, node, "approved") as joining:
            wait_until(
                "the member takes requests again", lambda: lan.reaches(first, ENROLLMENT), NODE_SECONDS
            )
            lan.run(first, "slipway", "node", "approve", node.name)
            # Before it joins, the node has this on disk, and its key and certificate.
            _wait_state(joining, "approved")
            joining.kill()
        with _boot(lab, lan, node, "joins") as joining:
            _wait(joining, "join-begun")
            joining.kill()
        with _boot(lab, lan, node, "joins-again") as joining:
            _wait(joining, "join-begun")
            vm.kill()
            up.close()
            vm = up.enter_context(_boot(lab, lan, first, "member-after-join"))
            _wait_state(joining, "joined")
            joining.kill()
        with _boot(lab, lan, node, "serves") as joining:
            wait_serving(joining)
            _check(lan, first, node, token)


@contextmanager
def _boot(lab: Lab, lan: Lan, member: Member, what: str) -> Iterator[Vm]:
    spec = lan.spec(member, name=f"{member.name}-{what}")
    with lab.vm(spec) as vm:
        yield vm


def _wait(vm: Vm, event: str) -> None:
    vm.report.wait("event", NODE_SECONDS, event=event)


def _wait_state(vm: Vm, state: str) -> None:
    vm.report.wait("event", NODE_SECONDS, event="enrollment", state=state)


def _check(lan: Lan, first: Member, node: Member, token: str) -> None:
    """Exactly once: one member, one record, one use of the token."""
    wait_online(lan, first, [first.name, node.name])
    nodes = json.loads(lan.run(first, "slipway", "node", "list", "--json"))["nodes"]
    found = sorted((entry["facts"]["fqdn"], entry["state"]) for entry in nodes)
    assert found == [(f"{name}.lab.test", "serving") for name in (first.name, node.name)]
    tokens = json.loads(lan.run(first, "slipway", "token", "list", "--json"))["tokens"]
    assert [(entry["id"], len(entry["used_by"])) for entry in tokens] == [(token, 1)]
