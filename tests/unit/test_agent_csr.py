"""What a member accepts of a certificate request, and what it says of each that it refuses."""

from __future__ import annotations

import base64
import random
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from agent.csr import CheckedRequest, check_csr, check_unique, make_csr, node_id_of
from agent.protocol import Facts

FACTS = Facts(fqdn="node2.example.com", address="192.0.2.42")
KEY = ec.generate_private_key(ec.SECP256R1())
NAMES = (x509.DNSName("node2.example.com"), x509.DNSName("node2"), x509.IPAddress(ip_address("192.0.2.42")))
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def request(
    *names: x509.GeneralName,
    key: PrivateKey = KEY,
    extra: tuple[x509.ExtensionType, ...] = (),
    common: str = "node2",
) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extra:
        builder = builder.add_extension(extension, critical=True)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


def refusal(pem: str, facts: Facts = FACTS) -> tuple[str, str]:
    found = check_csr(pem, facts)
    assert not isinstance(found, CheckedRequest)
    assert found.todo
    assert found.reason.isprintable()
    assert len(found.reason) < 1000
    return found.code, found.reason


@pytest.mark.parametrize(
    "facts",
    [FACTS, Facts(fqdn="Rack-7.Example.com", address="2001:db8::4"), Facts(fqdn="a.b.c", address="10.0.0.1")],
)
def test_what_a_node_asks_for_is_accepted(facts: Facts) -> None:
    found = check_csr(make_csr(KEY, facts), facts)
    assert isinstance(found, CheckedRequest)
    assert found.node_id == node_id_of(KEY.public_key())
    assert found.key == KEY.public_key()
    assert found.names == (facts.fqdn, facts.fqdn.partition(".")[0])
    assert found.address == ip_address(facts.address)


def test_the_order_of_the_names_does_not_matter() -> None:
    assert isinstance(check_csr(request(*reversed(NAMES)), FACTS), CheckedRequest)


@pytest.mark.parametrize(
    "pem",
    [
        request(x509.DNSName("node1.example.com"), *NAMES[1:]),
        request(*NAMES, x509.DNSName("node1.example.com")),
        request(*NAMES, x509.DNSName("*.example.com")),
        request(x509.DNSName("*.example.com"), *NAMES[1:]),
        request(x509.DNSName("NODE2.example.com"), *NAMES[1:]),
        request(x509.DNSName("node2.example.com."), *NAMES[1:]),
        request(*NAMES, x509.IPAddress(ip_address("192.0.2.1"))),
        request(*NAMES, NAMES[0]),
        request(*NAMES[:2]),
        request(*NAMES[:2], x509.DNSName("192.0.2.42")),
        request(*NAMES, x509.DNSName("192.0.2.42")),
        request(*NAMES, x509.UniformResourceIdentifier("https://node2.example.com")),
        request(*NAMES, x509.RFC822Name("root@example.com")),
        request(*NAMES, common="node1"),
        request(*NAMES, common="192.0.2.42"),
        request(),
        request(*(x509.DNSName(f"node{number}.example.com") for number in range(200))),
    ],
)
def test_names_are_exactly_those_of_the_node(pem: str) -> None:
    code, reason = refusal(pem)
    assert code == "csr-name"
    assert "DNS node2.example.com" in reason


@pytest.mark.parametrize(
    ("extension", "name"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), "basicConstraints (to be a CA)"),
        (x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CODE_SIGNING]), "2.5.29.37"),
        (x509.NameConstraints([x509.DNSName("com")], None), "2.5.29.30"),
    ],
)
def test_what_a_certificate_allows_is_not_the_nodes_affair(extension: x509.ExtensionType, name: str) -> None:
    asked = f"the certificate request asks for {name}, which only the CA decides"
    assert refusal(request(*NAMES, extra=(extension,))) == ("csr-invalid", asked)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA with 1024 bits"),  # noqa: S505 - it is to be refused
        (ec.generate_private_key(ec.SECP384R1()), "ECDSA secp384r1"),
        (ec.generate_private_key(ec.SECP192R1()), "ECDSA secp192r1"),
        (ec.generate_private_key(ec.SECP256K1()), "ECDSA secp256k1"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
    ],
)
def test_the_key_of_a_node_is_p256(key: PrivateKey, name: str) -> None:
    code, reason = refusal(request(*NAMES, key=key))
    assert code == "csr-invalid"
    assert f"is for {name}, but" in reason


def test_a_request_that_another_key_signed_is_refused() -> None:
    lines = request(*NAMES).splitlines()
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[-1] ^= 1
    forged = "\n".join([lines[0], base64.encodebytes(der).decode().strip(), lines[-1]])
    assert refusal(forged) == (
        "csr-invalid",
        "the certificate request is not signed by the key that it names",
    )


@pytest.mark.parametrize(
    "pem",
    ["", "x", "\x00", "ü" * 100, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
     request(*NAMES)[:300], request(*NAMES).replace("REQUEST", "EVIL")],
)  # fmt: skip
def test_what_is_no_request_is_refused(pem: str) -> None:
    assert refusal(pem) == ("csr-invalid", "the certificate request cannot be read")


def test_a_huge_request_is_not_looked_at() -> None:
    assert refusal(request(*NAMES) + "A" * 9000)[1].endswith(" characters, 8192 are the limit")


def damaged(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    return bytes(broken)


def test_no_damage_to_a_request_is_more_than_a_refusal() -> None:
    lines = request(*NAMES).splitlines()
    der = base64.b64decode("".join(lines[1:-1]))
    chance = random.Random(5)  # noqa: S311 - the same damage in each run
    for _ in range(100):
        broken = damaged(der, chance)
        pem = "\n".join([lines[0], base64.encodebytes(broken).decode().strip(), lines[-1]])
        assert broken == der or refusal(pem)[0] == "csr-invalid"


def test_no_list_of_names_is_more_than_a_refusal() -> None:
    san = x509.SubjectAlternativeName(NAMES).public_bytes()
    chance = random.Random(7)  # noqa: S311 - the same damage in each run
    for _ in range(100):
        broken = damaged(san, chance)
        # Signed well, so that what is wrong is looked at.
        pem = request(extra=(x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, broken),))
        assert broken == san or refusal(pem)[0] in {"csr-invalid", "csr-name"}


@pytest.mark.parametrize(
    "fqdn",
    ["*.example.com", "node2", "", "node2..com", "-a.example.com", "12.example.com", "localhost.example.com",
     "a b.example.com", "\x1b[2J.example.com", "n\u00f6de.example.com", "x" * 64 + ".example.com", "node2.example.com."],
)  # fmt: skip
def test_names_that_no_node_can_have(fqdn: str) -> None:
    code, reason = refusal(request(*NAMES), FACTS.model_copy(update={"fqdn": fqdn}))
    assert code == "malformed"
    assert "is no name of a node" in reason


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "127.0.0.1", "::", "::1", "224.0.0.1", "169.254.1.1", "fe80::1", "fe80::1%eth0", "::ffff:192.0.2.1",  # noqa: S104 - nothing binds to it
     "192.0.2.42/24", "node2", "", "1"],
)  # fmt: skip
def test_addresses_that_no_node_can_have(address: str) -> None:
    code, reason = refusal(request(*NAMES), FACTS.model_copy(update={"address": address}))
    assert code == "malformed"
    assert f"'{address}' is no address that others can reach" in reason


KNOWN = {"a" * 32: FACTS, "b" * 32: Facts(fqdn="node3.example.com", address="2001:db8::3")}


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        (Facts(fqdn="node2.example.com", address="192.0.2.9"), "hostname node2"),
        (Facts(fqdn="NODE2.example.com", address="192.0.2.9"), "hostname node2"),
        (Facts(fqdn="node2.other.example.org", address="192.0.2.9"), "hostname node2"),
        (Facts(fqdn="node9.example.com", address="192.0.2.42"), "address 192.0.2.42"),
    ],
)
def test_the_second_node_of_one_name_is_told_what_to_do(facts: Facts, what: str) -> None:
    found = check_unique("c" * 32, facts, KNOWN)
    assert found is not None
    assert found.code == "name-taken"
    assert found.reason.startswith(f"the {what} belongs to the node {'a' * 32} (node2.example.com")
    assert found.todo.endswith(f"slipway node remove {'a' * 32}")


def test_an_address_is_the_same_however_it_is_written() -> None:
    facts = Facts(fqdn="node9.example.com", address="2001:0DB8:0::0003")
    found = check_unique("c" * 32, facts, KNOWN)
    assert found is not None
    assert "b" * 32 in found.reason


def test_a_node_does_not_stand_in_its_own_way() -> None:
    assert check_unique("a" * 32, FACTS, KNOWN) is None
    assert check_unique("c" * 32, Facts(fqdn="node4.example.com", address="192.0.2.44"), KNOWN) is None
