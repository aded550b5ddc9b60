"""The key of a node and its certificate request."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.csr import CheckedRequest, check_csr
from agent.node_key import ensure_node_key
from agent.protocol import Facts
from hostlib.errors import StepError, UserError

FACTS = Facts(fqdn="node2.example.com", address="192.0.2.42")


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_key_and_request_are_made_once(tmp_path: Path) -> None:
    made = ensure_node_key(FACTS, tmp_path)
    checked = check_csr(made.csr, FACTS)
    assert isinstance(checked, CheckedRequest)
    assert checked.node_id == made.node_id
    assert len(made.node_id) == 32
    assert stat.S_IMODE((tmp_path / "node.key").stat().st_mode) == 0o600
    again = ensure_node_key(FACTS, tmp_path)
    assert (again.csr, again.node_id) == (made.csr, made.node_id)
    assert again.key.private_numbers() == made.key.private_numbers()


def test_the_key_is_in_no_text_of_it(tmp_path: Path) -> None:
    assert "key=" not in repr(ensure_node_key(FACTS, tmp_path))


@pytest.mark.parametrize("damage", [None, b"", b"\xff\x00", b"-----BEGIN CERTIFICATE REQUEST-----\n"])
def test_a_request_that_is_lost_is_made_anew_by_the_same_key(tmp_path: Path, damage: bytes | None) -> None:
    made = ensure_node_key(FACTS, tmp_path)
    csr = tmp_path / "node.csr"
    csr.unlink() if damage is None else csr.write_bytes(damage)
    again = ensure_node_key(FACTS, tmp_path)
    assert again.node_id == made.node_id
    assert isinstance(check_csr(again.csr, FACTS), CheckedRequest)
    assert csr.read_text() == again.csr


def test_a_new_name_keeps_the_key(tmp_path: Path) -> None:
    made = ensure_node_key(FACTS, tmp_path)
    moved = FACTS.model_copy(update={"address": "192.0.2.43"})
    again = ensure_node_key(moved, tmp_path)
    assert again.node_id == made.node_id
    assert isinstance(check_csr(again.csr, moved), CheckedRequest)


def test_the_request_of_another_key_is_not_kept(tmp_path: Path) -> None:
    other = ensure_node_key(FACTS, tmp_path / "other")
    (tmp_path / "node.csr").write_text(other.csr)
    made = ensure_node_key(FACTS, tmp_path)
    assert made.csr != other.csr
    checked = check_csr(made.csr, FACTS)
    assert isinstance(checked, CheckedRequest)
    assert checked.node_id == made.node_id


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        pem_of(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - it is to be refused
        pem_of(ec.generate_private_key(ec.SECP384R1())),
    ],
)
def test_a_key_that_cannot_be_used_is_an_error_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(content)
    with pytest.raises(StepError, match=rf"{path}: .*; put it back from a backup"):
        ensure_node_key(FACTS, tmp_path)
    assert path.read_bytes() == content


def test_a_key_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "node.key").mkdir()
    with pytest.raises(StepError, match="the key cannot be read"):
        ensure_node_key(FACTS, tmp_path)


def test_a_name_that_no_node_can_have_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'node2' is no name of a node; give it a host name"):
        ensure_node_key(Facts(fqdn="node2", address="192.0.2.42"), tmp_path)
