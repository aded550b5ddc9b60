"""Three machines become one cluster without anybody typing on the second and third."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any, Final

import pytest

from hostlib.ports import SSH
from tests.vm.clusters import (
    make_token,
    open_lan,
    read_members,
    wait_online,
    wait_serving,
    wait_status,
    wait_until,
)
from tests.vm.judgement import OPEN_PORTS
from tests.vm.lab.bench import KeyPair, Lab, Shared
from tests.vm.lab.cluster import Lan, Member
from tests.vm.lab.namespace import missing
from tests.vm.lab.spec import GuestProgram
from tests.vm.waits import EVENT_SECONDS

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "a network namespace can be made")

OFFLINE_SECONDS: Final = 60.0
"""Within which a node that was switched off is shown as offline."""
BACK_SECONDS: Final = 900.0
"""Four machines on two processors, and what else the host has to do, make a start of two minutes one of six."""
CLOSED_PORT: Final = 8008
NODE_CERTIFICATE: Final = "/var/lib/slipway/node.crt"
INTERFACES: Final = "/etc/network/interfaces"
RENEWAL_SECONDS: Final = 180.0
TRIAL_SECONDS: Final = 120.0
LATELY_SECONDS: Final = 60
USABLE_SECONDS: Final = 60.0
CLOCK_SECONDS: Final = 60.0
"""How far the clocks of two emulated machines may be apart."""


def test_three_nodes_become_one_cluster(lab: Lab, shared: Shared, keys: KeyPair) -> None:
    first = Member(1)
    with open_lan(lab, shared, keys, 3) as lan, ExitStack() as stack:
        vm = stack.enter_context(lab.vm(lan.spec(first)))
        wait_serving(vm)
        lab.timings.add("bootstrap: power-on to serving", vm.seconds)
        used, enrollment = make_token(lan, first, "--uses", "2")
        others = [Member(2, enrollment), Member(3, enrollment)]
        joining = [stack.enter_context(lab.vm(lan.spec(member))) for member in others]
        for node in joining:
            wait_serving(node)
            lab.timings.add(f"{node.spec.name}: power-on to serving", node.seconds)
        names = [member.name for member in (first, *others)]
        wait_online(lan, first, names)
        # They are copies of one disk.
        assert len({_read_host_key(lan, member) for member in (first, *others)}) == 3
        _check_joined(lan, others, str(enrollment["token"]))
        lan.run_program(first, GuestProgram(module="cluster_containers", parameters={"members": names}))
        containers: Any = vm.report.wait("containers", EVENT_SECONDS)["containers"]
        wanted = {"status": "Running", "pool": "local-lvm", "inside": 0}
        for name in names:
            lab.timings.add(f"container on {name}", containers[name].pop("seconds"))
        assert containers == {name: {**wanted, "location": name} for name in names}

        _check_doors(lan, first)
        joining[1].kill()
        lab.timings.add("power cut to shown as offline", _write_while_one_is_off(lan, first, names[2], used))
        with lab.vm(lan.spec(others[1])) as back:
            wait_status(lan, first, names[2], "ONLINE", BACK_SECONDS)
            lab.timings.add("member: power-on to online again", back.seconds)
            nodes = json.loads(lan.run(first, "slipway", "node", "list", "--json"))
            lan.run(first, "slipway", "node", "remove", names[2])
            assert names[2] not in read_members(lan, first)
            lab.timings.add("new CA to another member's new certificate", _rotate(lan, first, others[0]))
            _try_network(lan, others[0])
            _become_administrator(lab, lan, first, others[0])
            back.report.wait("event", EVENT_SECONDS, event="enrollment", state="removed")
    assert {node["state"] for node in nodes["nodes"]} == {"serving"}


def _write_while_one_is_off(lan: Lan, member: Member, off: str, used: str) -> float:
    """Write as soon as the power of another is cut; give the seconds until that is shown as offline.

    Incus takes it for alive for 20 s. What is written then must stay, and all that was there before.
    """
    began = time.monotonic()
    written, _ = make_token(lan, member)
    wait_status(lan, member, off, "OFFLINE", OFFLINE_SECONDS - (time.monotonic() - began))
    seconds = time.monotonic() - began
    tokens = json.loads(lan.run(member, "slipway", "token", "list", "--json"))["tokens"]
    assert {token["id"]: len(token["used_by"]) for token in tokens} == {used: 2, written: 0}
    return seconds


def _check_doors(lan: Lan, member: Member) -> None:
    """Only the node's own ports are open, and its service stays usable under many requests."""
    lan.run(member, "systemd-run", "--unit=lab-door", "python3", "-m", "http.server", str(CLOSED_PORT))
    assert [port for port in (*OPEN_PORTS, CLOSED_PORT) if not lan.reaches(member, port)] == [CLOSED_PORT]
    flood = lan.flood(member, seconds=10, rate=1000)
    answers = sum(count for status, count in flood.items() if status.isdigit())
    # Its limits are 10 requests and 20 connections a second for one address, and 60 and 100 at once.
    assert flood.get("400", 0) <= 60 + 10 * flood["milliseconds"] / 1000
    assert answers <= 100 + 20 * flood["milliseconds"] / 1000
    assert answers + flood["cut"] == flood["begun"]
    started = time.monotonic()
    assert json.loads(lan.run(member, "slipway", "status", "--json"))["health"]["state"] == "ok"
    assert time.monotonic() - started < USABLE_SECONDS


def _rotate(lan: Lan, member: Member, other: Member) -> float:
    """A new CA: the other member has a certificate of it soon, and both trust each other all the while."""
    before = lan.run(other, "cat", NODE_CERTIFICATE)
    lan.run(member, "slipway", "ca", "rotate")
    renewed = "a certificate of the new CA"
    seconds = wait_until(renewed, lambda: lan.run(other, "cat", NODE_CERTIFICATE) != before, RENEWAL_SECONDS)
    shown = json.loads(lan.run(other, "slipway", "ca", "show", "--json"))
    assert len(shown["authorities"]) == 2
    wait_until("heartbeats of both", lambda: _seen_lately(lan, member) == 2, RENEWAL_SECONDS)
    return seconds


def _seen_lately(lan: Lan, member: Member) -> int:
    nodes = json.loads(lan.run(member, "slipway", "node", "list", "--json"))["nodes"]
    ages = [node["seen_seconds_ago"] for node in nodes if node["state"] == "serving"]
    return sum(1 for age in ages if age is not None and age < LATELY_SECONDS)


def _try_network(lan: Lan, member: Member) -> None:
    """A configuration that cuts off the administrator goes away by itself."""
    before = lan.run(member, "cat", INTERFACES)
    lan.run(member, "sed", "--in-place", "s/192[.]0[.]2[.]12/192.0.2.99/", INTERFACES)
    apply = ("slipway", "network", "apply", "--confirm-within", "20")
    lan.run(member, "systemd-run", "--unit=lab-apply", *apply)
    wait_until("the node cannot be reached", lambda: not lan.reaches(member, SSH), TRIAL_SECONDS)
    wait_until("the node can be reached again", lambda: lan.reaches(member, SSH), TRIAL_SECONDS)
    assert lan.run(member, "cat", INTERFACES) == before


def _become_administrator(lab: Lab, lan: Lan, member: Member, other: Member) -> None:
    """The token makes a client of Incus, here on the other node, one that may do everything."""
    lan.run(other, "incus", "remote", "generate-certificate")
    made = _read_clock(lan, other)
    # No clock server answers in the lab, and Incus takes no certificate that is of the future by its own clock.
    waited = wait_until("a clock reaches the other's", lambda: _read_clock(lan, member) > made, CLOCK_SECONDS)
    lab.timings.add("an administrator's certificate is valid on another member", waited)
    token = lan.run(member, "slipway", "admin", "add", "lab").strip()
    lan.run(other, "incus", "remote", "add", "lab", token)
    assert json.loads(lan.run(other, "incus", "query", "lab:/1.0"))["auth"] == "trusted"


def _read_clock(lan: Lan, member: Member) -> int:
    """Give a member's clock, in whole seconds since 1970."""
    return int(lan.run(member, "date", "+%s"))


def _read_host_key(lan: Lan, member: Member) -> str:
    return lan.run(member, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[1]


def _check_joined(lan: Lan, others: list[Member], token: str) -> None:
    for member in others:
        status = json.loads(lan.run(member, "slipway", "status", "--json"))
        assert (status["enrollment"]["state"], status["enrollment"]["reason"]) == ("serving", "")
        assert len(status["members"]) == 3
        assert token not in lan.run(member, "cat", "/etc/slipway/seed.json")
