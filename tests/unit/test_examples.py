"""The examples do what their comments say, and the documentation names every key."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostlib.checks import run_checks
from hostlib.firewall import render_firewall
from hostlib.inventory import parse_inventory
from hostlib.sizes import GIB
from installer.answers import parse_answers
from installer.config import InstallConfig
from installer.plan import plan_install
from installer.resolve import resolve
from installer.steps.handoff import plan_seed

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "examples/answers"
DOCUMENT = PROJECT / "docs/answer-file.md"
MACHINES = {
    "minimal": "four-scsi-bios",
    "static-network": "nvme-server",
    "pick-disk-by-serial": "nvme-server",
    "xfs-sizes": "nvme-server",
    "pinned-names": "nvme-server",
    "pick-disk-by-size": "four-scsi-bios",
    "report-and-webhook": "one-virtio-uefi",
    "first-boot-hook": "one-virtio-uefi",
    "allow-check": "one-virtio-uefi",
    "new-cluster": "four-scsi-bios",
    "join-cluster": "four-scsi-bios",
    "management-network": "one-virtio-uefi",
}
WARNINGS = {
    "report-and-webhook": [
        "global.root-password-hashed: it locks the password; root comes in by ssh key only, not on the console"
    ],
}
on_a_checkout = pytest.mark.skipif(
    not (PROJECT / "Makefile").exists(), reason="the documentation is not on the image"
)


def config_of(name: str) -> InstallConfig:
    machine = parse_inventory((PROJECT / f"tests/machines/{MACHINES[name]}.json").read_text())
    answers, warnings = parse_answers((EXAMPLES / f"{name}.toml").read_text(encoding="utf-8"), name)
    assert warnings == WARNINGS.get(name, [])
    return resolve(answers, machine)


def test_every_example_is_tried() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {f"{name}.toml" for name in MACHINES}


@pytest.mark.parametrize("name", MACHINES)
def test_an_example_leads_to_a_plan(name: str) -> None:
    assert [step.describe() for step in plan_install(config_of(name))]


@pytest.mark.parametrize("name", MACHINES)
def test_an_example_begins_with_what_it_is_for(name: str) -> None:
    first, *_ = (EXAMPLES / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert first.endswith(".")


def test_the_server_shows_what_a_raid_controller_looks_like() -> None:
    server = parse_inventory((PROJECT / "examples/machines/nvme-server.json").read_text())
    blocking = [found.id for found in run_checks(server, "ceph") if found.severity == "blocking"]
    assert blocking == ["raid-volume", "disk-failing"]


def test_minimal() -> None:
    config = config_of("minimal")
    assert (config.target.serial, config.network.address) == ("DISKA", "10.0.2.15/24")


def test_static_network() -> None:
    config = config_of("static-network")
    assert (config.network.nic, config.network.address) == ("eno1", "192.0.2.41/24")
    assert (config.network.gateway, config.network.dns) == ("192.0.2.1", ("192.0.2.53",))
    assert config.root_password is None
    assert len(config.root_ssh_keys) == 1
    assert (config.reboot_mode, config.reboot_on_error) == ("power-off", True)


def test_pick_disk_by_serial() -> None:
    assert config_of("pick-disk-by-serial").target.serial == "S4GENX0N100102"


def test_xfs_sizes() -> None:
    config = config_of("xfs-sizes")
    assert config.filesystem == "xfs"
    layout = config.layout
    assert (layout.disk_end_bytes, layout.swap_bytes, layout.root_bytes) == (400 * GIB, 4 * GIB, 50 * GIB)
    pool = layout.data_bytes + 2 * layout.metadata_bytes
    assert 299 * GIB < pool <= 300 * GIB


def test_pinned_names() -> None:
    network = config_of("pinned-names").network
    assert (network.nic, set(network.other_nics)) == ("mgmt0", {"nic1", "data0", "data1"})


FINGERPRINT = "5a3b0c117e2d99f043816caed507b2681f94e35d7ac02b863ef1589d640ab7c2"


def test_pick_disk_by_size() -> None:
    config = config_of("pick-disk-by-size")
    assert (config.target.serial, config.on_existing) == ("DISKA", "rename")


def test_report_and_webhook() -> None:
    config = config_of("report-and-webhook")
    assert config.report
    assert config.report.events == ("started", "succeeded", "failed")
    assert config.webhook
    for endpoint in (config.report.endpoint, config.webhook):
        assert endpoint.url.startswith("https://192.0.2.10:8443/")
        assert endpoint.cert_fingerprint == FINGERPRINT
        assert endpoint.auth_token
        assert endpoint.auth_token.get_secret_value() == "replace-this-token"
    assert len(config.root_ssh_keys) == 1


def test_first_boot_hook() -> None:
    hook = config_of("first-boot-hook").first_boot
    assert hook
    assert (hook.source, hook.ordering) == ("from-url", "fully-up")
    assert hook.endpoint
    assert (hook.endpoint.url, hook.endpoint.cert_fingerprint) == (
        "https://192.0.2.10/first-boot.sh",
        FINGERPRINT,
    )


def test_new_cluster() -> None:
    enrollment = config_of("new-cluster").enrollment
    assert (enrollment.mode, enrollment.cluster_name, enrollment.token) == ("bootstrap", "rack4", None)


def test_join_cluster() -> None:
    enrollment = config_of("join-cluster").enrollment
    assert (enrollment.mode, enrollment.urls) == ("join", ("https://192.0.2.10:8007",))
    assert enrollment.fingerprint == FINGERPRINT
    assert enrollment.token
    assert enrollment.token.get_secret_value() == "replace-this-token-by-the-real-one-00000000"


def test_management_network() -> None:
    config = config_of("management-network")
    seed = plan_seed(config, install_id="i", installed_at="t", version="v")
    assert seed.management == ("192.0.2.0/24", "198.51.100.0/26", "2001:db8:1::/64")
    assert "saddr { 192.0.2.0/24, 198.51.100.0/26 } tcp dport" in render_firewall(seed.management)


@on_a_checkout
def test_every_example_is_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in MACHINES if f"../examples/answers/{name}.toml" not in text] == []
