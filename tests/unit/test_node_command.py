"""`slipway node` and `slipway ca`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import ca_command, node_command, reports
from agent import member as member_module
from agent.authority import RECORD
from agent.ca import FOLDER, NODE_LIFETIME, check_peer
from agent.cli import main
from agent.member import Member, parse_ca
from agent.node_command import render_age
from agent.node_key import CA, CERTIFICATE, KEY
from agent.protocol import Heartbeat, NodeState
from agent.records import NodeStatus, StatusReply, parse_nodes
from agent.reports import Sighting, ask_members, merge_replies, read_reports
from hostlib.files import write_atomic
from hostlib.tls import fingerprint
from tests.unit import enroll_fakes, http_servers
from tests.unit.enroll_fakes import Member as ServingMember
from tests.unit.enroll_fakes import Node, in_loop, pem
from tests.unit.member_fakes import NOW, SECONDS, Site

_closed_world = http_servers.closed_world
_cheap_hashes = enroll_fakes.cheap_hashes
Run = Callable[[Sequence[str]], tuple[int, str, str]]
BEAT = Heartbeat(
    fqdn="node2.example.com",
    release="0.1.0",
    state="warning",
    findings=("warning: hot",),
    thin_pool_percent=81.5,
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def seen() -> dict[str, Sighting]:
    return {}


@pytest.fixture
def run(
    site: Site,
    seen: dict[str, Sighting],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    def run(arguments: Sequence[str]) -> tuple[int, str, str]:
        status = main(arguments)
        return status, *capsys.readouterr()

    def read(_: Member, urls: Sequence[str]) -> tuple[dict[str, Sighting], list[str]]:
        return seen, [f"{urls[-1]}: no answer within 5 s"]

    monkeypatch.setattr(member_module, "open_member", lambda _: site.member)
    monkeypatch.setattr(node_command, "read_reports", read)
    return run


def test_nodes_that_wait_come_first_and_are_marked(run: Run, site: Site, seen: dict[str, Sighting]) -> None:
    first = site.add(Node("node1.example.com", "192.0.2.11"))
    second = site.add(Node("node2.example.com", "192.0.2.12"))
    waits = site.add(Node("node4.example.com", "192.0.2.14"), "requested")
    turned = site.add(Node("a.example.com", "192.0.2.15"), "rejected")
    site.add(Node("gone.example.com"), "removed")
    seen |= {second: Sighting(12, BEAT), first: Sighting(600, BEAT.model_copy(update={"findings": ()}))}
    status, out, err = run(["node", "list"])
    assert (status, out.splitlines()) == (
        0,
        [
            "NAME               STATE        ADDRESS     SEEN        HEALTH       ID",
            f"node4.example.com  * requested  192.0.2.14  -           not known    {waits}",
            f"node1.example.com  serving      192.0.2.11  10 min ago  was warning  {first}",
            f"node2.example.com  serving      192.0.2.12  12 s ago    warning (1)  {second}",
            f"a.example.com      rejected     192.0.2.15  -           not known    {turned}",
            "* waits for an administrator: slipway node approve NAME, or slipway node reject NAME",
            "1 removed before; --json has all",
        ],
    )
    assert err.startswith("https://192.0.2.13:8007: no answer within 5 s\n")
    found = json.loads(run(["node", "list", "--json"])[1])
    assert found["silent"] == ["https://192.0.2.13:8007: no answer within 5 s"]
    rows = {row["id"]: row for row in found["nodes"]}
    assert (len(rows), rows[second]["seen_seconds_ago"], rows[waits]["heartbeat"]) == (5, 12, None)
    assert not {"csr", "certificate"} & set(rows[first])


def test_a_node_is_shown(run: Run, site: Site, seen: dict[str, Sighting]) -> None:
    node = Node("node2.example.com", "192.0.2.12")
    seen[site.add(node, token="00c0ffee")] = Sighting(7300, BEAT)
    status, out, _ = run(["node", "show", "NODE2"])
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if " " in line.strip())
    assert (status, lines["id"], lines["state"]) == (0, node.id, "serving, since 2026-03-01 09:59 UTC")
    assert (lines["token"], lines["heartbeat"]) == ("00c0ffee (gone)", "2 h ago")
    assert (lines["thin"], lines["finding"]) == ("pool      81.5 % full", "warning: hot")


def test_how_a_node_is_named(run: Run, site: Site) -> None:
    live = site.add(Node("node2.example.com"))
    site.add(Node("node2.example.org"), "removed")
    for name in ("node2", "NODE2.example.com", live[:8], live):
        assert f"{live}\n" in run(["node", "show", name])[1]
    status, _, err = run(["node", "show", live[:7]])
    assert (status, err.partition("; ")[0]) == (2, f"NAME: there is no node '{live[:7]}'")
    site.add(Node("old.example.com"), "removed")
    site.add(Node("old.example.com"), "removed")
    status, _, err = run(["node", "show", "old"])
    assert (status, err.startswith("NAME: 'old' is 2 nodes: ")) == (2, True)


def test_a_node_is_approved_with_a_certificate(run: Run, site: Site) -> None:
    record = site.add_ca()
    node = Node("node4.example.com")
    site.add(node, "requested")
    status, out, _ = run(["node", "approve", "node4"])
    assert (status, out) == (
        0,
        f"node node4.example.com ({node.id[:8]}): approved; it joins by itself within some minutes\n",
    )
    after = site.node(node.id)
    der = x509.load_pem_x509_certificate(after.certificate.encode()).public_bytes(Encoding.DER)
    assert (after.state, after.changed, check_peer(der, record, NOW)) == ("approved", SECONDS, node.id)
    assert run(["node", "approve", "node4"])[1].endswith("): is approved already\n")
    assert site.node(node.id) == after


def test_a_node_that_was_rejected_is_approved(run: Run, site: Site) -> None:
    site.add_ca()
    node = site.add(Node("node4.example.com"), "requested")
    assert run(["node", "reject", "node4"])[1].endswith("): rejected\n")
    assert run(["node", "reject", "node4"])[1].endswith("): was rejected already\n")
    assert "systemctl restart slipway-agent" in run(["node", "approve", "node4"])[1]
    assert site.node(node).certificate


def test_nothing_is_approved_without_the_key(run: Run, site: Site) -> None:
    site.add_ca(key=False)
    node = site.add(Node("node4.example.com"), "requested")
    status, _, err = run(["node", "approve", "node4"])
    assert (status, site.node(node).state) == (4, "requested")
    assert err.rstrip().endswith(
        "another member gives it to this one; if no member has it: slipway ca rotate --key-lost"
    )


@pytest.mark.parametrize("state", ["serving", "approved"])
def test_who_is_in_the_cluster_cannot_be_rejected(run: Run, site: Site, state: NodeState) -> None:
    node = site.add(Node("node2.example.com"), state)
    status, _, err = run(["node", "reject", "node2"])
    assert (status, site.node(node).state) == (2, state)
    assert f"use `slipway node remove {node}`" in err


def test_a_node_is_removed_from_incus_then_from_the_records(run: Run, site: Site) -> None:
    node = site.add(Node("node2.example.com"))
    status, out, _ = run(["node", "remove", "node2"])
    assert (status, site.node(node).state, set(site.incus.statuses)) == (0, "removed", {"node1", "node3"})
    assert "It had the CA's key" in out
    assert run(["node", "remove", "node2"])[1].endswith("): was removed already\n")


def test_a_removal_that_was_cut_is_done_again(run: Run, site: Site) -> None:
    node = site.add(Node("node2.example.com"))
    del site.incus.statuses["node2"]
    assert (run(["node", "remove", "node2"])[0], site.node(node).state) == (0, "removed")


@pytest.mark.parametrize("state", ["requested", "rejected", "removed"])
def test_a_record_without_membership_does_not_take_the_namesake_out(
    run: Run, site: Site, state: NodeState
) -> None:
    node = site.add(Node("node2.example.com"), state)
    assert run(["node", "remove", node])[0] == 0
    assert (site.node(node).state, "node2" in site.incus.statuses) == ("removed", True)


@pytest.mark.parametrize("verb", ["reject", "remove"])
def test_who_is_turned_away_cannot_join_with_what_it_was_given(run: Run, site: Site, verb: str) -> None:
    site.add(Node("node4.example.com"), "approved", certificate="PEM")
    site.incus.tokens = {"node4", "node5"}
    site.incus.joining = {"node4": "192.0.2.14:8443"}
    assert run(["node", verb, "node4"])[0] == 0
    assert (site.incus.tokens, site.incus.joining) == ({"node5"}, {})
    # It was just through: the same again takes it out.
    site.incus.statuses["node4"] = "Online"
    assert run(["node", "remove", "node4"])[0] == 0
    assert "node4" not in site.incus.statuses
    # Another has the name now.
    site.add(Node("node4.example.com"), "approved", certificate="PEM")
    site.incus.tokens, site.incus.statuses["node4"] = {"node4"}, "Online"
    old = next(node for node in parse_nodes(site.member.read()).values() if node.state == "removed")
    assert run(["node", "remove", old.id])[0] == 0
    assert (site.incus.tokens, "node4" in site.incus.statuses) == ({"node4"}, True)


def test_guests_of_a_node_that_is_gone_are_given_up_by_force_alone(run: Run, site: Site) -> None:
    node = site.add(Node("node3.example.com"))
    site.incus.guests = {"web": "node3", "db": "node1"}
    status, _, err = run(["node", "remove", "node3"])
    assert (status, site.node(node).state) == (4, "serving")
    assert err.startswith("node3: holds guests (web) and is Offline; move or delete them")
    status, out, _ = run(["node", "remove", "node3", "--force"])
    assert (status, site.node(node).state) == (0, "removed")
    assert "these guests are lost with it: web\n" in out


def test_force_does_not_touch_guests_of_a_node_that_runs(run: Run, site: Site) -> None:
    node = site.add(Node("node2.example.com"))
    site.incus.guests = {"web": "node2"}
    status, _, err = run(["node", "remove", "node2", "--force"])
    assert (status, site.node(node).state, "node2" in site.incus.statuses) == (4, "serving", True)
    assert "--force" not in err


def test_this_node_and_the_last_one_stay(run: Run, site: Site) -> None:
    node = site.add(Node("node1.example.com"))
    status, _, err = run(["node", "remove", "node1"])
    assert (status, site.node(node).state) == (2, "serving")
    assert err.endswith("run it on another one, such as node2: slipway node remove node1\n")
    site.incus.statuses = {"node1": "Online"}
    assert "it is the last member of the cluster; " in run(["node", "remove", "node1"])[2]


def test_the_latest_heartbeat_counts_by_the_clock_of_who_got_it() -> None:
    node = Node()

    def reply(time: int, seen: int | None) -> StatusReply:
        beat = None if seen is None else BEAT
        status = NodeStatus(
            id=node.id, state="serving", facts=node.facts, changed=0, seen=seen, heartbeat=beat
        )
        return StatusReply(time=time, urls=(), nodes=(status,))

    found = merge_replies([reply(1000, 900), reply(5000, 4988), reply(9000, None), reply(10, 60)])
    assert found[node.id].age_seconds == 0
    assert merge_replies([reply(1000, 900), reply(5000, 4988)])[node.id].age_seconds == 12
    assert [render_age(age) for age in (0, 119, 120, 7199, 7200, 172800)] == [
        "0 s ago", "119 s ago", "2 min ago", "119 min ago", "2 h ago", "2 d ago",
    ]  # fmt: skip


@in_loop
async def test_members_are_asked_with_this_nodes_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Emulated machines take a second for each of the handshakes.
    monkeypatch.setattr(reports, "TIMEOUT_SECONDS", 60.0)
    serving = ServingMember(tmp_path)
    host = Node("m1.example.test", "127.0.0.1")
    (tmp_path / "m.key").write_bytes(pem(host.key))
    (tmp_path / "m.pem").write_text(serving.ca.issue(host.key.public_key(), host.names))
    serving.reload()
    await serving.add_token()
    async with serving.serving():
        node = Node("n1.example.test")
        await serving.serve_node(node)
        site = Site(tmp_path)
        for path, text in (
            (KEY, pem(node.key)),
            (CERTIFICATE, (tmp_path / f"{node.id}.pem").read_bytes()),
            (CA, serving.ca.bundle()),
        ):
            write_atomic(site.member.path(path), text)
        await serving.service.heartbeat(node.id, BEAT, "")
        urls = [f"https://127.0.0.1:{serving.port}", "https://127.0.0.1:1"]
        found, silent = await ask_members(site.member, urls)
    assert list(found) == [node.id], silent
    assert found[node.id].heartbeat == BEAT
    assert [line.partition(" ")[0] for line in silent] == ["https://127.0.0.1:1/v1/status:"]


def test_a_node_without_certificate_says_so(site: Site) -> None:
    write_atomic(site.member.path(CA), site.add_ca().authorities[0].certificate)
    found, (line,) = read_reports(site.member, ["https://127.0.0.1:1"])
    assert (found, line.endswith("; look: journalctl -u slipway-agent")) == ({}, True)


def test_the_ca_is_shown(run: Run, site: Site) -> None:
    record = site.add_ca()
    own = fingerprint(record.authorities[0].certificate.encode())
    assert run(["ca", "show"])[1] == (
        f"{own}\n  signs, trusted until 2036-02-29 10:00 UTC\nThis member has the key.\n"
    )
    found = json.loads(run(["ca", "show", "--json"])[1])
    assert (found["authorities"][0]["fingerprint"], found["holds_key"]) == (own, True)


def test_the_ca_is_rotated(run: Run, site: Site) -> None:
    before = site.add_ca()
    status, out, _ = run(["ca", "rotate"])
    record = parse_ca(site.member.read())
    new, old = record.authorities
    assert (status, old.certificate, old.retired) == (0, before.authorities[0].certificate, NOW)
    assert (bool(new.cross), out.splitlines()[0]) == (
        True,
        f"From now on signs {fingerprint(new.certificate.encode())}",
    )
    until = NOW + NODE_LIFETIME + timedelta(days=2)
    assert f"The one before is trusted until {until:%Y-%m-%d %H:%M} UTC" in out
    assert "certificates by the\nnew CA, by themselves within some minutes" in out
    assert "enrolled anew" not in out
    assert len(list(site.member.path(FOLDER).iterdir())) == 1
    shown = run(["ca", "show"])[1]
    assert ("  replaced, trusted until" in shown, shown.endswith("This member has the key.\n")) == (
        True,
        True,
    )


def test_a_ca_without_key_is_rotated_only_when_it_is_lost(run: Run, site: Site) -> None:
    site.add_ca(key=False)
    assert "This member cannot sign: " in run(["ca", "show"])[1]
    before = site.member.read()[RECORD]
    assert run(["ca", "rotate"])[0] == 4
    assert site.member.read()[RECORD] == before
    status, out, _ = run(["ca", "rotate", "--key-lost"])
    assert (status, "A node that is off now may have to be enrolled anew" in out) == (0, True)


def test_the_key_is_on_disk_before_the_record_names_it(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_ca()
    before = site.member.read()[RECORD]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/var/lib/slipway/ca/x.key")

    monkeypatch.setattr(ca_command, "write_ca_key", full)
    status, _, err = run(["ca", "rotate"])
    assert (status, site.member.read()[RECORD]) == (4, before)
    assert (
        err
        == "/var/lib/slipway/ca/x.key: cannot be written (No space left on device); free some space in /var\n"
    )
