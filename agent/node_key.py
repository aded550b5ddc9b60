"""The key that a node is known by, and its certificate request: made once, kept over reboots and power cuts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

from agent.csr import CheckedRequest, check_csr, make_csr, node_id_of
from agent.protocol import Facts
from hostlib.errors import Problem, StepError, UserError
from hostlib.files import read_if_there, write_atomic
from hostlib.paths import STATE

KEY: Final = STATE / "node.key"
CSR: Final = STATE / "node.csr"
CERTIFICATE: Final = STATE / "node.crt"
CA: Final = STATE / "ca.crt"
"""The CA certificates that the node trusts."""


@dataclass(frozen=True, slots=True)
class NodeKey:
    """What a node is known by."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    node_id: str
    csr: str
    """PEM."""


def ensure_node_key(facts: Facts, folder: Path = STATE) -> NodeKey:
    """Give this node's key and request; they are made where they are missing.

    The key stays whatever happens, for the cluster knows the node by it. The request is made anew when it is not
    for the names of `facts` or not fit. Raises UserError when nobody can have these names, StepError when the key
    cannot be read, OSError.
    """
    path = folder / KEY.name
    if path.exists():
        todo = "put it back from a backup; or delete it, and have this node removed and enrolled anew"
        key = read_key(path, todo)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        write_key(key, path)
    node_id = node_id_of(key.public_key())
    csr = read_if_there(folder / CSR.name) or ""
    checked = check_csr(csr, facts)
    if not isinstance(checked, CheckedRequest) or checked.node_id != node_id:
        try:
            csr = make_csr(key, facts)
        except ValueError as error:
            what, _, todo = str(error).partition("; ")
            raise UserError(Problem("this node's name and address", what, todo)) from error
        write_atomic(folder / CSR.name, csr)
    return NodeKey(key, node_id, csr.strip() + "\n")


def is_key_of(key: NodeKey, certificate_pem: str) -> bool:
    """Tell whether the first certificate of `certificate_pem` is for this key."""
    try:
        return load_pem_x509_certificate(certificate_pem.encode()).public_key() == key.key.public_key()
    except ValueError:
        return False


def write_key(key: ec.EllipticCurvePrivateKey, path: Path) -> None:
    """Write a private key as PEM that root alone can read. Raises OSError."""
    write_atomic(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)


def read_key(path: Path, todo: str) -> ec.EllipticCurvePrivateKey:
    """Read a private key that `write_key` wrote. Raises StepError, with `todo`, when it cannot be read or used."""
    try:
        return parse_key(path.read_bytes())
    except OSError as error:
        what = f"the key cannot be read ({error.strerror})"
    except ValueError as error:
        what = str(error)
    raise StepError(str(Problem(str(path), what, todo)))


def parse_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a private key. Raises ValueError, which does not repeat it, unless it is one of ECDSA P-256."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"this is no private key ({len(pem)} bytes)") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("the key is not ECDSA P-256")  # noqa: TRY004 - the content of a file is wrong, not a type
    return key
