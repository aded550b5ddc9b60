"""A node's key, which is what it is: its id and its certificate requests come from it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from hostlib.errors import Problem, StepError
from hostlib.files import write_atomic
from hostlib.paths import PRODUCT, STATE

KEY: Final = STATE / "node.key"
CERTIFICATE: Final = STATE / "node.crt"
CA: Final = STATE / "ca.crt"
"""The CA certificates that the node trusts."""
ID_LENGTH: Final = 32


def ensure_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Give the node's key; it is made once and kept, mode 0600. Raises OSError, StepError when it is damaged."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        key = ec.generate_private_key(ec.SECP256R1())
        write_atomic(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    except ValueError as error:
        raise StepError(str(_damaged(path))) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StepError(str(_damaged(path)))
    return key


def _damaged(path: Path) -> Problem:
    # A new key would be a new node, which the cluster knows nothing of.
    todo = "put it back from a backup, or delete it to enrol this machine as a new node"
    return Problem(str(path), "is no ECDSA key", todo)


def node_id(key: ec.EllipticCurvePublicKey) -> str:
    """Give the id of the node that has `key`: the first half of the SHA-256 of it, see `protocol.ID_PATTERN`."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:ID_LENGTH]


def make_request(key: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> str:
    """Make a certificate request (PEM) for `names`: FQDN, host name and address, see `hostlib.tls.node_names`."""
    fqdn, hostname, address = names
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, PRODUCT),
            x509.NameAttribute(NameOID.COMMON_NAME, hostname),
        ]
    )
    dns = [x509.DNSName(name) for name in dict.fromkeys((fqdn, hostname))]
    alternatives = x509.SubjectAlternativeName([*dns, x509.IPAddress(ip_address(address))])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = request.add_extension(alternatives, critical=False)
    return request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
