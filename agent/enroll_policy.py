"""Who may enrol, and what is written then: pure functions of records, requests and the time.

A node's key names it, and a CSR is signed with it. So a node that is known already needs no token: what it asks
again changes nothing and takes nothing, and a replayed request is no more than that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from agent.csr import CheckedRequest, check_csr, check_unique
from agent.protocol import EnrollRequest, Facts, NodeState, Refusal
from agent.records import (
    NodeRecord,
    node_key,
    parse_nodes,
    parse_token,
    parse_tokens,
    render_record,
    token_key,
)
from agent.store import Changes, Values
from agent.tokens import TokenRecord, take_use
from hostlib.errors import Problem, UserError

NAMELESS: Final[Collection[NodeState]] = ("rejected", "removed")
"""States in which a node does not hold its name."""
IN_CLUSTER: Final[Collection[NodeState]] = ("joined", "serving")
JOIN_RETRY_SECONDS: Final = 10
DAY: Final = 86400
TOKEN_KEPT_SECONDS: Final = 30 * DAY
"""After it has expired."""
REMOVED_KEPT_SECONDS: Final = 90 * DAY
"""Its certificate has run out by then (`ca.NODE_LIFETIME`)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What to write, in one go. A node that is `approved` still lacks its certificate."""

    node: NodeRecord
    token: TokenRecord


def check_request(csr: str, facts: Facts) -> CheckedRequest | Refusal:
    """Check what a node asks with, and what it says of itself."""
    texts: dict[str, Collection[str]] = {
        "serial": [facts.serial],
        "uuid": [facts.uuid],
        "version": [facts.version],
        "macs": facts.macs,
    }
    for name, found in texts.items():
        if not all(text.isprintable() for text in found):
            reason = f"facts.{name}: it holds characters that cannot be shown"
            return Refusal(code="malformed", reason=reason, todo="correct what the node says of itself")
    return check_csr(csr, facts)


def plan_again(node: NodeRecord, facts: Facts, *, token: bool = True) -> NodeRecord | Refusal | None:
    """Give what a node that is known is told when it asks again; None: only its token can decide.

    That is a node that nobody has approved yet and that says other things of itself than at first. One that shows
    no `token` has used it and lost its state since.
    """
    if refusal := check_welcome(node):
        return refusal
    if node.facts == facts:
        return node
    if node.state == "requested" and token:
        return None
    if (node.facts.fqdn, node.facts.address) == (facts.fqdn, facts.address):
        return node
    reason = f"this node is enrolled as {node.facts.fqdn} ({node.facts.address}), not as {facts.fqdn} ({facts.address})"
    todo = f"give it that name and address again, or `slipway node remove {node.id}` on a member and install it again"
    return Refusal(code="csr-name", reason=reason, todo=todo)


def check_welcome(node: NodeRecord) -> Refusal | None:
    """Say it when a node was rejected or removed."""
    match node.state:
        case "rejected":
            reason = f"{node.facts.fqdn} was rejected by an administrator"
            todo = f"`slipway node approve {node.id}` on a member, then restart this node"
            return Refusal(code="rejected", reason=reason, todo=todo)
        case "removed":
            reason = f"{node.facts.fqdn} was removed from the cluster"
            return Refusal(code="removed", reason=reason, todo="install this machine again to enrol it anew")
        case _:
            return None


def plan_enroll(
    request: EnrollRequest, node_id: str, token: TokenRecord, nodes: Mapping[str, NodeRecord], now: int
) -> Accepted | Refusal:
    """Decide on a node that has shown the secret of `token`, among all `nodes` that are known, by id.

    For a node that took a use of this token before, no other is taken.
    """
    used = take_use(_with_lost_uses(token, nodes), node_id, request.facts, now)
    if isinstance(used, Refusal):
        return used
    if refusal := _check_name(node_id, request.facts, nodes):
        return refusal
    known = nodes.get(node_id)
    node = NodeRecord(
        id=node_id,
        facts=request.facts,
        state="approved" if token.approval == "auto" else "requested",
        token=token.id,
        csr=request.csr,
        requested=known.requested if known else now,
        changed=now,
    )
    return Accepted(node, used)


def plan_give_back(node_id: str, token_id: str, values: Values) -> Changes:
    """Give what takes a node out again that has just been written, where its token has served more than it may.

    Two members can each give the last use within one moment. Each looks once its own write is done and the other
    members know of it, so at least one of them sees both.
    """
    token = parse_token(values, token_id)
    if token is None or len(_with_lost_uses(token, parse_nodes(values)).used_by) <= token.uses:
        return {}
    others = tuple(user for user in token.used_by if user != node_id)
    return {node_key(node_id): None, **render_record(token.model_copy(update={"used_by": others}))}


def _with_lost_uses(token: TokenRecord, nodes: Mapping[str, NodeRecord]) -> TokenRecord:
    # Where two members write at one moment, one list of ids is lost; the nodes never are.
    lost = sorted({node.id for node in nodes.values() if node.token == token.id} - {*token.used_by})
    return token.model_copy(update={"used_by": (*token.used_by, *lost)})


def _check_name(node_id: str, facts: Facts, nodes: Mapping[str, NodeRecord]) -> Refusal | None:
    return check_unique(
        node_id, facts, {node.id: node.facts for node in nodes.values() if node.state not in NAMELESS}
    )


def plan_approve(node: NodeRecord, nodes: Mapping[str, NodeRecord], now: int) -> NodeRecord:
    """Give the node approved; it still lacks its certificate. Raises UserError."""
    if node.state in {"approved", *IN_CLUSTER}:
        return node
    if node.state == "removed":
        raise _user_error(node, "it was removed", "install it again to enrol it anew")
    if taken := _check_name(node.id, node.facts, nodes):
        raise _user_error(node, taken.reason, taken.todo)
    return _into(node, "approved", now)


def plan_reject(node: NodeRecord, now: int) -> NodeRecord:
    """Give the node rejected. Raises UserError for one that is in the cluster."""
    if node.state in {"rejected", "removed"}:
        return node
    if node.state in IN_CLUSTER:
        raise _user_error(
            node, f"it is in the cluster ({node.state})", f"use `slipway node remove {node.id}`"
        )
    return _into(node, "rejected", now)


def plan_remove(node: NodeRecord, now: int) -> NodeRecord:
    """Give the node removed: what it shows or asks is refused from now on, and its name is free."""
    return node if node.state == "removed" else _into(node, "removed", now)


def plan_prune(values: Values, now: int) -> dict[str, None]:
    """Give the keys of what is of no use to anybody any more: every reader of the store reads all of it.

    A removed node stays as long as its token: with that it could come back as a node that nobody knows.
    """
    tokens = parse_tokens(values)
    old = {token.id for token in tokens.values() if now - token.expires > TOKEN_KEPT_SECONDS}
    gone = [
        node.id
        for node in parse_nodes(values).values()
        if node.state == "removed"
        and now - node.changed > REMOVED_KEPT_SECONDS
        and (node.token in old or token_key(node.token) not in values)
    ]
    return dict.fromkeys([*map(token_key, sorted(old)), *map(node_key, gone)])


def check_join(node: NodeRecord, members: Collection[str]) -> Refusal | None:
    """Say why a node is not given what it needs to join; `members` are those that Incus names.

    One that has said that it joined gets it again when it is none of them: it was set back since.
    """
    if refusal := check_welcome(node):
        return refusal
    if node.state == "approved":
        return None
    if node.state in IN_CLUSTER:
        if check_member(node, members):
            return None
        reason, todo, retry = (
            "this node has joined already",
            f"`slipway node remove {node.id}` on a member if it has not",
            None,
        )
    else:
        reason, todo, retry = (
            "no administrator has approved this node yet",
            f"`slipway node approve {node.id}` on a member",
            JOIN_RETRY_SECONDS,
        )
    return Refusal(code="not-approved", reason=reason, todo=todo, retry_seconds=retry)


def plan_joined(node: NodeRecord, members: Collection[str], now: int) -> NodeRecord | Refusal:
    """Give the node joined, when it is one of the `members` that Incus names."""
    if node.state in IN_CLUSTER:
        return node
    if refusal := check_join(node, members):
        return refusal
    return check_member(node, members) or _into(node, "joined", now)


def plan_heartbeat(node: NodeRecord, now: int) -> NodeRecord | Refusal:
    """Give the node serving, when it is in the cluster."""
    if node.state == "serving":
        return node
    if node.state == "joined":
        return _into(node, "serving", now)
    return check_welcome(node) or _no_member("this node has not said yet that it has joined")


def check_member(node: NodeRecord, members: Collection[str]) -> Refusal | None:
    """Say it when Incus does not name this node as one of its `members`."""
    if node.hostname in {name.lower() for name in members}:
        return None
    return _no_member(f"Incus does not know {node.hostname} as a member of the cluster")


def _no_member(reason: str) -> Refusal:
    return Refusal(code="not-a-member", reason=reason, todo="join first", retry_seconds=JOIN_RETRY_SECONDS)


def _into(node: NodeRecord, state: NodeState, now: int) -> NodeRecord:
    return node.model_copy(update={"state": state, "changed": now})


def _user_error(node: NodeRecord, what: str, todo: str) -> UserError:
    return UserError(Problem(f"node {node.facts.fqdn} ({node.id})", what, todo))
