import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from agent.enroll_policy import (
    Accepted,
    check_join,
    check_request,
    plan_again,
    plan_approve,
    plan_enroll,
    plan_heartbeat,
    plan_joined,
    plan_reject,
    plan_remove,
)
from agent.protocol import EnrollRequest, NodeState, Refusal
from agent.records import Match, NodeRecord, TokenRecord
from agent.tokens import is_secret_of, make_token
from hostlib.errors import UserError
from tests.unit import enroll_fakes
from tests.unit.enroll_fakes import NOW, SALT, SECRET, Node

_cheap_hashes = enroll_fakes.cheap_hashes
NODE = Node("n1.example.test", "192.0.2.1")
REQUEST = NODE.request()
MEMBERS = {"m1", "N1"}
STATES: tuple[NodeState, ...] = ("requested", "approved", "joined", "serving", "rejected", "removed")


def token(**changes: Any) -> TokenRecord:
    made = make_token(SECRET, SALT, now=NOW, expires=NOW + 60, uses=1, match=Match(), approval="auto")
    return made.model_copy(update=changes)


def known(state: NodeState, node: Node = NODE, **changes: Any) -> NodeRecord:
    record = NodeRecord(
        id=node.id, facts=node.facts, state=state, token="", csr="C", requested=NOW, changed=NOW
    )
    return record.model_copy(update=changes)


def decide(
    token: TokenRecord,
    *nodes: NodeRecord,
    request: EnrollRequest = REQUEST,
    peer: str = "192.0.2.1",
    now: int = NOW,
) -> Accepted | Refusal:
    return plan_enroll(request, NODE.id, token, {node.id: node for node in nodes}, peer=peer, now=now)


def accepted(found: Accepted | Refusal) -> Accepted:
    assert isinstance(found, Accepted), found
    return found


def refused(found: object) -> str:
    assert isinstance(found, Refusal), found
    return f"{found.code}: {found.reason}"


def test_a_new_node_takes_a_use() -> None:
    found = accepted(decide(token(uses=2)))
    assert (found.node.id, found.node.state, found.node.token) == (NODE.id, "approved", token().id)
    assert (found.node.facts, found.node.csr, found.node.requested) == (REQUEST.facts, REQUEST.csr, NOW)
    assert found.token.used_by == (NODE.id,)
    assert accepted(decide(token(approval="manual"))).node.state == "requested"


def test_the_secret_is_not_in_the_record() -> None:
    made = token()
    assert is_secret_of(SECRET, made)
    assert not is_secret_of(SECRET[::-1], made)
    assert SECRET.hex() not in made.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "now", "wanted"),
    [
        ({"revoked": True}, NOW, "token-revoked: token {}: it was revoked"),
        ({}, NOW + 60, "token-expired: token {}: it expired 0 minutes ago"),
        ({}, NOW + 3660, "token-expired: token {}: it expired 60 minutes ago"),
        ({"uses": 2, "used_by": ("a", "b")}, NOW, "token-used-up: token {}: all of its uses (2) are taken"),
    ],
)
def test_a_token_that_does_not_count_any_more(changes: dict[str, Any], now: int, wanted: str) -> None:
    found = decide(token(**changes), now=now)
    assert refused(found).startswith(wanted.format(token().id))
    assert isinstance(found, Refusal)
    assert "slipway token create" in found.todo
    assert found.retry_seconds is None


def test_a_token_is_good_to_its_last_second() -> None:
    accepted(decide(token(), now=NOW + 59))


def test_a_use_that_was_lost_from_the_list_is_counted_from_the_node() -> None:
    other = known("serving", Node("n2.example.test"), token=token().id)
    assert refused(decide(token(), other)).startswith("token-used-up")
    assert set(accepted(decide(token(uses=2), other)).token.used_by) == {NODE.id, other.id}


def test_a_node_that_waits_may_correct_what_it_said() -> None:
    waiting = known("requested", Node("n1.wrong.test"), id=NODE.id, token=token().id, requested=NOW - 9)
    assert plan_again(waiting, NODE.facts) is None
    found = accepted(decide(token(used_by=(NODE.id,)), waiting))
    assert (found.node.facts, found.node.requested, found.token.used_by) == (NODE.facts, NOW - 9, (NODE.id,))


def test_asked_again() -> None:
    for state in STATES[:4]:
        assert plan_again(known(state), NODE.facts) == known(state)
    newer = NODE.facts.model_copy(update={"version": "2", "serial": "S2"})
    assert plan_again(known("serving"), newer) == known("serving")
    renamed = NODE.facts.model_copy(update={"fqdn": "n9.example.test"})
    assert refused(plan_again(known("serving"), renamed)).startswith("csr-name: this node is enrolled as n1.")
    assert refused(plan_again(known("rejected"), renamed)).startswith("rejected")
    assert refused(plan_again(known("removed"), NODE.facts)).startswith(
        "removed: n1.example.test was removed"
    )


@pytest.mark.parametrize(
    ("match", "peer", "wrong"),
    [
        (Match(), "198.51.100.1", ""),
        (Match(serial="S1", mac="52:54:00:00:00:01", subnet="192.0.2.0/24"), "192.0.2.1", ""),
        (Match(serial="S2"), "192.0.2.1", "serial number S1, wanted is S2"),
        (
            Match(mac="52:54:00:00:00:02"),
            "192.0.2.1",
            "MAC addresses 52:54:00:00:00:01, wanted is 52:54:00:00:00:02",
        ),
        (Match(subnet="192.0.3.0/24"), "192.0.2.1", "address 192.0.2.1, wanted is one of 192.0.3.0/24"),
        # What it says of itself is not enough.
        (Match(subnet="192.0.2.0/24"), "198.51.100.1", "address 198.51.100.1, wanted"),
        (Match(subnet="192.0.2.0/24"), "2001:db8::1", "address 2001:db8::1, wanted"),
        (Match(serial="S1", subnet="192.0.3.0/24"), "192.0.2.1", "address 192.0.2.1, wanted"),
    ],
)
def test_what_a_token_is_bound_to(match: Match, peer: str, wrong: str) -> None:
    found = decide(token(match=match), peer=peer)
    if wrong:
        assert refused(found).startswith(f"facts-not-allowed: the token is not for this machine: {wrong}")
    else:
        accepted(found)


def test_a_name_that_is_taken() -> None:
    other = known("serving", Node("n1.other.test", "192.0.2.9"))
    found = decide(token(), other)
    assert refused(found) == "name-taken: the name n1 is taken by n1.other.test (192.0.2.9, serving)"
    assert isinstance(found, Refusal)
    assert f"slipway node remove {other.id}" in found.todo
    assert found.retry_seconds == 60
    for state in ("rejected", "removed"):
        accepted(decide(token(), other.model_copy(update={"state": state})))


def test_approve_reject_remove() -> None:
    nodes: dict[str, NodeRecord] = {}
    now = NOW + 1
    assert [plan_approve(known(state), nodes, now).state for state in STATES[:5]] == [
        "approved",
        "approved",
        "joined",
        "serving",
        "approved",
    ]
    assert plan_approve(known("requested"), nodes, now).changed == now
    assert plan_approve(known("approved"), nodes, now).changed == NOW
    with pytest.raises(UserError, match=r"node n1\.example\.test \(.*\): it was removed; install it again"):
        plan_approve(known("removed"), nodes, now)
    namesake = known("serving", Node("n1.other.test"))
    with pytest.raises(UserError, match="the name n1 is taken"):
        plan_approve(known("rejected"), {namesake.id: namesake}, now)
    assert [
        plan_reject(known(state), now).state for state in ("requested", "approved", "rejected", "removed")
    ] == [
        "rejected",
        "rejected",
        "rejected",
        "removed",
    ]
    for state in STATES[2:4]:
        with pytest.raises(UserError, match="slipway node remove"):
            plan_reject(known(state), now)
    assert {plan_remove(known(state), now).state for state in STATES} == {"removed"}
    assert plan_remove(known("removed"), now).changed == NOW


def outcome(found: NodeRecord | Refusal | None) -> str:
    return found.code if isinstance(found, Refusal) else found.state if found else "yes"


def test_what_each_state_may_do() -> None:
    joins = [outcome(check_join(known(state))) for state in STATES]
    assert joins == ["not-approved", "yes", "not-approved", "not-approved", "rejected", "removed"]
    joined = [outcome(plan_joined(known(state), MEMBERS, NOW)) for state in STATES]
    assert joined == ["not-approved", "joined", "joined", "serving", "rejected", "removed"]
    beats = [outcome(plan_heartbeat(known(state), NOW)) for state in STATES]
    assert beats == ["not-a-member", "not-a-member", "serving", "serving", "rejected", "removed"]
    assert outcome(plan_joined(known("approved"), {"m1"}, NOW)) == "not-a-member"


def request(csr: str | None = None, **facts: Any) -> EnrollRequest:
    return EnrollRequest(
        token="T", csr=REQUEST.csr if csr is None else csr, facts=NODE.facts.model_copy(update=facts)
    )


def signed(key: Any, algorithm: Any, *names: x509.GeneralName) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


def forged() -> str:
    der = bytearray(x509.load_pem_x509_csr(REQUEST.csr.encode()).public_bytes(Encoding.DER))
    place = der.index(b"n1.example.test")
    der[place : place + 2] = b"m1"
    body = base64.encodebytes(bytes(der)).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


P384 = ec.generate_private_key(ec.SECP384R1())
MORE = x509.SubjectAlternativeName([*NODE.names, x509.DNSName("m1.example.test")])
FEWER = x509.SubjectAlternativeName([*NODE.names][:1])
MAIL = x509.SubjectAlternativeName([*NODE.names, x509.RFC822Name("root@example.test")])


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (request(fqdn=""), "malformed: facts.fqdn"),
        (request(fqdn="N1.example.test"), "malformed: facts.fqdn"),
        (request(fqdn="n1.example.test\n"), "malformed: facts.fqdn"),
        (request(fqdn="a." * 126 + "aa"), "malformed: facts.fqdn"),
        (request(fqdn="-n1"), "malformed: facts.fqdn"),
        (request(address="192.0.2.1/24"), "malformed: facts.address"),
        (request(address="0:0:0:0:0:0:0:1"), "malformed: facts.address"),
        (request(address="fe80::1%$(x)\n"), "malformed: facts.address"),
        (request(macs=("52:54:00:00:00:01", "x")), "malformed: facts.macs"),
        (request(uuid="\x1b[2J"), "malformed: facts.uuid"),
        (
            request(fqdn="n2.example.test"),
            "csr-name: the certificate request is for 192.0.2.1, n1, n1.example.test",
        ),
        (request(address="192.0.2.2"), "csr-name"),
        (request(csr=NODE.csr(MORE)), "csr-name"),
        (request(csr=NODE.csr(FEWER)), "csr-name"),
        (request(csr=NODE.csr(MAIL)), "csr-name"),
        (request(csr=""), "csr-invalid: certificate request: it is not a certificate request in PEM"),
        (request(csr=REQUEST.csr[:200]), "csr-invalid"),
        (request(csr="\ud7ff" * 2000), "csr-invalid"),
        (
            request(csr=signed(NODE.key, hashes.SHA256())),
            "csr-invalid: certificate request: its signature or",
        ),
        (
            request(csr=signed(P384, hashes.SHA256(), *NODE.names)),
            "csr-invalid: certificate request: its key is not",
        ),
        (request(csr=signed(ed25519.Ed25519PrivateKey.generate(), None, *NODE.names)), "csr-invalid"),
        (request(csr=forged()), "csr-invalid: certificate request: its signature was not made with its key"),
    ],
)
def test_what_a_node_may_not_say(asked: EnrollRequest, wanted: str) -> None:
    assert refused(check_request(asked)).startswith(wanted)


def test_what_a_node_says() -> None:
    assert check_request(REQUEST) == NODE.id
    for fqdn, address in (("n1", "192.0.2.1"), ("n1.example.test", "2001:db8::1")):
        node = Node(fqdn, address)
        assert check_request(node.request()) == node.id
