"""A member of a cluster on 127.0.0.1, its CA, and nodes with keys, for tests of enrolment.

A test file takes `closed_world` of `http_servers` as `_closed_world`, and `cheap_hashes` as `_cheap_hashes`.
"""

import asyncio
import functools
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from agent import tokens
from agent.ca import CA_ONLY
from agent.csr import CheckedRequest, make_csr, node_id_of
from agent.protocol import EnrollRequest, Facts, JoinReply, Refusal
from agent.records import render_record
from agent.server import Limits, Server, Tls
from agent.service import Service
from agent.store import MemoryStore, Store
from agent.tokens import Approval, Match, TokenRecord, make_token

NOW = 1_800_000_000
HOSTS = itertools.count(10)


def new_token(
    now: int = NOW, *, uses: int = 1, match: Match | None = None, approval: Approval = "auto"
) -> tuple[str, TokenRecord]:
    """Make a token for one minute that is the same each time."""
    minute = timedelta(minutes=1)
    return make_token(bytes, now, uses=uses, lifetime=minute, match=match or Match(), approval=approval)


TOKEN = "A" * 43
"""The secret of `new_token`."""
Answer = tuple[int, dict[str, Any]]


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "SCRYPT_N", 16)


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        async def body() -> None:
            await test(*arguments, **options)

        asyncio.run(body())

    return run


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Ca:
    """A certificate authority, for `agent.service.Authority`."""

    def __init__(self, name: str = "Slipway cluster test") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.more = ""
        """Certificates of others that are trusted too."""
        self.signed = 0
        self.void: set[str] = set()
        own = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        own = own.add_extension(CA_ONLY, critical=True)
        # Without it OpenSSL would try one of several authorities of this name, and no other.
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        own = own.add_extension(identifier, critical=False)
        self.certificate = own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def _builder(self, subject: x509.Name, key: Any) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=90))
        )

    def issue(self, key: Any, names: x509.SubjectAlternativeName) -> str:
        self.signed += 1
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = self._builder(subject, key).add_extension(names, critical=False)
        signed = builder.add_extension(signer, critical=False).sign(self._key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM).decode()

    def sign(self, request: CheckedRequest) -> str:
        names = [*map(x509.DNSName, request.names), x509.IPAddress(request.address)]
        return self.issue(request.key, x509.SubjectAlternativeName(names))

    def bundle(self) -> str:
        return self.certificate + self.more

    def key(self) -> str:
        return pem(self._key).decode()

    def check_peer(self, certificate_der: bytes) -> str | Refusal:
        """TLS has looked at it; `void` are the ids that nothing is believed of any more."""
        node_id = node_id_of(x509.load_der_x509_certificate(certificate_der).public_key())
        refusal = Refusal(code="not-this-node", reason="of a CA that is not valid any more")
        return refusal if node_id in self.void else node_id


class Node:
    """A node with its key."""

    def __init__(self, fqdn: str = "n1.example.test", address: str = "") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = node_id_of(self.key.public_key())
        address = address or f"192.0.2.{next(HOSTS) % 250 + 1}"
        self.facts = Facts(fqdn=fqdn, address=address, serial="S1", macs=("52:54:00:00:00:01",), version="1")

    @property
    def names(self) -> x509.SubjectAlternativeName:
        dns = dict.fromkeys((self.facts.fqdn, self.facts.fqdn.split(".", 1)[0]))
        address = x509.IPAddress(ip_address(self.facts.address))
        return x509.SubjectAlternativeName([*map(x509.DNSName, dns), address])

    def csr(self) -> str:
        return make_csr(self.key, self.facts)

    def request(self, token: str = TOKEN) -> EnrollRequest:
        return EnrollRequest(token=token, csr=self.csr(), facts=self.facts)

    def client(self, folder: Path, certificate: str) -> ssl.SSLContext:
        """Give what shows this certificate, with this node's key."""
        path = folder / f"{self.id}.pem"
        path.write_bytes(pem(self.key) + certificate.encode())
        context = blind()
        context.load_cert_chain(path)
        return context


def blind() -> ssl.SSLContext:
    """Give what trusts any server: it is not the client that is under test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class FakeCluster:
    def __init__(self) -> None:
        self.names = {"m1": "https://m1:8007"}
        self.invited: list[tuple[str, str]] = []

    async def members(self, *, now: bool = True) -> Mapping[str, str]:
        return self.names

    async def invite(self, server_name: str, address: str) -> JoinReply:
        self.invited.append((server_name, address))
        return JoinReply(
            server_name=server_name, cluster_address="m1:8443", cluster_certificate="C", cluster_token="T"
        )


class Member:
    """A member's service with all that is behind it."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        self.folder = folder
        self.ca = Ca()
        self.store: Store = store or MemoryStore()
        self.cluster = FakeCluster()
        self.now = NOW
        self.service = Service(self.store, self.ca, self.cluster, lambda: self.now)
        self.port = 0
        own = Node("m1.example.test")
        (folder / "m.key").write_bytes(pem(own.key))
        (folder / "m.pem").write_text(self.ca.issue(own.key.public_key(), own.names))
        self.tls = Tls(folder / "m.pem", folder / "m.key", self.ca.bundle())

    def reload(self) -> None:
        self.tls.load(self.folder / "m.pem", self.folder / "m.key", self.ca.bundle())

    @asynccontextmanager
    async def serving(self, limits: Limits | None = None, host: str = "127.0.0.1") -> AsyncIterator["Member"]:
        server = Server(self.service, self.tls, limits)
        self.port = await server.start(host, 0)
        try:
            yield self
        finally:
            await server.stop()

    async def add_token(
        self,
        *,
        uses: int = 1,
        approval: Approval = "auto",
    ) -> str:
        token = new_token(uses=uses, approval=approval)[1]
        await self.store.write_all(render_record(token), (await self.store.read_all())[1])
        return token.id

    async def ask(
        self,
        method: str,
        path: str,
        data: str | bytes | None = None,
        tls: ssl.SSLContext | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(
                method, f"https://127.0.0.1:{self.port}{path}", data=data, ssl=tls or blind(), headers=headers
            ) as answer,
        ):
            assert answer.content_type == "application/json"
            return answer.status, json.loads(await answer.read())

    async def enroll(self, node: Node, token: str = TOKEN) -> Answer:
        return await self.ask("POST", "/v1/enroll", node.request(token).model_dump_json())

    async def approved(self, node: Node) -> ssl.SSLContext:
        """Enrol the node; give what it shows from then on."""
        status, reply = await self.enroll(node)
        assert status == 200, reply
        return node.client(self.folder, reply["certificate"])

    async def serve_node(self, node: Node) -> ssl.SSLContext:
        """Take the node into the cluster."""
        tls = await self.approved(node)
        self.cluster.names[node.facts.fqdn.split(".", 1)[0]] = f"https://{node.facts.fqdn}:8007"
        status, reply = await self.ask("POST", f"/v1/nodes/{node.id}/joined", tls=tls)
        assert (status, reply["state"]) == (200, "joined")
        return tls
