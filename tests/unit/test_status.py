from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
from pathlib import Path

import pytest

from agent import status as module
from agent.csr import check_unique
from agent.health import Health, Trouble
from agent.protocol import Facts
from agent.status import (
    SERVICES,
    Address,
    Enrollment,
    Member,
    certificate_fingerprint,
    parse_addresses,
    parse_members,
    read_status,
    render_status_json,
    ssh_fingerprint,
)
from agent.status_render import render_status
from hostlib import tls
from hostlib.seed import SEED_PATH, NodeSeed, write_seed
from tests.unit.health_data import ADDRESSES, CERTIFICATE, MEMBERS, STATUS, TROUBLES, make_node
from tests.unit.installer_fakes import FakeRunner

HEALTHY = Health(1, ())
ACTIVE = "active\n" * len(SERVICES)
SEED = NodeSeed(
    install_id="x",
    installed_at="2026-03-01T11:55:00Z",
    version="0.1.0",
    fqdn="node1.example.com",
    address="192.0.2.4/24",
)
FULL = dataclasses.replace(
    STATUS,
    first_boot_done=False,
    addresses=(*STATUS.addresses, *(Address(f"br{n}", f"198.51.100.{n}/24") for n in range(9))),
    health=Health(1, tuple(dataclasses.replace(TROUBLES[0], where=f"thing {n}") for n in range(40))),
    enrollment=Enrollment(
        "requested", "the member does not answer, " * 9, "0" * 32, ("https://192.0.2.1:8007",) * 3
    ),
    members=tuple(
        Member(f"node{n}", "Offline", f"https://192.0.2.{n}:8443", (), "x" * 90) for n in range(20)
    ),
    services=dict.fromkeys(SERVICES, "failed"),
)


def text(status: module.Status, columns: int = 80, rows: int = 24) -> str:
    return "\n".join(line.text for line in render_status(status, columns, rows))


def test_paths_are_those_of_the_modules_that_own_them() -> None:
    assert Path("/") / SEED_PATH == module.SEED
    assert tls.CERTIFICATE == module.CERTIFICATE


def test_fingerprints() -> None:
    assert certificate_fingerprint(CERTIFICATE.decode()) == tls.fingerprint(CERTIFICATE)
    assert certificate_fingerprint("") == certificate_fingerprint("-----BEGIN CERTIFICATE-----\n!") == ""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f root@node1"
    assert ssh_fingerprint(key) == "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"
    assert ssh_fingerprint("") == ssh_fingerprint("ssh-ed25519 !") == ""


def test_addresses_of_the_bridge_come_first() -> None:
    assert [address.address for address in parse_addresses(ADDRESSES, "vmbr0")] == [
        "192.0.2.10/24",
        "2001:db8::10/64",
        "198.51.100.7/24",
    ]


def test_members_that_are_away_come_first() -> None:
    members = parse_members(MEMBERS)
    assert [(member.name, member.status) for member in members] == [
        ("node3", "Offline"),
        ("node1", "Online"),
        ("node2", "Online"),
    ]
    assert members[1].roles == ("database-leader", "database")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_node(tmp_path)
    write_seed(SEED, tmp_path)
    (tmp_path / "var/lib/slipway").mkdir(parents=True)
    (tmp_path / "var/lib/slipway/firstboot-done").write_text("")
    return tmp_path


def test_a_node_of_a_cluster(root: Path) -> None:
    record = {
        "schema": 1,
        "state": "joined",
        "reason": "r",
        "id": "0" * 32,
        "urls": ["https://192.0.2.1:8007"],
    }
    (root / "var/lib/slipway/enrollment.json").write_text(json.dumps(record))
    runner = FakeRunner({"ip": ADDRESSES, "systemctl": ACTIVE, "incus": MEMBERS})
    status = read_status(runner, lambda: HEALTHY, root)
    assert status.name == "node1.example.com"
    assert status.urls == {"web_console": "https://192.0.2.10:8006/", "incus": "https://192.0.2.10:8443/"}
    assert status.enrollment == Enrollment("joined", "r", "0" * 32, ("https://192.0.2.1:8007",))
    assert len(status.members) == 3
    assert set(status.services.values()) == {"active"}
    assert status.certificate == tls.fingerprint(CERTIFICATE)
    content = json.loads(render_status_json(status))
    assert (content["schema"], content["health"]["state"]) == (1, "ok")
    assert content["members"][0]["name"] == "node3"
    assert content["urls"] == status.urls


def test_a_node_on_its_own(root: Path) -> None:
    failures = {"incus": "Error: Server isn't part of a cluster", "ip": "x"}
    status = read_status(FakeRunner({"systemctl": ACTIVE}, failures), lambda: HEALTHY, root)
    assert (status.members, status.cluster_trouble) == ((), "")
    assert status.enrollment == Enrollment()
    # What the installer set, where the kernel cannot be asked.
    assert status.addresses == (Address("vmbr0", "192.0.2.4/24"),)
    assert "Enrolment    not enrolled" in text(status)
    assert "Cluster      none: this node is on its own" in text(status)


def test_incus_is_never_started_by_a_question(root: Path) -> None:
    stopped = FakeRunner({"systemctl": ACTIVE.replace("active", "inactive")})
    assert read_status(stopped, lambda: HEALTHY, root).cluster_trouble == "not known: Incus is inactive"
    (root / "var/lib/slipway/firstboot-done").unlink()
    early = FakeRunner({"systemctl": ACTIVE})
    assert read_status(early, lambda: HEALTHY, root).cluster_trouble == "known after first boot"
    assert not [line for line in stopped.lines + early.lines if line.startswith("incus")]


@pytest.mark.parametrize("answer", ["{", "[{}]", '[{"server_name": 1}]'])
def test_odd_answers_leave_the_rest(root: Path, answer: str) -> None:
    (root / SEED_PATH).write_text("{")
    (root / "var/lib/slipway/enrollment.json").write_text(answer)
    answers = {"ip": answer, "systemctl": ACTIVE, "incus": answer}
    status = read_status(FakeRunner(answers), lambda: HEALTHY, root)
    assert status.cluster_trouble
    assert f"{module.ENROLLMENT} is damaged; " in status.enrollment.reason
    assert status.name
    assert read_status(FakeRunner({"systemctl": "active"}), lambda: HEALTHY, root).services == {}


def test_one_screen() -> None:
    assert text(STATUS).splitlines() == [
        "Slipway 0.1.0 on node1.example.com",
        "",
        "Address      192.0.2.10/24 (vmbr0), 2001:db8::10/64 (vmbr0)",
        "Web console  https://192.0.2.10:8006/",
        "Incus API    https://192.0.2.10:8443/",
        "Certificate  SHA-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:",
        "                     10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F",
        "SSH host key SHA256:uNiVztksCsDhcc0u9e8BrqqdJqmY2mbmuzBOCnhLOKI (ED25519)",
        "Enrolment    serving, node 0123456789abcdef0123456789abcdef",
        "Cluster      3 members, all online",
        "  node1  Online  192.0.2.10:8443  database-leader",
        "  node2  Online  192.0.2.11:8443  database",
        "  node3  Online  192.0.2.12:8443  database",
        "Services     ssh, web console, Incus, agent, firewall, time, LLDP; SMART",
        "             inactive",
        "Findings     none",
    ]


@pytest.mark.parametrize("rows", [23, 24, 50])
@pytest.mark.parametrize("columns", [78, 80, 132])
def test_however_much_there_is_it_fits(columns: int, rows: int) -> None:
    lines = render_status(FULL, columns, rows)
    assert len(lines) <= rows
    assert max(len(line.text) for line in lines) <= columns
    shown = text(FULL, columns, rows)
    assert "Findings     40 critical" in shown
    assert "more: slipway status --json" in shown
    assert "critical: thing 0: is 96.2 % full" in shown


def test_what_is_cut_is_counted() -> None:
    lines = text(FULL, 80, 24).splitlines()
    cut = [line for line in lines if "more: " in line]
    members = [line for line in lines if line.startswith("  node")]
    assert cut[0] == f"  and {20 - len(members)} more: slipway status --json"
    few = dataclasses.replace(STATUS, health=Health(1, TROUBLES))
    assert "more: " not in text(few)
    assert text(few).count("Online") == 3


def test_a_node_that_waits_says_what_to_do() -> None:
    facts = Facts(fqdn="node2.example.com", address="192.0.2.12")
    refusal = check_unique("0" * 32, facts, {"f" * 32: facts})
    assert refusal is not None
    reason = f"https://192.0.2.11:8007: {refusal.reason}; {refusal.todo}"
    waiting = Enrollment("new", reason, "0" * 32, tuple(f"https://192.0.2.{n}:8007" for n in range(1, 9)))
    shown = " ".join(text(dataclasses.replace(STATUS, members=(), enrollment=waiting), 78, 23).split())
    assert reason in shown


def test_a_member_that_is_not_heard_is_not_well() -> None:
    odd = dataclasses.replace(STATUS, enrollment=Enrollment("serving", "clock: it is wrong", "0" * 32))
    styles = {line.text.strip(): line.style for line in render_status(odd)}
    assert styles["clock: it is wrong"] == "warning"


def test_nothing_steers_the_terminal() -> None:
    odd = dataclasses.replace(
        STATUS,
        members=(Member("a\x1b[2J", "Offline", "https://x", (), "b\nc"),),
        health=Health(1, (Trouble("warning", "d\x1b", "e", "f"),)),
    )
    assert text(odd).replace("\n", "").isprintable()


def test_the_status_screen_takes_no_large_library() -> None:
    """It stays in memory for good, once for each console."""
    large = {"pydantic", "cryptography", "jinja2", "aiohttp"}
    seen: set[str] = set()
    waiting = ["agent.screen"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert name.split(".")[0] not in large, name
        if name.split(".")[0] in {"agent", "hostlib"}:
            waiting += top_imports(name)
    assert "hostlib.run" in seen


def top_imports(name: str) -> list[str]:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    return [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
