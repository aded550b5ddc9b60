from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from agent.api_client import ApiClient, RefusedError, UnreachableError, check_clock, parse_date
from agent.node_key import CA, CERTIFICATE, KEY, write_key
from agent.protocol import EnrollReply, EnrollRequest, Facts
from tests.unit import http_servers
from tests.unit.http_servers import Servers

NOW = datetime.now(tz=UTC)
DAY = timedelta(days=1)
NODE = "ab" * 16
DEAD = "https://127.0.0.1:1"
REPLY = {"version": 1, "id": NODE, "state": "requested", "reason": "waits", "certificate": "", "ca": ""}
FACTS = Facts(fqdn="node2.example.com", address="192.0.2.12")
ASK = EnrollRequest(token="secret", csr="PEM", facts=FACTS)
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_closed_world = http_servers.closed_world
all_servers = http_servers.all_servers
servers = http_servers.servers


@dataclass
class Authority:
    """A CA for tests, and what it signs."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def sign(self, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime, name: str) -> str:
        builder = build(name, self.certificate.subject, key, begin, end)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))])
        aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(names, critical=False).add_extension(aki, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def build(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=begin,
        not_valid_after=end,
    )


def make_authority(name: str = "Slipway cluster test") -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        **dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        ),
        key_cert_sign=True,
        crl_sign=True,
    )
    builder = build(name, subject, key.public_key(), NOW - 30 * DAY, NOW + 30 * DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return Authority(key, builder.add_extension(ski, critical=False).sign(key, hashes.SHA256()))


OURS = make_authority()
OTHER = make_authority()


@dataclass
class Site:
    """Where members are started, and the node's files."""

    servers: Servers
    root: Path

    def member(
        self,
        answer: Answer,
        *,
        authority: Authority = OURS,
        begin: datetime = NOW - DAY,
        end: datetime = NOW + DAY,
        name: str = "127.0.0.1",
        date: datetime | None = None,
    ) -> str:
        folder = self.root / "server"
        folder.mkdir(exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "key").write_bytes(secret)
        (folder / "certificate").write_text(authority.sign(key.public_key(), begin, end, name))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=OURS.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_cert_chain(folder / "certificate", folder / "key")

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            if request.path == "/v1/ca":
                bundle = {"version": 1, "ca": OTHER.pem + authority.pem, "fingerprint": "AB"}
                response: web.StreamResponse = web.json_response(bundle)
            else:
                response = await answer(request)
            if date is not None:
                response.headers["Date"] = date.strftime("%a, %d %b %Y %H:%M:%S GMT")
            return response

        return self.servers.serve(handler, tls=context)

    def client(
        self, *urls: str, fingerprint: str = OURS.fingerprint, built_at: datetime | None = None
    ) -> ApiClient:
        return ApiClient(urls, fingerprint, lambda: NOW, built_at, self.root)

    def keep(self, path: Path, content: str) -> None:
        kept = self.root / path.relative_to("/")
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(content)


@pytest.fixture
def site(servers: Servers, tmp_path: Path) -> Site:
    return Site(servers, tmp_path)


async def good(_request: web.BaseRequest) -> web.StreamResponse:
    return web.json_response(REPLY)


def says(status: int, **data: Any) -> Answer:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(data, status=status)

    return handler


def unreachable(client: ApiClient) -> str:
    with pytest.raises(UnreachableError) as caught:
        asyncio.run(client.enroll(ASK))
    return str(caught.value)


def test_the_fingerprint_of_the_ca_is_enough(site: Site) -> None:
    url = site.member(good)
    reply = asyncio.run(site.client(url).enroll(ASK))
    assert (reply.state, reply.reason) == ("requested", "waits")
    assert [(seen[1], seen[2]) for seen in site.servers.seen] == [("GET", "/v1/ca"), ("POST", "/v1/enroll")]
    assert json.loads(site.servers.seen[1][3])["token"] == "secret"


def test_of_two_members_the_dead_one_is_passed_over_and_then_comes_last(site: Site) -> None:
    url = site.member(good)
    client = site.client(DEAD, url)
    assert asyncio.run(client.read_enrollment(NODE)).id == NODE
    assert list(client.urls) == [url, DEAD]
    assert site.servers.seen[-1][2] == f"/v1/enroll/{NODE}"


def test_all_that_failed_is_told(site: Site) -> None:
    url = site.member(says(503))
    reason = unreachable(site.client(DEAD, url))
    assert reason.splitlines() == [
        f"{DEAD}/v1/ca: no connection: Connection refused; check that the server runs and the network reaches it",
        f"{url}: the member cannot answer now (status 503); look there: journalctl -u slipway-agent",
    ]
    assert "no URL of a member is known" in unreachable(site.client())


def test_a_member_says_why_it_cannot_do_it_now(site: Site) -> None:
    url = site.member(says(503, version=1, code="unavailable", reason="Incus: no quorum", todo="start node3"))
    assert unreachable(site.client(url)) == f"{url}: Incus: no quorum (status 503); start node3"


def test_the_token_goes_to_nobody_with_another_ca(site: Site) -> None:
    url = site.member(good, authority=make_authority())
    reason = unreachable(site.client(url))
    assert f"{url}: the fingerprint of its CA is {OTHER.fingerprint} and " in reason
    assert f"wanted is {OURS.fingerprint}; take the line that `slipway token create` prints now" in reason
    assert {seen[2] for seen in site.servers.seen} == {"/v1/ca"}


def test_a_ca_that_is_shown_beside_the_right_one_vouches_for_nobody(site: Site) -> None:
    # The bundle of a stranger holds the right CA too, but its own certificate is another's.
    url = site.member(good, authority=make_authority())
    client = site.client(url, fingerprint=OTHER.fingerprint)
    assert "is not signed by the cluster's CA (OpenSSL error 20)" in unreachable(client)
    assert {seen[2] for seen in site.servers.seen} == {"/v1/ca"}


def test_a_kept_ca_replaces_the_fingerprint(site: Site) -> None:
    site.keep(CA, OURS.pem)
    url = site.member(good)
    asyncio.run(site.client(url, fingerprint="00" * 32).enroll(ASK))
    assert [seen[2] for seen in site.servers.seen] == ["/v1/enroll"]
    stranger = site.member(good, authority=OTHER)
    reason = unreachable(site.client(stranger))
    assert reason.startswith(f"{stranger}: its certificate is not signed by the cluster's CA")


def test_a_member_of_another_name_is_not_taken(site: Site) -> None:
    url = site.member(good, name="192.0.2.10")
    assert "is for another address than the one in the URL" in unreachable(site.client(url))


def test_a_node_shows_its_certificate_where_it_must(site: Site) -> None:
    async def peer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        if not request.transport.get_extra_info("peercert"):
            return web.json_response({"code": "not-this-node", "reason": "no certificate"}, status=403)
        return web.json_response({**REPLY, "state": "joined"})

    key = ec.generate_private_key(ec.SECP256R1())
    write_key(key, site.root / KEY.relative_to("/"))
    site.keep(CERTIFICATE, OURS.sign(key.public_key(), NOW - DAY, NOW + DAY, "127.0.0.1"))
    client = site.client(site.member(peer))
    assert asyncio.run(client.tell_joined(NODE)).state == "joined"
    assert site.servers.seen[-1][1:3] == ("POST", f"/v1/nodes/{NODE}/joined")
    with pytest.raises(RefusedError):
        asyncio.run(client.enroll(ASK))


def test_a_node_without_certificate_cannot_ask_to_join(site: Site) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(site.client(site.member(good)).read_join(NODE))


def test_a_refusal_ends_the_round(site: Site) -> None:
    first = site.member(
        says(403, code="token-expired", reason="the token expired", todo="make another", retry_seconds=9)
    )
    second = site.member(good)
    with pytest.raises(RefusedError) as caught:
        asyncio.run(site.client(first, second).enroll(ASK))
    assert str(caught.value) == f"{first}: refused (token-expired): the token expired; make another"
    assert caught.value.refusal.retry_seconds == 9


@pytest.mark.parametrize(
    ("status", "data", "what"),
    [
        (200, {"id": 1}, "the answer (status 200) is not one of a Slipway cluster"),
        (404, {"detail": "nope"}, "the answer (status 404) is not one of a Slipway cluster"),
        (200, {**REPLY, "reason": "x" * 70000}, "the body is larger than"),
    ],
)
def test_odd_answers_are_no_answers(site: Site, status: int, data: dict[str, Any], what: str) -> None:
    assert what in unreachable(site.client(site.member(says(status, **data))))


def test_a_member_that_hangs_is_given_up(site: Site) -> None:
    async def hang(_request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    url = site.member(hang)
    client = site.client(url, site.member(good))
    found = client.call("GET", "/v1/x", EnrollReply, timeout_seconds=0.2)
    assert asyncio.run(found).id == NODE


@pytest.mark.parametrize(
    ("begin", "end", "what"),
    [
        (NOW + DAY, NOW + 2 * DAY, "is not valid yet"),
        (NOW - 2 * DAY, NOW - DAY, "has expired"),
    ],
)
def test_a_wrong_clock_is_said_to_be_the_reason(
    site: Site, begin: datetime, end: datetime, what: str
) -> None:
    right = site.member(good, begin=begin, end=end)
    assert f"its certificate {what}; " in unreachable(site.client(right))
    away = site.member(good, begin=begin, end=end, date=NOW + 400 * DAY)
    reason = unreachable(site.client(away))
    assert reason.startswith(f"clock: it says {NOW:%Y-%m-%d %H:%M:%S} UTC, but that of the cluster says 20")
    assert "`chronyc sources`" in reason
    built = site.client(right, built_at=NOW + DAY)
    assert "but this version was built on" in unreachable(built)


def test_the_clock_is_right_within_minutes() -> None:
    assert check_clock(NOW, NOW + timedelta(minutes=4), NOW - DAY) is None
    assert check_clock(NOW, NOW - timedelta(minutes=6), None)
    assert check_clock(NOW, None, None) is None
    assert parse_date("yesterday") is None
    assert parse_date("Sun, 01 Mar 2026 12:00:00 GMT") == datetime(2026, 3, 1, 12, tzinfo=UTC)
