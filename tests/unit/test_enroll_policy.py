from typing import Any

import pytest

from agent.csr import CheckedRequest
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
from agent.protocol import NodeState, Refusal
from agent.records import NodeRecord
from agent.tokens import Match, TokenRecord
from hostlib.errors import UserError
from tests.unit import enroll_fakes
from tests.unit.enroll_fakes import NOW, Node, new_token

_cheap_hashes = enroll_fakes.cheap_hashes
NODE = Node("n1.example.test", "192.0.2.1")
REQUEST = NODE.request()
MEMBERS = {"m1", "N1"}
STATES: tuple[NodeState, ...] = ("requested", "approved", "joined", "serving", "rejected", "removed")


def token(**changes: Any) -> TokenRecord:
    return new_token()[1].model_copy(update=changes)


def known(state: NodeState, node: Node = NODE, **changes: Any) -> NodeRecord:
    record = NodeRecord(
        id=node.id, facts=node.facts, state=state, token="", csr="C", requested=NOW, changed=NOW
    )
    return record.model_copy(update=changes)


def decide(token: TokenRecord, *nodes: NodeRecord, now: int = NOW) -> Accepted | Refusal:
    return plan_enroll(REQUEST, NODE.id, token, {node.id: node for node in nodes}, now)


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


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"revoked": True}, "token-revoked"),
        ({"expires": NOW}, "token-expired"),
        ({"used_by": ("0" * 32,)}, "token-used-up"),
        ({"match": Match(serials=("S2",))}, "facts-not-allowed"),
    ],
)
def test_a_token_that_does_not_count(changes: dict[str, Any], wanted: str) -> None:
    assert refused(decide(token(**changes))).startswith(wanted)


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


def test_a_name_that_is_taken() -> None:
    other = known("serving", Node("n1.other.test", "192.0.2.9"))
    assert refused(decide(token(), other)).startswith("name-taken: the hostname n1 belongs to the node")
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
    with pytest.raises(UserError, match="the hostname n1 belongs"):
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
    joins = [outcome(check_join(known(state), MEMBERS)) for state in STATES]
    assert joins == ["not-approved", "yes", "not-approved", "not-approved", "rejected", "removed"]
    # Set back since it joined, so that Incus has no such member.
    joins = [outcome(check_join(known(state), {"m1"})) for state in STATES]
    assert joins == ["not-approved", "yes", "yes", "yes", "rejected", "removed"]
    joined = [outcome(plan_joined(known(state), MEMBERS, NOW)) for state in STATES]
    assert joined == ["not-approved", "joined", "joined", "serving", "rejected", "removed"]
    beats = [outcome(plan_heartbeat(known(state), NOW)) for state in STATES]
    assert beats == ["not-a-member", "not-a-member", "serving", "serving", "rejected", "removed"]
    assert outcome(plan_joined(known("approved"), {"m1"}, NOW)) == "not-a-member"


@pytest.mark.parametrize(
    "texts", [{"serial": "\x1b[2J"}, {"uuid": "\n"}, {"version": "\u202e"}, {"macs": ("a", "\0")}]
)
def test_what_a_node_may_not_say(texts: dict[str, Any]) -> None:
    facts = NODE.facts.model_copy(update=texts)
    assert refused(check_request(REQUEST.csr, facts)).startswith(
        f"malformed: facts.{next(iter(texts))}: it holds"
    )


def test_what_a_node_says() -> None:
    checked = check_request(REQUEST.csr, REQUEST.facts)
    assert isinstance(checked, CheckedRequest)
    assert checked.node_id == NODE.id
