"""What a node asks a certificate for: making the request, and what a member accepts of one. Pure.

The request of a node holds its names and nothing else. What a certificate allows is the CA's affair, so a request
that asks for more is refused, not trimmed: it was not made by a node of ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from agent.protocol import Facts, Refusal
from hostlib.errors import printable
from hostlib.tls import node_names

Address = IPv4Address | IPv6Address

LIMIT_CHARACTERS: Final = 8192
"""Of a request; that of a node has about 600."""
# Lower and upper case, since the installer takes both; RFC 1123, section 2.1, for the rest.
LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
AGAIN: Final = (
    "delete /var/lib/slipway/node.csr on the node and restart slipway-agent there, which makes another"
)
# What the parser of a request may raise beside ValueError; none of them is a ValueError.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


Name = tuple[str, str]
"""Kind and value: the same text as a DNS name and as an address is not the same name."""


class _UnfitError(Exception):
    """What is wrong with a request."""


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A certificate request that a CA may sign."""

    node_id: str
    key: ec.EllipticCurvePublicKey
    names: tuple[str, str]
    """FQDN and hostname."""
    address: Address


def node_id_of(key: PublicKeyTypes) -> str:
    """Give the id of the node with this public key: the first 32 hex digits of the SHA-256 of its SPKI (DER)."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:32]


def make_csr(key: ec.EllipticCurvePrivateKey, facts: Facts) -> str:
    """Make the request of a node, PEM, for the names of `facts`. Raises ValueError when nobody can have these."""
    names, address = _names_of(facts)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[1])])
    wanted = x509.SubjectAlternativeName([*(x509.DNSName(name) for name in names), x509.IPAddress(address)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    csr = builder.add_extension(wanted, critical=False).sign(key, hashes.SHA256())
    return csr.public_bytes(Encoding.PEM).decode()


def check_csr(pem: str, facts: Facts) -> CheckedRequest | Refusal:
    """Check a request: readable, signed by its own key, that key ECDSA P-256, the names exactly those of `facts`.

    P-256 alone, because every node makes its key itself: any other was made by something else.
    """
    try:
        names, address = _names_of(facts)
    except ValueError as error:
        what, _, todo = str(error).partition("; ")
        return Refusal(code="malformed", reason=what, todo=todo)
    try:
        key, asked, common = _read(pem)
    except _UnfitError as error:
        return Refusal(code="csr-invalid", reason=f"the certificate request {error}", todo=AGAIN)
    allowed = [*(("DNS", name) for name in names), ("IP", str(address))]
    if sorted(asked) != sorted(allowed) or not set(common) <= set(allowed):
        what = f"the certificate request is for {_listed(dict.fromkeys([*common, *asked]))}"
        return Refusal(code="csr-name", reason=f"{what}; the node is {_listed(allowed)}", todo=AGAIN)
    return CheckedRequest(node_id_of(key), key, names, address)


def check_unique(node_id: str, facts: Facts, known: Mapping[str, Facts]) -> Refusal | None:
    """Say why the node cannot have its name or its address among the nodes that are known; None if it can.

    `known`: id -> facts of the nodes that were neither rejected nor removed; its own entry is passed over. The
    hostname must differ, whatever the domain: it is the name of the member in Incus. All facts are of requests that
    `check_csr` accepted.
    """
    hostname, address = _hostname(facts), ip_address(facts.address)
    for other_id, other in known.items():
        if other_id == node_id:
            continue
        if _hostname(other) == hostname:
            what = f"the hostname {hostname} belongs to the node {other_id} ({other.fqdn}, {other.address})"
        elif ip_address(other.address) == address:
            what = f"the address {address} belongs to the node {other_id} ({other.fqdn})"
        else:
            continue
        todo = (
            f"give this node another one; if it is that node, installed anew: slipway node remove {other_id}"
        )
        return Refusal(code="name-taken", reason=printable(what), todo=todo, retry_seconds=300)
    return None


def _hostname(facts: Facts) -> str:
    return facts.fqdn.split(".", 1)[0].lower()


def _names_of(facts: Facts) -> tuple[tuple[str, str], Address]:
    labels = facts.fqdn.split(".")
    if (
        len(labels) < 2
        or not all(LABEL.fullmatch(label) for label in labels)
        or labels[0].isdigit()
        or labels[0].lower() == "localhost"
    ):
        shown = printable(facts.fqdn)
        raise ValueError(f"'{shown}' is no name of a node; give it a host name such as node2.example.com")
    try:
        address = ip_address(facts.address)
    except ValueError:
        address = None
    # A zone index (`fe80::1%eth0`) means something on one machine only.
    if address is None or not _is_reachable(address):
        shown = printable(facts.address)
        raise ValueError(f"'{shown}' is no address that others can reach; give the node one of its network")
    fqdn, hostname, _ = node_names(facts.fqdn, facts.address)
    return (fqdn, hostname), address


def _is_reachable(address: Address) -> bool:
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or mapped
    )


def _read(pem: str) -> tuple[ec.EllipticCurvePublicKey, list[Name], list[Name]]:
    """Give the key of a request, the names that it asks for, and its common names. Raises _UnfitError."""
    if len(pem) > LIMIT_CHARACTERS:
        raise _UnfitError(f"has {len(pem)} characters, {LIMIT_CHARACTERS} are the limit")
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        key = csr.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise _UnfitError(f"is for {_describe(key)}, but the key of a node is ECDSA P-256")
        if not csr.is_signature_valid:
            raise _UnfitError("is not signed by the key that it names")
        asked: list[Name] = []
        for extension in csr.extensions:
            if not isinstance(extension.value, x509.SubjectAlternativeName):
                raise _UnfitError(f"asks for {_extension(extension.oid)}, which only the CA decides")
            asked += [_asked_name(name) for name in extension.value]
        common = [
            ("DNS", str(entry.value)) for entry in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
    except UNREADABLE:
        raise _UnfitError("cannot be read") from None
    return key, asked, common


def _asked_name(name: x509.GeneralName) -> Name:
    kinds = {x509.DNSName: "DNS", x509.IPAddress: "IP"}
    return kinds.get(type(name), type(name).__name__), str(name.value)


def _listed(names: Iterable[Name]) -> str:
    shown = [f"{kind} {printable(value)[:70]}" for kind, value in names]
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return (", ".join(shown[:5]) or "no name") + more


def _extension(oid: x509.ObjectIdentifier) -> str:
    # The library's names of the extensions are not public; the OID alone would say nothing to a person.
    known = {x509.BasicConstraints.oid: "basicConstraints (to be a CA)", x509.KeyUsage.oid: "keyUsage"}
    return known.get(oid, oid.dotted_string[:40])


def _describe(key: PublicKeyTypes) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA with {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    return type(key).__name__.removeprefix("_").removesuffix("PublicKey")
