from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.vm.guest import become, enrolled, relay
from tests.vm.lab.cluster import Member
from tests.vm.lab.errors import LabError
from tests.vm.lab.guest import FW_CFG_NAME, build_archive, smbios_credentials
from tests.vm.lab.spec import GuestProgram

JUDGE = GuestProgram(module="judge_node", parameters={"container": True})


def decode(values: list[str]) -> dict[str, str]:
    pairs = (value.removeprefix("io.systemd.credential.binary:").split("=", 1) for value in values)
    return {name: base64.b64decode(text).decode() for name, text in pairs}


def test_judge_does_not_hold_up_the_boot() -> None:
    units = decode(smbios_credentials(JUDGE, relay=False))
    assert set(units) == {
        "systemd.extra-unit.slipway-lab-judge.service",
        "systemd.unit-dropin.multi-user.target~slipway-lab-judge",
    }
    judge = units["systemd.extra-unit.slipway-lab-judge.service"]
    assert "After=multi-user.target slipway-firstboot.service\n" in judge
    assert "Type=exec\n" in judge
    assert units["systemd.unit-dropin.multi-user.target~slipway-lab-judge"] == (
        "[Unit]\nWants=slipway-lab-judge.service\n"
    )


def test_program_that_another_unit_waits_for() -> None:
    program = GuestProgram(module="old_vgs", after="basic.target", before="slipway-installer.service")
    judge = decode(smbios_credentials(program, relay=False))["systemd.extra-unit.slipway-lab-judge.service"]
    assert "Before=slipway-installer.service\n" in judge
    assert "Type=oneshot\n" in judge


def test_relay_and_judge_go_together() -> None:
    assert len(smbios_credentials(JUDGE, relay=True)) == 4
    assert smbios_credentials(None, relay=False) == []


def test_credential_names_fit() -> None:
    # QEMU takes 55 characters for the name of a fw_cfg file.
    assert len(f"opt/io.systemd.credentials/{FW_CFG_NAME}") <= 55


def test_archive_holds_programs_and_order() -> None:
    data = build_archive(JUDGE)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        order = json.loads(archive.read("tests/vm/guest/order.json"))
    assert {"__main__.py", "tests/__init__.py", "tests/vm/guest/judge_node.py"} <= set(names)
    assert order == {"module": "judge_node", "parameters": {"container": True}}
    assert build_archive(JUDGE) == data


def test_unknown_program() -> None:
    with pytest.raises(LabError, match="no such guest program"):
        build_archive(GuestProgram(module="nothing"))


def test_too_large_parameters() -> None:
    noise = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(900_000))
    with pytest.raises(LabError, match="more than systemd takes"):
        build_archive(GuestProgram(module="judge_node", parameters={"noise": noise}))


def test_a_copied_disk_has_its_name_before_anything_looks_at_it() -> None:
    units = decode(smbios_credentials(None, relay=False, become=True))
    assert set(units) == {
        "systemd.extra-unit.slipway-lab-become.service",
        "systemd.unit-dropin.sysinit.target~slipway-lab-become",
    }
    unit = units["systemd.extra-unit.slipway-lab-become.service"]
    order = next(line for line in unit.splitlines() if line.startswith("Before="))
    assert {"networking.service", "slipway-identity.service"} <= {*order.removeprefix("Before=").split()}
    assert "ExecStart=/usr/bin/python3 %d/slipway-lab.pyz become\n" in unit
    data = build_archive(JUDGE, identity=Member(2).identity)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        order_file = json.loads(archive.read("tests/vm/guest/order.json"))
    assert order_file == {
        "module": "judge_node",
        "parameters": {"container": True},
        "identity": Member(2).identity,
    }


def test_members_share_nothing() -> None:
    members = [Member(number) for number in (1, 2, 3)]
    for name in ("name", "address", "tap", "mac"):
        assert len({getattr(member, name) for member in members}) == 3
    assert Member(2, {"mode": "join", "token": "t"}).identity == {
        "fqdn": "member2.lab.test",
        "address": "192.0.2.12/24",
        "gateway": "192.0.2.1",
        "mac": "52:54:00:00:02:02",
        "enrollment": {"mode": "join", "token": "t"},
    }
    assert Member(1).identity["enrollment"] == {"mode": "bootstrap"}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of an installed disk, and a guest program that takes them for its own."""
    texts = {
        "seed.json": json.dumps({"fqdn": "node1.lab.test", "address": "10.0.2.15/24", "version": "1"}),
        "hostname": "node1\n",
        "hosts": "127.0.0.1\tlocalhost\n10.0.2.15\tnode1.lab.test node1\n",
        "interfaces": "\taddress 10.0.2.15/24\n\tgateway 10.0.2.2\n\tbridge-ports nic0\n",
        "links/50-slipway-nic0.link": "[Match]\nMACAddress=52:54:00:00:00:01\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    hostname = tmp_path / "hostname"
    monkeypatch.setattr(become, "_SEED", tmp_path / "seed.json")
    monkeypatch.setattr(become, "_HOSTNAME", hostname)
    monkeypatch.setattr(become, "_RENAMED", (hostname, tmp_path / "hosts", tmp_path / "interfaces"))
    monkeypatch.setattr(become, "_LINKS", tmp_path / "links")
    return tmp_path


def test_a_copied_disk_becomes_another_node_once(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs: list[str] = []
    monkeypatch.setattr("subprocess.run", lambda argv, **_: programs.append(argv[0]))
    identity = Member(2, {"mode": "join"}).identity
    become.become(identity)
    assert json.loads((copied / "seed.json").read_text()) == {
        "fqdn": "member2.lab.test",
        "address": "192.0.2.12/24",
        "version": "1",
        "enrollment": {"mode": "join"},
    }
    assert (copied / "hostname").read_text() == "member2\n"
    assert (copied / "hosts").read_text() == ("127.0.0.1\tlocalhost\n192.0.2.12\tmember2.lab.test member2\n")
    assert (copied / "interfaces").read_text() == (
        "\taddress 192.0.2.12/24\n\tgateway 192.0.2.1\n\tbridge-ports nic0\n"
    )
    assert "MACAddress=52:54:00:00:02:02\n" in (copied / "links/50-slipway-nic0.link").read_text()
    assert programs == ["/usr/bin/hostname", "/usr/bin/udevadm"]
    (copied / "interfaces").write_text("changed by the test\n")
    become.become({**identity, "enrollment": {"mode": "bootstrap"}})
    assert (copied / "interfaces").read_text() == "changed by the test\n"
    assert json.loads((copied / "seed.json").read_text())["enrollment"] == {"mode": "join"}


def test_relay_sends_whole_lines_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Mapping[str, object]] = []
    monkeypatch.setattr(relay, "send", lambda _port, message: sent.append(message))
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "task-done", "task": "a"}\nnoise\n{"event": "task-st')
    offset = relay._send_new("firstboot", path, 0, 0)
    assert sent == [{"event": "task-done", "task": "a", "kind": "event", "source": "firstboot", "old": False}]
    with path.open("a") as file:
        file.write('arted", "task": "b"}\n')
    relay._send_new("firstboot", path, offset, 0)
    assert [message["event"] for message in sent] == ["task-done", "task-started"]


def test_relay_marks_events_of_an_earlier_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Mapping[str, object]] = []
    monkeypatch.setattr(relay, "send", lambda _port, message: sent.append(message))
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "a"}\n')
    old = path.stat().st_size
    with path.open("a") as file:
        file.write('{"event": "b"}\n')
    relay._send_new("firstboot", path, 0, old)
    assert [(message["event"], message["old"]) for message in sent] == [("a", True), ("b", False)]


def test_relay_waits_for_a_file(tmp_path: Path) -> None:
    assert relay._send_new("install", tmp_path / "none", 5, 0) == 5


def test_relay_sees_each_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        relay, "send", lambda _, message: sent.append(message.get("event") or message["kind"])
    )
    events, mark, enrollment = tmp_path / "events.jsonl", tmp_path / "mark", tmp_path / "enrollment.json"
    monkeypatch.setattr(relay, "FILES", {"firstboot": events})
    monkeypatch.setattr(relay, "MARKS", {"join-begun": mark})
    monkeypatch.setattr(relay, "ENROLLMENT", enrollment)
    monkeypatch.setattr(enrolled, "ENROLLMENT", enrollment)
    new, served = tmp_path / "new", {"state": "serving", "reason": ""}
    changes: list[Callable[[], object]] = [
        lambda: events.write_text('{"event": "a"}\n'),
        lambda: events.write_text('{"event": "a"}\n{"event": "b"}\n'),
        lambda: None,
        mark.touch,
        lambda: (new.write_text(json.dumps(served)), new.replace(enrollment)),
    ]
    steps = iter(changes)

    def sleep(_: float) -> None:
        step = next(steps, None)
        if step is None:
            raise TimeoutError
        step()

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(TimeoutError):
        relay.follow_events()
    assert sent == ["relay-started", "a", "b", "join-begun", "enrollment"]
