"""Fetching an answer from real servers on 127.0.0.1, TXT records from a real name server, waiting for leases."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from aiohttp import web
from pydantic import SecretStr

from hostlib.errors import UserError
from hostlib.inventory import Inventory, Lease, parse_inventory
from installer import leases
from installer.discovery import txt
from installer.discovery.fetch import Server, fetch_answer
from installer.discovery.search import Trust
from installer.discovery.txt import LookupFailedError, read_txt
from installer.leases import wait_for_lease, wait_for_leases
from installer.volumes import Answer
from tests.unit import http_servers
from tests.unit.http_servers import Handler, Servers

FOUR_DISKS = parse_inventory((Path(__file__).parents[1] / "machines/four-scsi-bios.json").read_text())
MAC = FOUR_DISKS.nics[0].mac
TOKEN = "rack7:s3cret"
LINE = "kernel command line"
_closed_world = http_servers.closed_world
all_servers = http_servers.all_servers
servers = http_servers.servers


class Client:
    """Fetches, and keeps what a person is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warnings: list[str] = []

    def fetch(self, url: str, **trust: Any) -> Answer:
        server = Server(url, Trust(**trust), LINE)
        return fetch_answer(server, FOUR_DISKS, say=self.said.append, warn=self.warnings.append)

    def fails(self, url: str, **trust: Any) -> str:
        with pytest.raises(UserError) as caught:
            self.fetch(url, **trust)
        return str(caught.value)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("random.uniform", lambda low, _: low / 100)
    return Client()


def gives(data: bytes, status: int = 200) -> Handler:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(body=data, status=status, content_type="application/json")

    return handler


def test_a_machine_tells_who_it_is(servers: Servers, client: Client) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        headers = (request.headers["Content-Type"], request.headers["Accept"])
        assert headers == (
            "application/json; charset=utf-8",
            "application/json, application/toml;q=0.5",
        )
        return web.Response(text="\ufeffa = 1")

    base = servers.serve(handler, tls=True)
    answer = client.fetch(f"{base}/${{mac}}?k=v", fingerprint=servers.fingerprint, token=SecretStr(TOKEN))
    assert answer == Answer("a = 1", f"{base}/{MAC}?<redacted> ({LINE})")
    ((_, method, path, body, authorization),) = servers.seen
    assert (method, path, authorization) == ("POST", f"/{MAC}?k=v", f"Bearer {TOKEN}")
    document = json.loads(body)
    assert document["network_interfaces"][0] == {"link": FOUR_DISKS.nics[0].name, "mac": MAC.upper()}
    assert document["slipway"]["inventory"]["disks"]
    assert client.said == [f"fetching the answer from {base}/{MAC}?<redacted> ({LINE})\n"]
    assert client.warnings == []


def test_a_file_on_a_plain_web_server(servers: Servers, client: Client) -> None:
    base = servers.serve(gives(b'{"global": {}}'))
    assert client.fetch(f"{base}/${{mac}}.toml", method="get").text == '{"global": {}}'
    assert servers.seen == [("http", "GET", f"/{MAC}.toml", b"", None)]
    assert client.warnings == [
        f"{base}/{MAC}.toml: the answer comes over http: anybody on the way can read and change it"
    ]
    client.fetch(base, method="get", token=SecretStr(TOKEN))
    assert client.warnings[2] == f"{base}: the token goes over http: anybody on the way can read it"


def test_a_server_that_comes_back(servers: Servers, client: Client) -> None:
    statuses = [500, 500, 200]

    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(text="a = 1", status=statuses.pop(0))

    base = servers.serve(handler, tls=True)
    assert client.fetch(base, fingerprint=servers.fingerprint).text == "a = 1"
    assert len(client.warnings) == 2
    for text in client.warnings:
        assert text.startswith(f"{base}: status 500 Internal Server Error: a = 1; see the log of that server")


def test_a_failure_names_the_source(servers: Servers, client: Client) -> None:
    base = servers.serve(gives(b"unknown machine", 404))
    assert client.fails(base) == (
        f"{LINE}: no answer: {base}: status 404 Not Found: unknown machine; see the log of that server; "
        "mend it, or take this source away: no other one is asked"
    )
    secure = servers.serve(gives(b"a = 1"), tls=True)
    assert "wanted is " + "ab" * 32 in client.fails(secure, fingerprint="ab" * 32, token=SecretStr(TOKEN))
    assert "the body is larger than 1.0 MiB" in client.fails(servers.serve(gives(b"x" * (2**20 + 1))))
    assert "byte 0 is not UTF-8; save the file as UTF-8" in client.fails(servers.serve(gives(b"\xff")))
    assert "${name} in the URL is unknown" in client.fails("http://127.0.0.1/${name}")


class NameServer:
    """Answers TXT queries on 127.0.0.1."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.rcode = dns.rcode.NOERROR
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            name = query.question[0].name
            self.asked.append(str(name))
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            answer.set_rcode(self.rcode if str(name) in self.records else dns.rcode.NXDOMAIN)
            if texts := self.records.get(str(name)):
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *texts))
            self._socket.sendto(answer.to_wire(), peer)

    def close(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()


def test_txt_records(names: NameServer) -> None:
    def ask(name: str) -> str:
        return read_txt(name, ["127.0.0.1"], names.port)

    names.records = {
        "a.example.test.": ['"https://answers.example.test/a"'],
        "long.example.test.": [f'"https://{"a" * 200}" "{"b" * 200}"'],
        "empty.example.test.": [],
        "two.example.test.": ['"a"', '"b"'],
        "odd.example.test.": [r'"\195\164"'],
    }
    assert ask("a.example.test") == "https://answers.example.test/a"
    assert ask("long.example.test") == f"https://{'a' * 200}{'b' * 200}"
    assert ask("empty.example.test") == ""
    assert ask("none.example.test") == ""
    # No domain of this machine is put behind a name.
    assert names.asked[-1] == "none.example.test."
    with pytest.raises(UserError, match=r"DNS TXT two\.example\.test: there are 2 records; leave one"):
        ask("two.example.test")
    with pytest.raises(UserError, match=r"DNS TXT odd\.example\.test: .* is no plain text"):
        ask("odd.example.test")
    with pytest.raises(LookupFailedError, match=r"did not tell \(LabelTooLong\)"):
        ask("x" * 64 + ".test")


def test_a_name_server_that_cannot_tell(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(txt, "LIFETIME_SECONDS", 0.2)
    names.records = {"a.test.": ['"x"']}
    names.rcode = dns.rcode.SERVFAIL
    with pytest.raises(LookupFailedError, match=r"^a\.test: 127\.0\.0\.1 did not tell \(NoNameservers\)$"):
        read_txt("a.test", ["127.0.0.1"], names.port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(LookupFailedError, match=r"did not tell \(LifetimeTimeout\)"):
            read_txt("a.test", ["127.0.0.1"], int(silent.getsockname()[1]))


def networked(inventory: Inventory = FOUR_DISKS, **update: Any) -> Inventory:
    nics = tuple(nic.model_copy(update=update) for nic in inventory.nics)
    return inventory.model_copy(update={"nics": nics, "leases": ()})


@pytest.mark.parametrize(
    ("arrives", "everywhere", "seconds"), [(2.0, False, 2.0), (2.0, True, 5.0), (None, False, 10.0)]
)
def test_leases_are_waited_for_where_there_is_a_link(
    monkeypatch: pytest.MonkeyPatch, *, arrives: float | None, everywhere: bool, seconds: float
) -> None:
    now = [0.0]
    before = networked(link=True)
    first, *others = [nic.name for nic in before.nics if nic.physical]
    assert others

    def leased(name: str) -> bool:
        moment = arrives if name == first else 5.0
        return arrives is not None and moment is not None and now[0] >= moment

    monkeypatch.setattr(leases, "has_lease", leased)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda pause: now.__setitem__(0, now[0] + pause))
    monkeypatch.setattr(leases, "read_network", lambda: (FOUR_DISKS.nics, FOUR_DISKS.leases))
    after = wait_for_lease(before, 10, everywhere=everywhere)
    assert after == before.model_copy(update={"nics": FOUR_DISKS.nics, "leases": FOUR_DISKS.leases})
    assert now[0] == seconds
    bare = FOUR_DISKS.model_copy(update={"nics": ()})
    assert wait_for_lease(bare, 10, everywhere=everywhere) is bare


def test_a_lease_without_a_gateway_is_not_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    card = FOUR_DISKS.nics[0].model_copy(update={"link": True})
    other = card.model_copy(update={"name": "eth9"})
    none = FOUR_DISKS.model_copy(update={"nics": (card, other), "leases": ()})
    useless = FOUR_DISKS.leases[0].model_copy(update={"nic": "eth9", "gateway": ""})
    assert useless.dhcp
    one = none.model_copy(update={"leases": (useless,)})
    both = none.model_copy(update={"leases": (FOUR_DISKS.leases[0], useless)})
    found = [one, both]
    monkeypatch.setattr(leases, "wait_for_lease", lambda *_, **__: found.pop(0))
    said: list[str] = []
    assert wait_for_leases(none, said.append, 60) is both
    assert said == [
        "waiting for DHCP, at most 60 s\n",
        f"no gateway by DHCP yet; waiting for {card.name}, at most 60 s\n",
    ]
    assert wait_for_leases(both, said.append) is both


def test_an_address_of_a_router_is_not_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    address = Lease(nic=FOUR_DISKS.nics[0].name, address="2001:db8::5/64", gateway="fe80::1")
    early = FOUR_DISKS.model_copy(update={"leases": (address,)})
    monkeypatch.setattr(leases, "wait_for_lease", lambda *_, **__: FOUR_DISKS)
    assert wait_for_leases(early, lambda _: None) is FOUR_DISKS
