"""Who may enrol, and what is written then: pure functions of records, requests and the time.

A node's key names it, and a CSR is signed with it. So a node that is known already needs no token: what it asks
again changes nothing and takes nothing, and a replayed request is no more than that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from agent.csr import names_wanted, parse_csr
from agent.protocol import Code, EnrollRequest, Facts, NodeState, Refusal
from agent.records import Match, NodeRecord, TokenRecord
from hostlib.errors import Problem, UserError

FQDN: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)
MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5,19}")
"""Six bytes of Ethernet, twenty of InfiniBand."""
NAMELESS: Final[Collection[NodeState]] = ("rejected", "removed")
"""States in which a node does not hold its name."""
IN_CLUSTER: Final[Collection[NodeState]] = ("joined", "serving")
NAME_RETRY_SECONDS: Final = 60
JOIN_RETRY_SECONDS: Final = 10
MAKE_ANOTHER: Final = "make another one on a member with `slipway token create`"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What to write, in one go. A node that is `approved` still lacks its certificate."""

    node: NodeRecord
    token: TokenRecord


def check_request(request: EnrollRequest) -> str | Refusal:
    """Give the id of the node that asks, or what is wrong with its facts or its CSR."""
    facts = request.facts
    if wrong := _wrong_fact(facts):
        return Refusal(code="malformed", reason=wrong, todo="correct what the node says of itself")
    try:
        node_id, names = parse_csr(request.csr)
    except ValueError as error:
        return Refusal(code="csr-invalid", reason=f"certificate request: {error}", todo="make it anew")
    return check_names(names, facts) or node_id


def check_names(names: Collection[str], facts: Facts) -> Refusal | None:
    """Say it when a CSR asks for other names than the node has."""
    wanted = names_wanted(facts.fqdn, facts.address)
    if set(names) == wanted:
        return None
    reason = f"the certificate request is for {_list(names)}, but this node is {_list(wanted)}"
    return Refusal(code="csr-name", reason=reason, todo="ask for the names of the node itself")


def _wrong_fact(facts: Facts) -> str:
    if not FQDN.fullmatch(facts.fqdn):
        return "facts.fqdn: this is no host name in lower case"
    try:
        # A scope (`fe80::1%eth0`) means something on the node alone, and may hold any character.
        plain = str(ip_address(facts.address)) == facts.address and "%" not in facts.address
    except ValueError:
        plain = False
    if not plain:
        return "facts.address: this is no IP address in its usual form"
    if not all(MAC.fullmatch(mac) for mac in facts.macs):
        return "facts.macs: one of them is no MAC address in lower case with colons"
    texts = {"serial": facts.serial, "uuid": facts.uuid, "version": facts.version}
    return next(
        (
            f"facts.{name}: it holds characters that cannot be shown"
            for name, text in texts.items()
            if not text.isprintable()
        ),
        "",
    )


def plan_again(node: NodeRecord, facts: Facts) -> NodeRecord | Refusal | None:
    """Give what a node that is known is told when it asks again; None: only its token can decide.

    That is a node that nobody has approved yet and that says other things of itself than at first.
    """
    if refusal := check_welcome(node):
        return refusal
    if node.facts == facts:
        return node
    if node.state == "requested":
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
    request: EnrollRequest,
    node_id: str,
    token: TokenRecord,
    nodes: Mapping[str, NodeRecord],
    *,
    peer: str,
    now: int,
) -> Accepted | Refusal:
    """Decide on a node that has shown the secret of `token`.

    `nodes` are all that are known, by id; `peer` is the address that the request came from. For a node that took
    a use of this token before, no other is taken.
    """
    # Two members may take in a node each at one moment, and one list of ids is then lost; the nodes never are.
    used_by = sorted({*token.used_by, *(node.id for node in nodes.values() if node.token == token.id)})
    again = node_id in used_by
    refusal = (
        _check_token(token, len(used_by) - again, now)
        or _check_match(token.match, request.facts, peer)
        or check_name(node_id, request.facts, nodes)
    )
    if refusal:
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
    ids = tuple(used_by) if again else (*used_by, node_id)
    return Accepted(node, token.model_copy(update={"used_by": ids}))


def _check_token(token: TokenRecord, used: int, now: int) -> Refusal | None:
    def refuse(code: Code, what: str) -> Refusal:
        return Refusal(code=code, reason=f"token {token.id}: {what}", todo=MAKE_ANOTHER)

    if token.revoked:
        return refuse("token-revoked", "it was revoked")
    if now >= token.expires:
        return refuse(
            "token-expired", f"it expired {(now - token.expires) // 60} minutes ago by this member's clock"
        )
    if used >= token.uses:
        return refuse("token-used-up", f"all of its uses ({token.uses}) are taken")
    return None


def _check_match(match: Match, facts: Facts, peer: str) -> Refusal | None:
    wrong = ""
    if match.serial and facts.serial != match.serial:
        wrong = f"serial number {facts.serial or '(none)'}, wanted is {match.serial}"
    elif match.mac and match.mac not in facts.macs:
        wrong = f"MAC addresses {_list(facts.macs) or '(none)'}, wanted is {match.mac}"
    elif match.subnet:
        network = ip_network(match.subnet)
        outside = [one for one in dict.fromkeys((facts.address, peer)) if ip_address(one) not in network]
        wrong = f"address {_list(outside)}, wanted is one of {match.subnet}" if outside else ""
    if not wrong:
        return None
    todo = f"use the machine that the token was made for, or {MAKE_ANOTHER}"
    return Refusal(code="facts-not-allowed", reason=f"the token is not for this machine: {wrong}", todo=todo)


def check_name(node_id: str, facts: Facts, nodes: Mapping[str, NodeRecord]) -> Refusal | None:
    """Say it when another node has this hostname; Incus knows its members by it, whatever their domain."""
    hostname = facts.fqdn.split(".", 1)[0]
    for other in nodes.values():
        if other.id != node_id and other.state not in NAMELESS and other.hostname == hostname:
            reason = (
                f"the name {hostname} is taken by {other.facts.fqdn} ({other.facts.address}, {other.state})"
            )
            todo = f"install with another name, or `slipway node remove {other.id}` on a member if that one is gone"
            return Refusal(code="name-taken", reason=reason, todo=todo, retry_seconds=NAME_RETRY_SECONDS)
    return None


def plan_approve(node: NodeRecord, nodes: Mapping[str, NodeRecord], now: int) -> NodeRecord:
    """Give the node approved; it still lacks its certificate. Raises UserError."""
    if node.state in {"approved", *IN_CLUSTER}:
        return node
    if node.state == "removed":
        raise _user_error(node, "it was removed", "install it again to enrol it anew")
    if taken := check_name(node.id, node.facts, nodes):
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


def check_join(node: NodeRecord) -> Refusal | None:
    """Say why a node is not given what it needs to join."""
    if refusal := check_welcome(node):
        return refusal
    if node.state == "approved":
        return None
    if node.state in IN_CLUSTER:
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
    if refusal := check_join(node):
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


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
