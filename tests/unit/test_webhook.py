import json
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hostlib.http import HttpError, Request, Response
from hostlib.inventory import Inventory, parse_inventory
from hostlib.release import Release
from hostlib.tls import fingerprint, make_node_pair, write_pair
from installer import webhook
from installer.config import Endpoint
from installer.steps import webhook as step_module
from installer.steps.webhook import WebhookRecord
from installer.webhook import (
    Facts,
    parse_cpu,
    parse_kernel,
    plan_webhook,
    render_post,
    render_webhook,
    run_webhook,
)
from tests.unit.installer_fakes import PASSWORD, FakeRunner, config, context, target

MACHINES = Path(__file__).parents[1] / "machines"
ONE = parse_inventory((MACHINES / "one-virtio-uefi.json").read_text())
FOUR = parse_inventory((MACHINES / "four-scsi-bios.json").read_text())
TOKEN = "w3bh00k"
HOOK = Endpoint(url="https://192.0.2.1/done?key=k3y", cert_fingerprint="ab" * 32, auth_token=SecretStr(TOKEN))
UNAME = "6.12.117+deb13-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1"
KERNEL = {
    "sysname": "Linux",
    "release": "6.12.117+deb13-amd64",
    "version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1",
    "machine": "x86_64",
}


def image(text: str = UNAME) -> bytes:
    """The first bytes of a kernel image by the boot protocol of x86."""
    head = bytearray(0x4000)
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x20E, 0x3000)
    head[0x3200 : 0x3200 + len(text)] = text.encode()
    return bytes(head)


def test_parse_kernel() -> None:
    assert parse_kernel(image()) == KERNEL
    empty = {"sysname": "Linux", "release": "", "version": "", "machine": "x86_64"}
    for broken in (b"", b"MZ" * 5000, image("")):
        assert parse_kernel(broken) == empty


def cpuinfo(*ids: tuple[int, int]) -> str:
    return "".join(
        f"processor\t: {number}\nmodel name\t: Some CPU\nphysical id\t: {socket}\ncore id\t\t: {core}\n"
        "flags\t\t: fpu vmx sse\npower management:\n\n"
        for number, (socket, core) in enumerate(ids)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Two sockets of two cores with two threads: core numbers begin anew in the second.
        (cpuinfo(*[(s, c) for s in (0, 1) for c in (0, 1)] * 2), (4, 8, 2, True)),
        (cpuinfo((0, 0)), (1, 1, 1, True)),
        ("processor\t: 0\n\nprocessor\t: 1\n", (2, 2, 1, False)),
        ("", (0, 0, 0, False)),
    ],
)
def test_parse_cpu(text: str, expected: tuple[int, int, int, bool]) -> None:
    cpu = parse_cpu(text)
    assert (cpu["cores"], cpu["cpus"], cpu["sockets"], cpu["hvm"]) == expected


def plan(inventory: Inventory, **update: Any) -> dict[str, Any]:
    facts = Facts(
        "13.7",
        KERNEL,
        {"cores": 1},
        {"system": {"serial": "S1"}},
        {"rsa": "ssh-rsa AAAA root@node1"},
        "AB:CD",
    )
    return plan_webhook(
        config(webhook=HOOK, **update), inventory, facts, Release(version="1.2.3", commit="3f2a91c")
    )


def test_the_body_is_the_peers() -> None:
    mac = ONE.nics[0].mac
    network = config().network.model_copy(update={"nic": "nic0", "mac": mac, "pinned": {mac: "nic0"}})
    data = plan(
        ONE,
        network=network,
        target=target(path=ONE.disks[0].stable_path),
        secure_boot=True,
        root_ssh_keys=("ssh-ed25519 AAAA",),
    )
    assert isinstance(data.pop("checks"), list), "the next test looks into it"
    assert data == {
        "$schema": {"version": "1.2"},
        "debian-version": "13.7",
        "product": {"fullname": "Slipway", "short": "slipway", "version": "1.2.3"},
        "iso": {"release": "1.2.3", "isorelease": "3f2a91c"},
        "kernel-version": KERNEL,
        "boot-info": {"mode": "efi", "secureboot": True},
        "cpu-info": {"cores": 1},
        "dmi": {"system": {"serial": "S1"}},
        "filesystem": "ext4",
        "fqdn": "node1.example.test",
        "machine-id": "",
        "disks": [{"size": 34359738368, "is-bootdisk": True, "udev-properties": ONE.disks[0].udev}],
        "network-interfaces": [
            {
                "name": "nic0",
                "mac": "52:54:00:12:34:56",
                "address": "192.0.2.10/24",
                "is-management": True,
                "is-pinned": True,
                "udev-properties": ONE.nics[0].udev,
            }
        ],
        "ssh-public-host-keys": {"rsa": "ssh-rsa AAAA root@node1"},
        "web-console": {"url": "https://192.0.2.10:8006/", "cert-fingerprint": "AB:CD"},
        "reboot-mode": "reboot",
    }


def test_what_was_allowed_is_marked() -> None:
    machine = ONE.model_copy(update={"memory_bytes": 2**29})
    checks = plan(machine, allowed_checks=("memory-minimum",))["checks"]
    assert [check["id"] for check in checks if check["allowed"]] == ["memory-minimum"]


def test_what_is_false_is_left_out() -> None:
    data = plan(FOUR, firmware="bios")
    assert data["boot-info"] == {"mode": "bios"}
    disks = [disk for disk in FOUR.disks if not disk.boot_medium]
    assert [disk["size"] for disk in data["disks"]] == [disk.size_bytes for disk in disks]
    assert [disk["size"] for disk in data["disks"] if "is-bootdisk" in disk] == [disks[0].size_bytes]
    assert not any("is-pinned" in nic for nic in data["network-interfaces"])


def test_the_token_is_the_only_secret() -> None:
    text = render_webhook(plan(ONE))
    assert json.loads(render_post(text, HOOK)) == json.loads(text) | {"token": TOKEN}
    assert json.loads(render_post(text, HOOK.model_copy(update={"auth_token": None}))) == json.loads(text)
    for secret in (TOKEN, PASSWORD, "k3y"):
        assert secret not in text


def test_the_step_keeps_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "run/webhook.json"
    monkeypatch.setattr(step_module, "RECORD", record)
    here = context(FakeRunner(), tmp_path, inventory=ONE)
    step = WebhookRecord(config(webhook=HOOK))
    step.run(here, lambda _: None)
    empty = json.loads(record.read_text())
    assert (empty["kernel-version"]["release"], empty["ssh-public-host-keys"]) == ("", {})
    assert empty["web-console"]["cert-fingerprint"] == ""
    pair = make_node_pair("node1.example.test", "192.0.2.10/24", datetime(2026, 3, 1, tzinfo=UTC))
    write_pair(pair, tmp_path / "target")
    for path, content in (
        ("target/boot/vmlinuz-6.12.117+deb13-amd64", image()),
        ("target/etc/debian_version", b"13.7\n"),
        ("target/etc/ssh/ssh_host_ed25519_key", b"PRIVATE"),
        ("target/etc/ssh/ssh_host_ed25519_key.pub", b"ssh-ed25519 AAAA root@node1\n"),
        ("proc/cpuinfo", cpuinfo((0, 0)).encode()),
        ("sys/class/dmi/id/product_serial", b"S1\n"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    step.run(here, lambda _: None)
    kept = tmp_path / "target/var/log/slipway/webhook.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_text() == record.read_text()
    data = json.loads(kept.read_text())
    assert (data["kernel-version"], data["debian-version"]) == (KERNEL, "13.7")
    assert (data["cpu-info"]["cores"], data["dmi"]["system"]) == (1, {"serial": "S1"})
    assert data["ssh-public-host-keys"] == {"ed25519": "ssh-ed25519 AAAA root@node1"}
    assert data["web-console"]["cert-fingerprint"] == fingerprint(pair.certificate_pem)
    assert "PRIVATE" not in kept.read_text()
    (preview,) = step.describe()
    assert preview.path == "/var/log/slipway/webhook.json"
    assert TOKEN not in preview.content
    assert "k3y" not in preview.content


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "webhook.json"
    path.write_text('{"fqdn": "node1"}')
    monkeypatch.setattr(webhook, "RECORD", path)
    return path


def test_it_is_posted_as_the_peer_does(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Request] = []

    def send(request: Request, *, limit_seconds: float, **_: object) -> Response:
        assert limit_seconds == 120
        sent.append(request)
        return Response(200, "", b"")

    assert record.exists()
    monkeypatch.setattr(webhook, "send_patiently", send)
    warnings: list[str] = []
    run_webhook(HOOK, warnings.append)
    (request,) = sent
    assert not warnings
    assert (request.method, request.url, request.fingerprint) == ("POST", HOOK.url, "ab" * 32)
    assert request.token is None, "the token is in the body, and nowhere else"
    assert json.loads(request.body or b"") == {"fqdn": "node1", "token": TOKEN}


@pytest.mark.parametrize(
    ("error", "told"),
    [(HttpError("status 500"), "status 500"), (ImportError("the medium is gone"), "the medium is gone")],
)
def test_a_webhook_that_fails_is_a_warning(
    record: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fail(*_: object, **__: object) -> Response:
        raise error

    monkeypatch.setattr(webhook, "send_patiently", fail)
    warnings: list[str] = []
    run_webhook(HOOK, warnings.append)
    assert len(warnings) == 1
    assert told in warnings[0]
    assert warnings[0].endswith("the node is installed all the same")
    record.unlink()
    run_webhook(HOOK, warnings.append)
    assert len(warnings) == 2
