"""The order of the search, and what ends it. Servers and volumes are stand-ins."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pyudev
from pydantic import SecretStr

from hostlib.errors import UserError
from hostlib.inventory import Inventory, Lease, parse_inventory
from installer.discovery import find, find_answer, parse_search
from installer.discovery.fetch import Server
from installer.discovery.search import Trust
from installer.discovery.txt import LookupFailedError
from installer.volumes import Answer
from tests.unit.installer_fakes import FakeRunner

MACHINES = Path(__file__).parents[1] / "machines"
FOUR_DISKS = parse_inventory((MACHINES / "four-scsi-bios.json").read_text())
NIC = FOUR_DISKS.leases[0].nic
FINGERPRINT = "ab" * 32
OTHER = "cd" * 32
HTTP = f'[http]\ncert_fingerprint = "{OTHER}"\ntoken = "t"\n'
URL = "proxmox-auto-installer.example.test"
PIN = "proxmox-auto-installer-cert-fingerprint.example.test"


class FakeMonitor:
    """Each wait for an event takes ten seconds."""

    def __init__(self, clock: Callable[[float], None]) -> None:
        self.clock = clock
        self.filters: list[str] = []

    @classmethod
    def from_netlink(cls, made: "FakeMonitor") -> "FakeMonitor":
        return made

    def filter_by(self, subsystem: str) -> None:
        self.filters.append(subsystem)

    def start(self) -> None:
        assert self.filters == ["block"]

    def poll(self, timeout: float) -> None:
        self.clock(timeout)


class Machine:
    """The live system with everything around the search replaced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.medium = tmp_path
        self.volumes: dict[str, str] = {}
        self.volume_after = 0.0
        self.records: dict[str, str] = {}
        self.inventory = FOUR_DISKS
        self.after_wait: Inventory | None = None
        self.fetched: list[Server] = []
        self.said = ""
        self.warnings: list[str] = []
        self.waited: list[tuple[str, int]] = []
        self.resolvers: list[tuple[str, ...]] = []
        self.now = 0.0
        monkeypatch.setattr(pyudev, "Context", lambda: FakeMonitor(self.advance))
        monkeypatch.setattr(pyudev, "Monitor", FakeMonitor)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(find, "find_on_volumes", self.on_volumes)
        monkeypatch.setattr(find, "read_inventory", lambda _: self.inventory)
        monkeypatch.setattr(find, "wait_for_lease", self.wait)
        monkeypatch.setattr(find, "wait_for_leases", self.wait_for_one)
        monkeypatch.setattr(
            find, "apply_resolver", lambda found: self.resolvers.extend(lease.dns for lease in found.leases)
        )
        monkeypatch.setattr(find, "read_txt", self.read_txt)
        monkeypatch.setattr(find, "fetch_answer", self.fetch)

    def advance(self, _: float) -> None:
        self.now += 10

    def on_volumes(self, _: object, labels: tuple[str, ...], *, warn: Callable[[str], None]) -> Answer | None:
        warn("sdz has no answer.toml")
        found = [self.volumes[label] for label in labels if label in self.volumes]
        return Answer(found[0], "volume") if found and self.now >= self.volume_after else None

    def wait(self, _: Inventory, seconds: int, *, everywhere: bool) -> Inventory:
        self.waited.append(("all" if everywhere else "any", seconds))
        self.inventory = self.after_wait or self.inventory
        return self.inventory

    def wait_for_one(self, _: Inventory, __: object, seconds: int) -> Inventory:
        return self.wait(_, seconds, everywhere=False)

    def read_txt(self, name: str, servers: tuple[str, ...]) -> str:
        assert servers == ("10.0.2.3",)
        if self.records.get(name) == "FAILS":
            raise LookupFailedError(f"{name}: 10.0.2.3 did not tell (LifetimeTimeout)")
        return self.records.get(name, "")

    def fetch(self, server: Server, inventory: Inventory, **_: object) -> Answer:
        assert inventory is self.inventory
        self.fetched.append(server)
        return Answer("fetched", server.source)

    def lease(self, **update: Any) -> None:
        leases = (FOUR_DISKS.leases[0].model_copy(update=update),)
        self.inventory = FOUR_DISKS.model_copy(update={"leases": leases})

    def find(self, **parameters: str) -> Answer | None:
        def say(text: str) -> None:
            self.said += text

        search = parse_search({name.replace("_", "-"): value for name, value in parameters.items()})
        return find_answer(search, FakeRunner(), say=say, warn=self.warnings.append, medium=self.medium)

    def fails(self, **parameters: str) -> str:
        with pytest.raises(UserError) as caught:
            self.find(**parameters)
        return str(caught.value)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Machine:
    caplog.set_level(logging.INFO)
    return Machine(monkeypatch, tmp_path)


def test_the_first_kind_of_source_counts(machine: Machine) -> None:
    machine.records[URL] = "https://dns/"
    assert machine.find() == Answer("fetched", f"DNS TXT {URL}")
    machine.lease(answer_url="https://dhcp/")
    assert machine.find() == Answer("fetched", f"DHCP option 250 of {NIC}")
    machine.volumes["SLIPWAY"] = "v"
    assert machine.find() == Answer("v", "volume")
    (machine.medium / "answer.toml").write_text("m")
    assert machine.find() == Answer("m", "answer.toml on the live medium")
    (machine.medium / "auto-installer-mode.toml").write_text('mode = "http"\nhttp.url = "https://iso/"')
    assert machine.find() == Answer("fetched", "auto-installer-mode.toml on the live medium")
    assert machine.find(answer="https://line/") == Answer("fetched", "kernel command line")
    assert [server.url for server in machine.fetched] == [
        "https://dns/",
        "https://dhcp/",
        "https://iso/",
        "https://line/",
    ]
    assert set(machine.resolvers) == {("10.0.2.3",)}


def test_each_attempt_is_logged_and_told_at_the_end(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    assert machine.find() is None
    attempts = [
        "kernel command line: no slipway.answer",
        "medium: no auto-installer-mode.toml, no answer.toml",
        "volumes labelled SLIPWAY or PROXMOX-AIS: sdz has no answer.toml",
        f"DHCP option 250: not given on {NIC}",
        f"DNS TXT {URL}: none",
    ]
    assert [message for name, _, message in caplog.record_tuples if name == "slipway.discovery"] == attempts
    assert machine.warnings == ["sdz has no answer.toml"]
    assert machine.fails(mode="auto") == (
        f"answer: no answer file was found ({'; '.join(attempts)}); docs/answer-sources.md lists the ways to give one"
    )
    machine.lease(dns=())
    assert "DNS TXT: no lease gives a domain and a name server)" in machine.fails(mode="auto")
    machine.inventory = FOUR_DISKS.model_copy(update={"leases": (), "nics": ()})
    assert "DHCP option 250: no lease; DNS TXT: no lease gives" in machine.fails(mode="auto")


@pytest.mark.parametrize(
    ("parameters", "appears", "found"),
    [({}, 9, True), ({}, 11, False), ({"mode": "auto"}, 30, True), ({"answer": "label:RACK"}, 30, True),
     ({"answer": "label:RACK"}, 41, False)],
)  # fmt: skip
def test_a_volume_may_appear_late(
    machine: Machine, parameters: dict[str, str], appears: float, *, found: bool
) -> None:
    machine.volumes = {"RACK" if "answer" in parameters else "SLIPWAY": "v"}
    machine.volume_after = appears
    if found:
        assert machine.find(**parameters) == Answer("v", "volume")
    elif parameters:
        assert "volumes labelled RACK: sdz has no answer.toml" in machine.fails(**parameters)
    else:
        assert machine.find() is None
    # Told once, however often it was looked at.
    assert machine.warnings == ["sdz has no answer.toml"]


def test_one_kind_of_source_only(machine: Machine) -> None:
    machine.lease(answer_url="https://dhcp/")
    machine.volumes["SLIPWAY"] = "v"
    assert machine.fails(answer="medium") == (
        "answer: no answer file was found (kernel command line: only the medium; medium: no "
        "auto-installer-mode.toml, no answer.toml); docs/answer-sources.md lists the ways to give one"
    )
    (machine.medium / "answer.toml").write_text("m")
    assert "volumes labelled RACK: sdz" in machine.fails(answer="label:RACK")
    assert machine.find(answer="medium") == Answer("m", "answer.toml on the live medium")
    assert machine.fetched == []


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ('mode = "iso"', "m"),
        ('mode = "partition"', "v"),
        ('mode = "partition"\npartition_label = "RACK"', "rack"),
        ('mode = "http"', Server("https://dhcp/", Trust(fingerprint=FINGERPRINT), f"DHCP option 250 of {NIC}")),
        # What is on the medium goes before what the network says.
        (
            f'mode = "http"\n{HTTP}method = "get"',
            Server(
                "https://dhcp/",
                Trust(fingerprint=OTHER, token=SecretStr("t"), method="get"),
                f"DHCP option 250 of {NIC}",
            ),
        ),
        # A URL takes no fingerprint from another source.
        (
            'mode = "http"\nhttp.url = "https://iso/"',
            Server("https://iso/", Trust(), "auto-installer-mode.toml on the live medium"),
        ),
    ],
)  # fmt: skip
def test_the_mode_file_decides(machine: Machine, mode: str, expected: str | Server) -> None:
    machine.lease(answer_url="https://dhcp/", answer_fingerprint=FINGERPRINT.upper())
    machine.volumes = {"SLIPWAY": "v", "RACK": "rack"}
    (machine.medium / "answer.toml").write_text("m")
    (machine.medium / "auto-installer-mode.toml").write_text(mode)
    found = machine.find()
    assert found is not None
    assert (machine.fetched[0] if machine.fetched else found.text) == expected


@pytest.mark.parametrize(
    ("mode", "problem"),
    [
        ('mode = "iso"', "answer.toml on the live medium: cannot be read: No such file"),
        ('mode = "partition"', 'medium: auto-installer-mode.toml with mode = "partition"; volumes labelled'),
        ('mode = "http"', f"DNS TXT {URL}: none); docs"),
        ('mode = "usb"', "auto-installer-mode.toml: mode: Input should be"),
        (
            "\x00" * (2**20 + 1),
            "auto-installer-mode.toml on the live medium: the file is larger than 1.0 MiB",
        ),
    ],
)
def test_a_mode_file_that_leads_nowhere_is_final(machine: Machine, mode: str, problem: str) -> None:
    if "partition" not in mode:
        machine.volumes["SLIPWAY"] = "v"
    (machine.medium / "auto-installer-mode.toml").write_text(mode)
    assert problem in machine.fails()


@pytest.mark.parametrize(
    ("update", "problem"),
    [
        ({"answer_url": "ftp://x"}, f"DHCP option 250 of {NIC}: this is no URL"),
        ({"answer_url": "https://u:s3cret@x/"}, "the URL holds a user name"),
        ({"answer_url": "https://x", "answer_fingerprint": "ab"}, f"DHCP option 251 of {NIC}: a SHA-256"),
    ],
)
def test_wrong_options_are_final(machine: Machine, update: dict[str, str], problem: str) -> None:
    machine.records[URL] = "https://dns/"
    machine.lease(**update)
    text = machine.fails()
    assert problem in text
    assert "s3cret" not in text


def test_two_networks_must_not_differ(machine: Machine) -> None:
    first = FOUR_DISKS.leases[0].model_copy(update={"answer_url": "https://a/"})
    second = Lease(nic="eth9", address="192.0.2.2/24", answer_url="https://a/")
    machine.inventory = FOUR_DISKS.model_copy(update={"leases": (first, second)})
    assert machine.find() == Answer("fetched", f"DHCP option 250 of {NIC}, eth9")
    other = second.model_copy(update={"answer_url": "https://b/"})
    machine.inventory = FOUR_DISKS.model_copy(update={"leases": (first, other)})
    assert (
        f"DHCP option 250 of {NIC}, eth9: the servers of these networks give different URLs"
        in machine.fails()
    )


@pytest.mark.parametrize(
    ("pin", "expected"),
    [
        ("", Trust()),
        (FINGERPRINT.upper(), Trust(fingerprint=FINGERPRINT)),
        ("ab", f"DNS TXT {PIN}: a SHA-256 fingerprint has 64 hex digits"),
        # Without it another server could answer.
        ("FAILS", f"DNS TXT {PIN}: {PIN}: 10.0.2.3 did not tell (LifetimeTimeout); mend the name server"),
    ],
)
def test_dns_with_a_fingerprint(machine: Machine, pin: str, expected: Trust | str) -> None:
    machine.records = {URL: "https://dns/", PIN: pin}
    if isinstance(expected, str):
        assert machine.fails().startswith(expected)
    else:
        machine.find()
        assert machine.fetched == [Server("https://dns/", expected, f"DNS TXT {URL}")]


def test_each_search_domain_is_asked(machine: Machine) -> None:
    machine.lease(search=("one.test", "example.test", "two.test"))
    machine.records = {
        "proxmox-auto-installer.one.test": "FAILS",
        "proxmox-auto-installer.two.test": "https://two/",
    }
    assert machine.find() == Answer("fetched", "DNS TXT proxmox-auto-installer.two.test")
    machine.records.popitem()
    assert (
        f"DNS TXT {URL}: none; DNS TXT proxmox-auto-installer.one.test: 10.0.2.3 did not tell (LifetimeTimeout); "
        "DNS TXT proxmox-auto-installer.two.test: none)"
    ) in machine.fails(mode="auto")


def with_links(inventory: Inventory, *, link: bool | None, leased: bool) -> Inventory:
    nics = tuple(nic.model_copy(update={"link": link}) for nic in inventory.nics)
    return inventory.model_copy(update={"nics": nics, "leases": inventory.leases if leased else ()})


@pytest.mark.parametrize(
    ("parameters", "link", "leased", "waited"),
    [
        ({}, True, True, []),
        ({}, True, False, [("all", 10)]),
        # Links take their time where a switch looks for loops first.
        ({}, None, False, [("any", 10)]),
        ({"mode": "auto"}, True, True, []),
        ({"mode": "auto"}, True, False, [("all", 60)]),
        ({"mode": "auto"}, None, False, [("any", 60)]),
        ({"answer": "https://line/"}, True, True, [("any", 60)]),
    ],
)
def test_the_network_is_waited_for(
    machine: Machine,
    parameters: dict[str, str],
    link: bool | None,  # noqa: FBT001  a row of a table
    leased: bool,  # noqa: FBT001  a row of a table
    waited: list[tuple[str, int]],
) -> None:
    first = FOUR_DISKS.model_copy(update={"nics": FOUR_DISKS.nics[:1]})
    machine.inventory = with_links(first, link=link, leased=leased)
    machine.after_wait = with_links(first, link=True, leased=True)
    machine.after_wait = machine.after_wait.model_copy(
        update={
            "leases": tuple(lease.model_copy(update={"nic": first.nics[0].name}) for lease in first.leases)
        }
    )
    if leased:
        machine.inventory = machine.after_wait
    if parameters.get("mode"):
        machine.fails(**parameters)
    else:
        machine.find(**parameters)
    assert machine.waited == waited


def test_an_address_from_the_network_boot_does_not_hide_what_dhcp_gives(machine: Machine) -> None:
    booted = FOUR_DISKS.leases[0].model_copy(update={"dhcp": False})
    first = FOUR_DISKS.model_copy(update={"nics": FOUR_DISKS.nics[:1], "leases": (booted,)})
    machine.inventory = with_links(first, link=True, leased=True)
    given = booted.model_copy(update={"dhcp": True, "answer_url": "https://dhcp/"})
    machine.after_wait = machine.inventory.model_copy(update={"leases": (given,)})
    found = machine.find(mode="auto")
    assert found
    assert found.source.startswith("DHCP option 250")
