"""The pure parts of the search: parameters, mode file, a machine's values in a URL, what a server is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hostlib.errors import UserError
from hostlib.inventory import Inventory, Lease, parse_inventory
from hostlib.release import Release
from installer.discovery.identity import read_dmi_groups, render_identity
from installer.discovery.mode_file import ModeFile, ModeHttp, parse_mode_file
from installer.discovery.search import Search, Trust, boot_mac, parse_search, substitute
from installer.leases import apply_resolver, render_resolv_conf

MACHINES = Path(__file__).parents[1] / "machines"
SERVER = parse_inventory((MACHINES / "nvme-server.json").read_text())
FINGERPRINT = "ab" * 32
TOKEN = "rack7:s3cret"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, Search()),
        ({"mode": "tui", "answer": ""}, Search()),
        ({"mode": "auto"}, Search(required=True)),
        ({"answer": "medium"}, Search(kind="medium", required=True)),
        ({"answer": "label:RACK 7"}, Search(kind="label", labels=("RACK 7",), required=True)),
        (
            {"answer": "https://h/${mac}?a=b"},
            Search(kind="url", url="https://h/${mac}?a=b", required=True),
        ),
        (
            {
                "answer": "HTTPS://[2001:db8::1]:8443/",
                "answer-method": "GET",
                "answer-fingerprint": ":".join(["AB"] * 32),
                "answer-token": TOKEN,
            },
            Search(
                kind="url",
                url="HTTPS://[2001:db8::1]:8443/",
                trust=Trust(fingerprint=FINGERPRINT, token=SecretStr(TOKEN), method="get"),
                required=True,
            ),
        ),
    ],
)
def test_parse_search(parameters: dict[str, str], expected: Search) -> None:
    assert parse_search(parameters) == expected


@pytest.mark.parametrize(
    ("parameters", "problems"),
    [
        ({"answer": "label:"}, ["slipway.answer: 'label:' is neither a http or https URL nor `label:NAME` nor"]),
        ({"answer": "ftp://u:s3cret@h/"}, ["slipway.answer: 'ftp://h/' is neither a http"]),
        ({"answer": "https://u:s3cret@h/"}, ["slipway.answer: the URL holds a user name or password"]),
        ({"answer": "https://"}, ["slipway.answer: this is no URL"]),
        ({"answer-token": TOKEN}, ["slipway.answer-token: without a URL in slipway.answer it has no effect; give"]),
        (
            {"answer": "medium", "answer-method": "get", "answer-fingerprint": FINGERPRINT},
            ["slipway.answer-fingerprint: without a URL", "slipway.answer-method: without a URL"],
        ),
        (
            {"answer": "x", "answer-method": "put", "answer-fingerprint": "ab", "answer-token": "s3cret\xe4"},
            [
                "slipway.answer: 'x' is neither",
                "slipway.answer-fingerprint: a SHA-256 fingerprint has 64 hex digits, this one 2; give",
                "slipway.answer-token: the token is empty or holds white space",
                "slipway.answer-method: 'put' is neither `post` nor `get`; correct the kernel command line",
            ],
        ),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_told_at_once(parameters: dict[str, str], problems: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse_search(parameters)
    found = [str(problem) for problem in caught.value.problems]
    assert [text[: len(start)] for text, start in zip(found, problems, strict=True)] == problems
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('mode = "iso"', ModeFile(mode="iso")),
        ('mode = "partition"\npartition_label = "rack"\n[http]\n', ModeFile(mode="partition", partition_label="rack")),
        ('mode = "http"\n[http]\nurl = ""\ncert_fingerprint = ""', ModeFile(mode="http")),
        (
            f'mode = "http"\n[http]\nurl = "https://h/a"\ncert_fingerprint = "{FINGERPRINT.upper()}"\n'
            f'token = "{TOKEN}"\nmethod = "get"',
            ModeFile(
                mode="http",
                http=ModeHttp(
                    url="https://h/a", cert_fingerprint=FINGERPRINT, token=SecretStr(TOKEN), method="get"
                ),
            ),
        ),
    ],
)  # fmt: skip
def test_mode_file(text: str, expected: ModeFile) -> None:
    assert parse_mode_file(text) == expected


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("mode", ["auto-installer-mode.toml: this is no TOML: "]),
        ("", ["auto-installer-mode.toml: mode: this key is missing; correct the file on the medium"]),
        (
            'mode = "usb"\npartition-label = "x"\npartition_label = ""\n[http]\nurl = 5\nurls = "x"\ntoken = "s3c ret"\n'
            'cert_fingerprint = "xy"\nmethod = "PUT"',
            [
                "auto-installer-mode.toml: mode: Input should be 'iso', 'http' or 'partition'; correct",
                "auto-installer-mode.toml: partition_label: String should have at least 1 character; correct",
                "auto-installer-mode.toml: http.url: Input should be a valid string; correct",
                "auto-installer-mode.toml: http.cert_fingerprint: this is no SHA-256 fingerprint",
                "auto-installer-mode.toml: http.token: the token is empty or holds white space",
                "auto-installer-mode.toml: http.method: Input should be 'get' or 'post'; correct",
                "auto-installer-mode.toml: http.urls: this key is unknown; correct",
                "auto-installer-mode.toml: partition-label: this key is unknown; correct",
            ],
        ),
    ],
)
def test_a_wrong_mode_file_is_an_error(text: str, problems: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse_mode_file(text)
    found = [str(problem) for problem in caught.value.problems]
    assert [text[: len(start)] for text, start in zip(found, problems, strict=True)] == problems
    assert "s3c ret" not in str(caught.value)


def machine(**update: Any) -> Inventory:
    return SERVER.model_copy(update=update)


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        ("quiet BOOTIF=01-52-54-00-DD-00-01 console=ttyS0", "52:54:00:dd:00:01"),
        ("BOOTIF=52:54:00:dd:00:01", "52:54:00:dd:00:01"),
        ("xBOOTIF=01-52-54-00-dd-00-01", "LEASE"),
        ("BOOTIF=01-52-54-00-dd", "LEASE"),
        ("", "LEASE"),
    ],
)
def test_the_interface_that_was_booted_from(cmdline: str, expected: str) -> None:
    best = next(nic.mac for nic in SERVER.nics if nic.name == SERVER.leases[0].nic)
    assert boot_mac(machine(kernel_cmdline=cmdline)) == expected.replace("LEASE", best)


def test_a_machines_values_in_a_url() -> None:
    dmi = SERVER.dmi.model_copy(update={"serial": "A/B 7", "uuid": "4c4c-1"})
    found = machine(dmi=dmi, kernel_cmdline="BOOTIF=01-52-54-00-dd-00-01")
    url = substitute("https://h/${mac}/${serial}.toml?u=${uuid}&m=${mac}", found, "w")
    assert url == "https://h/52:54:00:dd:00:01/A%2FB%207.toml?u=4c4c-1&m=52:54:00:dd:00:01"
    assert substitute("https://h/$mac", found, "w") == "https://h/$mac"
    nobody = machine(dmi=dmi.model_copy(update={"serial": ""}), leases=(), kernel_cmdline="")
    with pytest.raises(UserError) as caught:
        substitute("https://h/${mac}${serial}${uuid}${name}", nobody, "kernel command line")
    assert str(caught.value).splitlines() == [
        "kernel command line: ${mac} in the URL is empty on this machine; use another of ${mac}, ${serial}, ${uuid}",
        "kernel command line: ${serial} in the URL is empty on this machine; use another of ${mac}, ${serial}, ${uuid}",
        "kernel command line: ${name} in the URL is unknown; known are ${mac}, ${serial}, ${uuid}",
    ]


def test_what_a_server_is_told(tmp_path: Path) -> None:
    for name, text in {"product_serial": "X7\n", "product_uuid": "4c4c", "board_asset_tag": ""}.items():
        (tmp_path / name).write_text(text)
    body = render_identity(machine(), read_dmi_groups(tmp_path), Release(version="1.2.3", commit="abc"))
    found = json.loads(body)
    own = found.pop("slipway")
    macs = [(nic.name, nic.mac.upper()) for nic in SERVER.nics]
    assert found == {
        "$schema": {"version": "1.0"},
        "product": {"fullname": "Slipway", "product": "slipway", "enable_btrfs": False},
        "iso": {"release": "1.2.3", "isorelease": "abc"},
        "dmi": {"system": {"serial": "X7", "uuid": "4c4c"}, "baseboard": {"asset_tag": ""}, "chassis": {}},
        "network_interfaces": [{"link": name, "mac": mac} for name, mac in macs],
    }
    assert own["version"] == "1.2.3"
    assert parse_inventory(json.dumps(own["inventory"])) == machine()


LEASES = (
    Lease(nic="a", address="192.0.2.2/24", dns=("192.0.2.53", "192.0.2.54"), domain="a.test", search=("b.test",)),
    Lease(nic="b", address="192.0.2.3/24", dns=("192.0.2.53", "2001:db8::1", "192.0.2.9"), search=("a.test", "c.test")),
)  # fmt: skip


def test_resolv_conf() -> None:
    assert render_resolv_conf(LEASES) == (
        "nameserver 192.0.2.53\nnameserver 192.0.2.54\nnameserver 2001:db8::1\n"
        "search a.test b.test c.test\noptions timeout:2 attempts:1\n"
    )
    assert render_resolv_conf([Lease(nic="a", address="192.0.2.2/24", domain="a.test")]) == ""


@pytest.mark.parametrize(
    ("before", "written"), [(None, True), ("\n", True), ("nameserver 192.0.2.1\n", False)]
)
def test_a_resolver_that_is_there_stays(tmp_path: Path, before: str | None, *, written: bool) -> None:
    path = tmp_path / "resolv.conf"
    if before is not None:
        path.write_text(before)
    apply_resolver(machine(leases=()), path)
    assert path.exists() == (before is not None)
    apply_resolver(machine(leases=LEASES), path)
    assert (path.read_text() == render_resolv_conf(LEASES)) is written


def test_a_resolver_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "etc").write_text("a file")
    apply_resolver(machine(leases=LEASES), tmp_path / "etc/resolv.conf")
    assert "cannot be written" in caplog.text
