"""Certificates of a node: making a self-signed one, and looking at one that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hostlib.files import write_atomic
from hostlib.paths import PRODUCT

# Cockpit takes the last *.cert of this folder in alphabetical order, and the *.key of the same name. It reads
# both as root, so the key needs no other reader (cockpit-project.org/guide/latest/https).
CERTIFICATE: Final = Path("/etc/cockpit/ws-certs.d/50-slipway.cert")
KEY: Final = CERTIFICATE.with_suffix(".key")

# The clock of a machine that never saw a time server can be years off, and the certificate must not be invalid
# once it is right. So validity begins before any release, whatever the clock says.
NOT_BEFORE: Final = datetime(2025, 1, 1, tzinfo=UTC)
# Nobody checks the date of a self-signed certificate: it is trusted by its fingerprint. An end within the life of
# the machine would only lock people out.
LIFETIME: Final = timedelta(days=3652)
# All that a TLS 1.2 or 1.3 server does with an elliptic curve key.
SIGNATURE_ONLY: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate, both as PEM."""

    key_pem: bytes
    certificate_pem: bytes


def node_names(fqdn: str, address: str) -> tuple[str, str, str]:
    """Give what clients may call a node: FQDN, hostname, and the address of `address`, which has a prefix length."""
    return fqdn, fqdn.split(".", 1)[0], str(ip_interface(address).ip)


def make_node_pair(fqdn: str, address: str, now: datetime) -> Pair:
    """Make the pair of a node's web console, self-signed until the node is enrolled in a cluster."""
    fqdn, hostname, ip = node_names(fqdn, address)
    return make_self_signed(hostname, list(dict.fromkeys((fqdn, hostname))), [ip_address(ip)], now)


def write_pair(pair: Pair, root: Path) -> None:
    """Write the pair of the web console of the system at `root`. Raises OSError."""
    certificate, key = (root / path.relative_to("/") for path in (CERTIFICATE, KEY))
    # The certificate comes last: Cockpit looks for *.cert and would take one whose key is another's.
    if not key.exists() or key.read_bytes() != pair.key_pem:
        certificate.unlink(missing_ok=True)
    write_atomic(key, pair.key_pem, 0o600)
    write_atomic(certificate, pair.certificate_pem)


def make_self_signed(
    name: str, dns: Sequence[str], addresses: Sequence[IPv4Address | IPv6Address], now: datetime
) -> Pair:
    """Make an ECDSA P-256 key and a server certificate for it, valid for ten years after `now`.

    `name` is the subject's common name (64 characters at most, RFC 5280), `dns` and `addresses` are what
    clients may call the server.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, PRODUCT),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    names = [*(x509.DNSName(entry) for entry in dns), *(x509.IPAddress(entry) for entry in addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(max(now, NOT_BEFORE) + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(SIGNATURE_ONLY, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(key_pem, certificate.public_bytes(Encoding.PEM))


def check_pair(pair: Pair, names: Sequence[str], now: datetime) -> str | None:
    """Say what makes `pair` unfit to serve under all of `names` (DNS names, addresses); None if it is fit."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate_pem)
        key = load_pem_private_key(pair.key_pem, password=None)
        covered = names_of(certificate)
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        return f"cannot be read: {error}"
    if key.public_key() != certificate.public_key():
        return "the key is not the certificate's"
    if now >= certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    missing = [name for name in names if name not in covered]
    return f"does not cover {', '.join(missing)}" if missing else None


def names_of(certificate: x509.Certificate) -> set[str]:
    """Give the DNS names and addresses that `certificate` is for. Raises x509.ExtensionNotFound."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    return {*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)}


def fingerprint(certificate_pem: bytes) -> str:
    """Give the SHA-256 fingerprint as browsers show it: `AB:CD:…`. Raises ValueError."""
    digest = x509.load_pem_x509_certificate(certificate_pem).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()
