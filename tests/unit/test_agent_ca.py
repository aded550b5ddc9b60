"""The cluster's CA: what it signs, how it is rotated, whom it vouches for."""

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
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent.ca import (
    CaRecord,
    bundle,
    ca_fingerprint,
    check_peer,
    drop_outdated,
    make_ca,
    needs_renewal,
    pick_ca,
    read_ca_key,
    remove_retired_keys,
    renew_at,
    rotate_ca,
    sign_request,
    write_ca_key,
)
from agent.csr import CheckedRequest, node_id_of
from agent.node_key import write_key
from agent.protocol import LIMIT_BYTES, Refusal
from hostlib.errors import StepError, UserError
from hostlib.tls import make_self_signed

# TLS looks at the real clock.
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
CA_KEY, CA = make_ca("example", NOW)
NODE_KEY = ec.generate_private_key(ec.SECP256R1())
NODE_ID = node_id_of(NODE_KEY.public_key())


def asks(hostname: str = "node2", key: ec.EllipticCurvePrivateKey = NODE_KEY) -> CheckedRequest:
    public = key.public_key()
    names = (f"{hostname}.example.com", hostname)
    return CheckedRequest(node_id_of(public), public, names, ip_address("192.0.2.42"))


def load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END")] + "-----END CERTIFICATE-----\n")


def refusal(found: str | Refusal) -> str:
    assert isinstance(found, Refusal)
    assert found.code == "not-this-node"
    return found.reason


def test_what_the_ca_is() -> None:
    certificate = load(CA.authorities[0].certificate)
    assert certificate.subject.rfc4514_string() == "CN=Slipway cluster example,O=Slipway"
    certificate.verify_directly_issued_by(certificate)
    assert certificate.not_valid_before_utc <= NOW - 2 * DAY
    assert certificate.not_valid_after_utc == NOW + timedelta(days=3652)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.ca
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature
    assert CaRecord.model_validate_json(CA.model_dump_json()) == CA
    assert "PRIVATE" not in CA.model_dump_json()


@pytest.mark.parametrize("name", ["", "x" * 49, "ü" * 25, "a\x1bb", "\ud800"])
def test_a_name_that_no_certificate_can_have(name: str) -> None:
    with pytest.raises(UserError, match=r"cluster-name: the name has .*; give 1 to 48 letters and digits"):
        make_ca(name, NOW)


def test_the_longest_name_fits() -> None:
    _, record = make_ca("ü" * 24, NOW)
    assert "ü" * 24 in load(record.authorities[0].certificate).subject.rfc4514_string()


def test_what_a_node_gets() -> None:
    pem = sign_request(asks(), CA_KEY, CA, NOW)
    certificate = load(pem)
    assert pem.count("BEGIN") == 1
    assert certificate.public_key() == NODE_KEY.public_key()
    assert certificate.not_valid_before_utc == NOW - 2 * DAY
    assert certificate.not_valid_after_utc == NOW + 90 * DAY
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node2.example.com", "node2"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.42")]
    assert len(list(names)) == 3
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert load(sign_request(asks(), CA_KEY, CA, NOW)).serial_number != certificate.serial_number


def test_a_certificate_is_renewed_at_two_thirds() -> None:
    assert renew_at(sign_request(asks(), CA_KEY, CA, NOW)) == NOW + 60 * DAY


def test_no_certificate_outlives_its_ca() -> None:
    end = load(CA.authorities[0].certificate).not_valid_after_utc
    pem = sign_request(asks(), CA_KEY, CA, end - 9 * DAY)
    assert load(pem).not_valid_after_utc == end
    assert renew_at(pem) == end - 3 * DAY


@pytest.mark.parametrize("now", [datetime(2000, 1, 1, tzinfo=UTC), NOW + timedelta(days=3653)])
def test_a_member_whose_clock_is_wrong_signs_nothing(now: datetime) -> None:
    with pytest.raises(StepError, match=f"the clock says {now:%Y-%m-%d}.*; set the clock of this member"):
        sign_request(asks(), CA_KEY, CA, now)


def test_another_key_than_the_cas_signs_nothing() -> None:
    with pytest.raises(StepError, match="the key at hand is not that of the CA that signs"):
        sign_request(asks(), NODE_KEY, CA, NOW)


def test_the_certificate_of_a_peer_is_its_id() -> None:
    leaf = der(sign_request(asks(), CA_KEY, CA, NOW))
    assert check_peer(leaf, CA, NOW) == NODE_ID
    assert check_peer(leaf, CA, NOW - DAY) == NODE_ID
    assert check_peer(leaf, CA, NOW + 89 * DAY) == NODE_ID
    for now in (NOW - 3 * DAY, NOW + 90 * DAY):
        assert f"the clock of this member says {now:%Y-%m-%d}" in refusal(check_peer(leaf, CA, now))


def test_whom_the_ca_does_not_vouch_for() -> None:
    other_key, other = make_ca("example", NOW)
    foreign = der(sign_request(asks(), other_key, other, NOW))
    assert "is not by a CA of this cluster" in refusal(check_peer(foreign, CA, NOW))
    console = make_self_signed("node2", ["node2"], [], NOW).certificate_pem.decode()
    assert "is not by a CA of this cluster" in refusal(check_peer(der(console), CA, NOW))
    leaf = bytearray(der(sign_request(asks(), CA_KEY, CA, NOW)))
    leaf[-1] ^= 1
    assert "is not by a CA of this cluster" in refusal(check_peer(bytes(leaf), CA, NOW))
    assert "is not of a node" in refusal(check_peer(der(CA.authorities[0].certificate), CA, NOW))
    for junk in (b"", b"\x30\x03", b"x" * 500):
        assert "cannot be read" in refusal(check_peer(junk, CA, NOW))


def test_rotation_overlaps() -> None:
    before = sign_request(asks(), CA_KEY, CA, NOW)
    key, rotated = rotate_ca(CA, CA_KEY, NOW)
    assert [one.retired for one in rotated.authorities] == [None, NOW]
    assert ca_fingerprint(rotated) != ca_fingerprint(CA)
    after = sign_request(asks(), key, rotated, NOW)
    for pem in (before, after):
        assert check_peer(der(pem), rotated, NOW) == NODE_ID
    with pytest.raises(StepError, match="rotated meanwhile; try again"):
        sign_request(asks(), CA_KEY, rotated, NOW)
    assert drop_outdated(rotated, NOW + 91 * DAY) == rotated
    alone = drop_outdated(rotated, NOW + 92 * DAY)
    assert [one.certificate for one in alone.authorities] == [rotated.authorities[0].certificate]
    assert alone.authorities[0].cross == ""
    assert "is not by a CA of this cluster" in refusal(check_peer(der(before), alone, NOW))
    assert sign_request(asks(), key, alone, NOW).count("BEGIN") == 1
    assert CaRecord.model_validate_json(rotated.model_dump_json()) == rotated


def test_an_old_ca_that_has_expired_itself_is_dropped_and_the_signing_one_never() -> None:
    end = load(CA.authorities[0].certificate).not_valid_after_utc
    _, rotated = rotate_ca(CA, CA_KEY, end - DAY)
    assert len(rotated.authorities) == 2
    assert len(drop_outdated(rotated, end).authorities) == 1
    assert drop_outdated(CA, end + DAY) == CA


def test_rotation_without_the_old_key() -> None:
    key, rotated = rotate_ca(CA, None, NOW)
    assert rotated.authorities[0].cross == ""
    assert sign_request(asks(), key, rotated, NOW).count("BEGIN") == 1
    with pytest.raises(StepError):
        rotate_ca(CA, NODE_KEY, NOW)


def test_rotation_again_and_again_has_an_end_and_its_answers_fit() -> None:
    key, record = CA_KEY, CA
    for _ in range(7):
        key, record = rotate_ca(record, key, NOW)
    with pytest.raises(UserError, match="8 CAs are valid at once"):
        rotate_ca(record, key, NOW)
    assert len(sign_request(asks(), key, record, NOW) + bundle(record)) < LIMIT_BYTES / 2
    assert len(rotate_ca(record, key, NOW + 92 * DAY)[1].authorities) == 2


def test_a_fingerprint_picks_one_certificate_out_of_a_bundle() -> None:
    _, rotated = rotate_ca(CA, CA_KEY, NOW)
    _, foreign = make_ca("example", NOW)
    text = bundle(rotated) + bundle(foreign)
    for wanted in (ca_fingerprint(CA), ca_fingerprint(CA).replace(":", "").lower()):
        assert pick_ca(text, wanted) == CA.authorities[0].certificate
    assert ca_fingerprint(CA).replace(":", "").lower() == hashlib.sha256(der(bundle(CA))).hexdigest()
    assert pick_ca(bundle(foreign), ca_fingerprint(CA)) is None
    assert pick_ca("", ca_fingerprint(CA)) is None
    assert pick_ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "") is None


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bytes | None:
    """Shake hands in memory; give the certificate that the server sees. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[1].getpeercert(binary_form=True)


def context(side: int, folder: Path, pem: str, trusted: str) -> ssl.SSLContext:
    found = ssl.SSLContext(side)
    write_key(NODE_KEY, folder / "key")
    (folder / "certificate").write_text(pem)
    found.load_cert_chain(folder / "certificate", folder / "key")
    found.load_verify_locations(cadata=trusted)
    found.verify_mode = ssl.CERT_REQUIRED
    # What Python 3.13 sets by itself.
    found.verify_flags |= ssl.VERIFY_X509_STRICT
    return found


@pytest.mark.parametrize(("rotations", "name"), [(0, "node2.example.com"), (1, "node2"), (2, "192.0.2.42")])
def test_mutual_tls_with_who_knows_the_first_ca_only(tmp_path: Path, rotations: int, name: str) -> None:
    old = sign_request(asks(), CA_KEY, CA, NOW)
    key, record = CA_KEY, CA
    for _ in range(rotations):
        key, record = rotate_ca(record, key, NOW)
    pem = sign_request(asks(), key, record, NOW)
    server = context(ssl.PROTOCOL_TLS_SERVER, tmp_path, pem, bundle(record))
    client = context(ssl.PROTOCOL_TLS_CLIENT, tmp_path, old, bundle(CA))
    seen = handshake(server, client, name)
    assert seen is not None
    assert check_peer(seen, record, NOW) == NODE_ID


def test_tls_refuses_another_ca_and_another_name(tmp_path: Path) -> None:
    pem = sign_request(asks(), CA_KEY, CA, NOW)
    other_key, other = make_ca("example", NOW)
    foreign = sign_request(asks(), other_key, other, NOW)
    server = context(ssl.PROTOCOL_TLS_SERVER, tmp_path, pem, bundle(CA))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, context(ssl.PROTOCOL_TLS_CLIENT, tmp_path, foreign, bundle(CA)), "node2")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, context(ssl.PROTOCOL_TLS_CLIENT, tmp_path, pem, bundle(other)), "node2")
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(server, context(ssl.PROTOCOL_TLS_CLIENT, tmp_path, pem, bundle(CA)), "node1")


def test_a_key_is_on_members_for_root_alone(tmp_path: Path) -> None:
    write_ca_key(CA_KEY, tmp_path)
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_ca_key(CA, tmp_path).private_numbers() == CA_KEY.private_numbers()


def test_a_cut_anywhere_in_a_rotation_leaves_a_ca_that_signs(tmp_path: Path) -> None:
    write_ca_key(CA_KEY, tmp_path)
    key, rotated = rotate_ca(CA, CA_KEY, NOW)
    write_ca_key(key, tmp_path)
    # Cut before the record: the old one signs, and tidying up takes neither key.
    remove_retired_keys(CA, tmp_path)
    assert sign_request(asks(), read_ca_key(CA, tmp_path), CA, NOW)
    # Cut after it: the new one signs.
    assert sign_request(asks(), read_ca_key(rotated, tmp_path), rotated, NOW)
    remove_retired_keys(rotated, tmp_path)
    remove_retired_keys(rotated, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert sign_request(asks(), read_ca_key(rotated, tmp_path), rotated, NOW)


def test_a_member_without_the_key_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"cannot be read .*; another member gives it to this one"):
        read_ca_key(CA, tmp_path)
    write_key(NODE_KEY, tmp_path / f"{node_id_of(CA_KEY.public_key())}.key")
    with pytest.raises(StepError, match="not that of the CA that signs"):
        read_ca_key(CA, tmp_path)


def test_what_was_signed_by_a_clock_that_was_ahead_is_renewed_once_it_is_right() -> None:
    ahead = NOW + 3650 * DAY
    key, ca = make_ca("example", ahead)
    certificate = sign_request(asks(), key, ca, ahead)
    assert not needs_renewal(certificate, bundle(ca), ahead)
    assert needs_renewal(certificate, bundle(ca), NOW)
    assert not needs_renewal(sign_request(asks(), key, ca, NOW), bundle(ca), NOW)
