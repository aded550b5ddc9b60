"""The cluster's certificate authority: its record in the store, its key on members, and what it signs.

The record holds every CA certificate that is valid now; the first signs. `slipway ca rotate` puts a new one before
them, and an old one stays until the last certificate that it signed has run out. The old key also signs the new CA
(the `cross` certificate), and whoever shows a certificate sends that along: a node that was off during the rotation,
and a token that names the old CA, both still trust what the new one signed.

A member keeps a CA key in a file that is named by it. So the key of a new CA is on disk before the record names that
CA, and a power cut in between leaves the old one in force.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydantic import AwareDatetime, Field

from agent.csr import CheckedRequest, node_id_of
from agent.node_key import read_key, write_key
from agent.protocol import Refusal
from hostlib.errors import Problem, StepError, UserError, printable
from hostlib.paths import PRODUCT, STATE
from hostlib.record import Record
from hostlib.tls import LIFETIME, NOT_BEFORE, SIGNATURE_ONLY, fingerprint

FOLDER: Final = STATE / "ca"
NODE_LIFETIME: Final = timedelta(days=90)
BACKDATED: Final = timedelta(days=2)
"""How long before it is signed a certificate begins: the clock of who looks at it may be a day behind."""
MARGIN: Final = timedelta(days=2)
"""How much longer than its certificates an old CA is kept, since the clocks of members differ."""
MOST_AUTHORITIES: Final = 8
"""That may be valid at once: each adds about 1.5 kB to what a node is sent, and that has a limit."""
CLUSTER_NAME_LIMIT: Final = 48
"""Bytes of UTF-8, as the library counts; with what stands before it a common name has 64 at most (RFC 5280, A.1)."""
CA_ONLY: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority(Record):
    """A CA that nodes trust."""

    certificate: str
    """Self-signed, PEM."""
    cross: str = ""
    """Name and key of this CA, signed by the next one of the record; PEM. Empty: there is none."""
    retired: AwareDatetime | None = None
    """When another took its place; None: it signs."""


class CaRecord(Record):
    """What `user.slipway.ca` holds: all CAs that are valid now, the first signs."""

    version: Literal[1] = 1
    authorities: Annotated[tuple[Authority, ...], Field(min_length=1)]


def make_ca(cluster: str, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, CaRecord]:
    """Make the CA of a new cluster. Raises UserError when the name cannot stand in a certificate."""
    size = len(printable(cluster).encode())
    if not 1 <= size <= CLUSTER_NAME_LIMIT or not cluster.isprintable():
        what = f"the name has {size} bytes, or characters that cannot be printed"
        raise UserError(Problem("cluster-name", what, f"give 1 to {CLUSTER_NAME_LIMIT} letters and digits"))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"{PRODUCT} cluster {cluster}")
    certificate = _ca_builder(subject, key, _end_of_ca(now)).issuer_name(subject).sign(key, hashes.SHA256())
    return key, CaRecord(authorities=(Authority(certificate=_pem(certificate)),))


def rotate_ca(
    record: CaRecord, old_key: ec.EllipticCurvePrivateKey | None, now: datetime
) -> tuple[ec.EllipticCurvePrivateKey, CaRecord]:
    """Make a new CA that signs from now on; those of `record` stay valid until they are out of date.

    `old_key` is that of the CA that has signed so far; None where it is lost: a node that is off now may then
    have to be enrolled anew. Raises UserError when too many CAs are valid already.
    """
    record = drop_outdated(record, now)
    if len(record.authorities) >= MOST_AUTHORITIES:
        what = f"{len(record.authorities)} CAs are valid at once because of earlier rotations"
        days = (NODE_LIFETIME + MARGIN).days
        raise UserError(Problem("ca rotate", what, f"wait until one of them is {days} days out of use"))
    old = _load(record.authorities[0].certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _ca_builder(old.subject, key, _end_of_ca(now)).issuer_name(old.subject)
    cross = ""
    if old_key is not None:
        _require_key_of(old, old_key)
        by_old = _ca_builder(old.subject, key, old.not_valid_after_utc).issuer_name(old.subject)
        cross = _pem(by_old.add_extension(_issued_by(old), critical=False).sign(old_key, hashes.SHA256()))
    new = Authority(certificate=_pem(certificate.sign(key, hashes.SHA256())), cross=cross)
    retired = record.authorities[0].model_copy(update={"retired": now})
    return key, CaRecord(authorities=(new, retired, *record.authorities[1:]))


def drop_outdated(record: CaRecord, now: datetime) -> CaRecord:
    """Give the record without the CAs whose certificates have all run out. The one that signs always stays."""
    first, *rest = record.authorities
    kept = [first, *(one for one in rest if not _is_outdated(one, now))]
    if len(kept) == len(record.authorities):
        return record
    # The last one was signed by a CA that nobody trusts any more.
    kept[-1] = kept[-1].model_copy(update={"cross": ""})
    return CaRecord(authorities=tuple(kept))


def trusted_until(authority: Authority) -> datetime:
    """Give when this CA stops being trusted: with its certificate, or when all that it signed has run out."""
    end = _load(authority.certificate).not_valid_after_utc
    return end if authority.retired is None else min(end, authority.retired + NODE_LIFETIME + MARGIN)


def _is_outdated(authority: Authority, now: datetime) -> bool:
    return now >= trusted_until(authority)


def bundle(record: CaRecord) -> str:
    """Give all CA certificates that are valid, PEM, the one that signs first: what TLS is to trust."""
    return "".join(authority.certificate for authority in record.authorities)


def pick_ca(pem: str, wanted: str) -> str | None:
    """Give the certificate with the fingerprint `wanted` (64 hex digits, colons allowed) out of a bundle, PEM.

    A node that knows the fingerprint alone trusts this one and nothing else of what an unproven server sent.
    """
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, TypeError):
        return None
    digits = wanted.replace(":", "").lower()
    return next((_pem(one) for one in found if one.fingerprint(hashes.SHA256()).hex() == digits), None)


def ca_fingerprint(record: CaRecord) -> str:
    """Give the fingerprint of the CA that signs, `AB:CD:…`."""
    return fingerprint(record.authorities[0].certificate.encode())


def sign_request(
    request: CheckedRequest, key: ec.EllipticCurvePrivateKey, record: CaRecord, now: datetime
) -> str:
    """Sign a request that was checked, with the key of the first CA of `record`.

    Gives PEM: the node's certificate, fit for both sides of mutual TLS, and the cross certificates that let those
    trust it who know an older CA only. Raises StepError when the key is not that CA's, or this member's clock is
    outside of the CA's time.
    """
    ca = _load(record.authorities[0].certificate)
    _require_key_of(ca, key)
    if not ca.not_valid_before_utc <= now < ca.not_valid_after_utc:
        what = f"it is valid from {_day(ca.not_valid_before_utc)} to {_day(ca.not_valid_after_utc)}, the clock says {_day(now)}"
        raise StepError(str(Problem("CA", what, "set the clock of this member, or: slipway ca rotate")))
    names = [*(x509.DNSName(name) for name in request.names), x509.IPAddress(request.address)]
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_subject(request.names[1]))
        .issuer_name(ca.subject)
        .public_key(request.key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - BACKDATED, ca.not_valid_before_utc))
        .not_valid_after(min(now + NODE_LIFETIME, ca.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(SIGNATURE_ONLY, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.key), critical=False)
        .add_extension(_issued_by(ca), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate) + _chain(record)


def renew_at(pem: str) -> datetime:
    """Give when a node should ask for the certificate that follows this one: at two thirds of its time.

    Raises ValueError.
    """
    certificate = _load(pem)
    end = certificate.not_valid_after_utc
    signed = certificate.not_valid_before_utc + BACKDATED
    return end - max(end - signed, timedelta(0)) / 3


def needs_renewal(pem: str, trusted: str, now: datetime) -> bool:
    """Tell whether a node should ask for its next certificate, also when it has none that can be read.

    One that begins later was signed while a clock was ahead, and nobody takes it now. `trusted` are the CA
    certificates that are valid, PEM, the one that signs first. Who has the fingerprint of a new CA alone trusts
    nothing that the one before has signed, so its certificates are not kept until their time.
    """
    try:
        certificate, signer = _load(pem), _load(trusted)
        certificate.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return True
    # One that is not valid yet was signed while a clock was wrong; nobody trusts it for years.
    return not certificate.not_valid_before_utc <= now < renew_at(pem)


def check_peer(certificate_der: bytes, record: CaRecord, now: datetime) -> str | Refusal:
    """Give the id of the node that this certificate of a TLS peer stands for, or say why it stands for none.

    TLS has shown that the peer has the key; this shows that a CA of the record, as it is now, vouches for it.
    """
    try:
        peer = x509.load_der_x509_certificate(certificate_der)
        node_id = node_id_of(peer.public_key())
        usage = peer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        is_ca = peer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension):
        return _no_peer("cannot be read, or is not of a node")
    if not any(_is_issued_by(peer, authority) for authority in drop_outdated(record, now).authorities):
        return _no_peer("is not by a CA of this cluster that is valid now")
    if is_ca or ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        return _no_peer("is not one that a node may ask with")
    if not peer.not_valid_before_utc <= now < peer.not_valid_after_utc:
        span = f"{_day(peer.not_valid_before_utc)} to {_day(peer.not_valid_after_utc)}"
        return _no_peer(f"is valid from {span}, and the clock of this member says {_day(now)}")
    return node_id


def write_ca_key(key: ec.EllipticCurvePrivateKey, folder: Path = FOLDER) -> None:
    """Keep a CA key on this member, beside others. Must be done before a record names its CA. Raises OSError."""
    write_key(key, _key_path(node_id_of(key.public_key()), folder))


def read_ca_key(record: CaRecord, folder: Path = FOLDER) -> ec.EllipticCurvePrivateKey:
    """Give the key of the CA that signs. Raises StepError when this member does not hold it."""
    certificate = _load(record.authorities[0].certificate)
    path = _key_path(node_id_of(certificate.public_key()), folder)
    todo = "another member gives it to this one; if no member has it: slipway ca rotate --key-lost"
    key = read_key(path, todo)
    _require_key_of(certificate, key)
    return key


def remove_retired_keys(record: CaRecord, folder: Path = FOLDER) -> None:
    """Delete the keys of CAs that sign no more; a key that the record does not name may be that of the next CA."""
    for authority in record.authorities[1:]:
        path = _key_path(node_id_of(_load(authority.certificate).public_key()), folder)
        path.unlink(missing_ok=True)


def _key_path(key_id: str, folder: Path) -> Path:
    return folder / f"{key_id}.key"


def _ca_builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(CA_ONLY, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _end_of_ca(now: datetime) -> datetime:
    return max(now, NOT_BEFORE) + LIFETIME


def _subject(name: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, PRODUCT)
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _issued_by(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    # All CAs of a cluster have one name: this is how a client finds the right one at once.
    key_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)


def _is_issued_by(certificate: x509.Certificate, authority: Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(_load(authority.certificate))
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _chain(record: CaRecord) -> str:
    chain = ""
    for authority in record.authorities:
        if not authority.cross:
            break
        chain += authority.cross
    return chain


def _require_key_of(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    if key.public_key() != certificate.public_key():
        what = "the key at hand is not that of the CA that signs; it was rotated meanwhile"
        raise StepError(str(Problem("CA", what, "try again: this member gets the new key from another one")))


def _no_peer(what: str) -> Refusal:
    todo = "the node asks to be enrolled again; look at its clock and at `slipway status` there"
    return Refusal(code="not-this-node", reason=f"the certificate {what}", todo=todo)


def _load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _day(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
