"""Who somebody is by his key: the id of a node from a CSR or a certificate. Pure."""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hostlib.tls import node_names

ID_DIGITS = 32


def key_id(key: CertificatePublicKeyTypes) -> str:
    """Give the id of the node whose public key this is."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:ID_DIGITS]


def certificate_id(der: bytes) -> str:
    """Give the id of the node whose certificate this is. Raises ValueError."""
    try:
        return key_id(x509.load_der_x509_certificate(der).public_key())
    except UnsupportedAlgorithm as error:
        raise ValueError("its key is of a kind that is not known here") from error


def parse_csr(pem: str) -> tuple[str, set[str]]:
    """Give the id of the node that made the CSR, and the names in it; its signature proves that it has the key.

    Raises ValueError with what is wrong: it is no CSR, its key is not ECDSA P-256, its signature is not its own.
    """
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        key = csr.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is not a certificate request in PEM") from None
    wanted = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    if not wanted:
        raise ValueError("its key is not ECDSA P-256")
    try:
        sound = csr.is_signature_valid
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise ValueError("its signature or its subject alternative names cannot be read") from None
    if not sound:
        raise ValueError("its signature was not made with its key")
    return key_id(key), {_text(name) for name in names}


def _text(name: x509.GeneralName) -> str:
    # Of any other kind (URI, e-mail, …) the kind is told, which is no name of any node.
    if isinstance(name, x509.DNSName | x509.IPAddress):
        return str(name.value)
    return type(name).__name__


def names_wanted(fqdn: str, address: str) -> set[str]:
    """Give the names that the certificate of a node has. Raises ValueError when `address` is none."""
    return set(node_names(fqdn, address))
