from __future__ import annotations

import hashlib
import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firstboot.identity import ensure_certificate, lacks_certificate
from hostlib.tls import CERTIFICATE, KEY, Pair, check_pair, fingerprint, make_self_signed, write_pair
from tests.unit.firstboot_fakes import NOW, FakeNode

NAMES = ("node1.example.com", "node1", "2001:db8::4")


def make(now: datetime = NOW) -> Pair:
    return make_self_signed("node1", NAMES[:2], [ip_address(NAMES[2])], now)


def test_content_of_the_certificate() -> None:
    certificate = x509.load_pem_x509_certificate(make().certificate_pem)
    assert certificate.subject.rfc4514_string() == "CN=node1,O=Slipway"
    assert certificate.issuer == certificate.subject
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    certificate.verify_directly_issued_by(certificate)
    assert certificate.not_valid_before_utc == datetime(2025, 1, 1, tzinfo=UTC)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=3652)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node1.example.com", "node1"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("2001:db8::4")]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_clock_that_stands_years_off_still_gives_a_valid_certificate() -> None:
    certificate = x509.load_pem_x509_certificate(make(datetime(1999, 1, 1, tzinfo=UTC)).certificate_pem)
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc


def test_fingerprint_is_the_sha256_of_the_der_form() -> None:
    pem = make().certificate_pem
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest().upper()
    assert fingerprint(pem).replace(":", "") == digest
    assert len(fingerprint(pem)) == 95


def test_a_sound_pair_is_fit() -> None:
    assert check_pair(make(), NAMES, NOW) is None


@pytest.mark.parametrize(
    ("pair", "complaint"),
    [
        (Pair(b"", make().certificate_pem), "cannot be read"),
        (Pair(make().key_pem[:100], make().certificate_pem), "cannot be read"),
        (Pair(make().key_pem, b"-----BEGIN CERTIFICATE-----"), "cannot be read"),
        (Pair(make().key_pem, make().certificate_pem), "the key is not the certificate's"),
        (make_self_signed("node1", ["node1"], [], NOW), "does not cover node1.example.com, 2001:db8::4"),
    ],
)
def test_what_makes_a_pair_unfit(pair: Pair, complaint: str) -> None:
    found = check_pair(pair, NAMES, NOW)
    assert found is not None
    assert complaint in found


def test_an_expired_pair_is_unfit() -> None:
    assert check_pair(make(), NAMES, NOW + timedelta(days=3652)) == "expired on 2036-02-29"


def test_the_files_of_the_node(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    assert lacks_certificate(node.context)
    ensure_certificate(node.context)
    assert not lacks_certificate(node.context)
    key, certificate = (tmp_path / path.relative_to("/") for path in (KEY, CERTIFICATE))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o644
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert loaded.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "node1"
    assert check_pair(Pair(key.read_bytes(), certificate.read_bytes()), ["192.0.2.10"], NOW) is None
    key.chmod(0o640)
    assert lacks_certificate(node.context)


def test_a_certificate_for_the_same_key_takes_the_place_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = make()
    write_pair(pair, tmp_path)
    path = tmp_path / CERTIFICATE.relative_to("/")

    there: list[bool] = []
    monkeypatch.setattr("hostlib.tls.write_atomic", lambda *_: there.append(path.exists()))
    # A power cut while it is away would leave the web console without one.
    write_pair(Pair(pair.key_pem, make().certificate_pem), tmp_path)
    assert there == [True, True]
    write_pair(make(), tmp_path)
    assert there[2:] == [False, False]
