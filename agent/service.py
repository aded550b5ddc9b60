"""What a member answers to each request of `agent.protocol`: records in, records out; HTTP is `agent.server`'s."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol, TypeVar

from agent.ca import needs_renewal
from agent.csr import CheckedRequest
from agent.enroll_policy import (
    IN_CLUSTER,
    check_join,
    check_member,
    check_request,
    check_welcome,
    plan_again,
    plan_enroll,
    plan_give_back,
    plan_heartbeat,
    plan_joined,
)
from agent.limits import Limiter
from agent.protocol import (
    CaKeyReply,
    CaReply,
    EnrollReply,
    EnrollRequest,
    Heartbeat,
    HeartbeatReply,
    JoinReply,
    Refusal,
    RenewReply,
    RenewRequest,
)
from agent.records import (
    NodeRecord,
    NodeStatus,
    StatusReply,
    parse_node,
    parse_nodes,
    parse_token,
    render_record,
)
from agent.store import Changes, Store, Values, change_store
from agent.tokens import TokenRecord, is_secret_of, token_id, unknown_token, used_up
from hostlib.tls import fingerprint

LOG = logging.getLogger("slipway.enrolment")
# A guess costs 50 ms of a core; so all guesses together get a fifth of one.
GUESSES_PER_SECOND: Final = 4.0
GUESSES_AT_ONCE: Final = 32
WAITS_FOR: Final = "waits for an administrator: `slipway node approve {}` on a member"

T = TypeVar("T")


class Authority(Protocol):
    """The cluster's CA (`agent.ca`). Every method raises SlipwayError or OSError when the CA cannot be read."""

    def sign(self, request: CheckedRequest) -> str:
        """Give the certificate of a node, PEM."""

    def bundle(self) -> str:
        """Give the CA certificates that are valid now, PEM; the first signs."""

    def key(self) -> str:
        """Give the key of the first, PEM."""

    def check_peer(self, certificate_der: bytes) -> str | Refusal:
        """Give the id of the node whose client certificate this is, or say why it counts for nothing."""


class Cluster(Protocol):
    """Incus's cluster. Every method raises SlipwayError when Incus does not answer."""

    async def members(self, *, now: bool = True) -> Mapping[str, str]:
        """Give the members: server name -> URL of its enrolment service; those that are online first.

        Without `now` they may be those of some seconds ago, which cost nothing.
        """

    async def invite(self, server_name: str, address: str) -> JoinReply:
        """Make a join token for the node of this name and management address; one that was made before is void then.

        Raises RefusedError with the reason when Incus does not make one.
        """


class RefusedError(Exception):
    """The answer is a Refusal."""

    def __init__(self, refusal: Refusal) -> None:
        """Take what is told."""
        self.refusal = refusal
        super().__init__(refusal.reason)


@dataclass(frozen=True, slots=True)
class _Seen:
    heartbeat: Heartbeat
    at: int


class Service:
    """A member's side. Methods raise RefusedError; SlipwayError and OSError mean: try again later."""

    def __init__(
        self,
        store: Store,
        authority: Authority,
        cluster: Cluster,
        clock: Callable[[], float],
        guesses: Limiter | None = None,
    ) -> None:
        """Take the records, the CA, Incus's cluster, and a clock in seconds since 1970."""
        self._store = store
        self._authority = authority
        self._cluster = cluster
        self._clock = clock
        self._guesses = guesses or Limiter(GUESSES_PER_SECOND, GUESSES_AT_ONCE)
        self._one_guess = asyncio.Lock()
        self._seen: dict[str, _Seen] = {}

    async def enroll(self, request: EnrollRequest) -> EnrollReply:
        """Take a node in, or tell it where it stands."""
        checked = _take(check_request(request.csr, request.facts))
        values, _ = await self._store.read_all()
        known = parse_node(values, checked.node_id)
        if known and (again := plan_again(known, request.facts, token=bool(request.token))):
            return self._reply(_take(again))
        token = await self._proven(request.token, values)
        node, written = await change_store(
            self._store, lambda values: self._enroll(values, request, checked, token)
        )
        if written:
            if known is None:
                await self._give_back(node)
            LOG.info("node %s (%s): %s, by token %s", node.facts.fqdn, node.id, node.state, token)
        return self._reply(node)

    async def _give_back(self, node: NodeRecord) -> None:
        """Refuse a new node after all where another member has given the last use of its token meanwhile."""

        def plan(values: Values) -> tuple[TokenRecord | None, Changes]:
            return parse_token(values, node.token), plan_give_back(node.id, node.token, values)

        token, returned = await change_store(self._store, plan)
        if token and returned:
            raise RefusedError(used_up(token))

    def _enroll(
        self, values: Values, request: EnrollRequest, checked: CheckedRequest, proven: str
    ) -> tuple[NodeRecord, Changes]:
        known, token = parse_node(values, checked.node_id), parse_token(values, proven)
        if known and (again := plan_again(known, request.facts)):
            return _take(again), {}
        if token is None:
            raise RefusedError(unknown_token())
        found = plan_enroll(request, checked.node_id, token, parse_nodes(values), self._now())
        accepted = _take(found)
        node = accepted.node
        if node.state == "approved":
            node = node.model_copy(update={"certificate": self._authority.sign(checked)})
        return node, {**render_record(node), **render_record(accepted.token)}

    def peer(self, certificate_der: bytes) -> str:
        """Give the id of the node that shows this certificate."""
        return _take(self._authority.check_peer(certificate_der))

    async def standing(self, node_id: str) -> EnrollReply:
        """Tell where a node stands."""
        values, _ = await self._store.read_all()
        node = _known(values, node_id)
        _refuse(check_welcome(node))
        now = datetime.fromtimestamp(self._now(), UTC)
        if node.state in {"approved", "joined"} and needs_renewal(
            node.certificate, self._authority.bundle(), now
        ):
            # It was off for long before it came to serve. For the same key, so that nobody else has any use for it.
            node = await self._change_node(node_id, self._signed)
        return self._reply(node)

    def _signed(self, node: NodeRecord) -> NodeRecord:
        checked = _take(check_request(node.csr, node.facts))
        return node.model_copy(update={"certificate": self._authority.sign(checked)})

    async def join(self, node_id: str) -> JoinReply:
        """Give an approved node what it needs to join."""
        values, _ = await self._store.read_all()
        node = _known(values, node_id)
        _refuse(check_join(node, await self._cluster.members()))
        return await self._cluster.invite(node.hostname, node.facts.address)

    async def joined(self, node_id: str) -> EnrollReply:
        """Take note that a node has joined, when Incus says so too."""
        members = await self._cluster.members()
        node = await self._change_node(node_id, lambda node: _take(plan_joined(node, members, self._now())))
        return self._reply(node)

    async def heartbeat(self, node_id: str, heartbeat: Heartbeat, ca_digest: str) -> HeartbeatReply:
        """Take note of how a node is; `ca_digest` tells which CA certificates it has."""
        await self._change_node(node_id, lambda node: _take(plan_heartbeat(node, self._now())))
        self._seen[node_id] = _Seen(heartbeat, self._now())
        bundle = self._authority.bundle()
        current = hashlib.sha256(bundle.encode()).hexdigest() == ca_digest
        urls = tuple((await self._cluster.members(now=False)).values())
        return HeartbeatReply(time=self._now(), ca="" if current else bundle, urls=urls)

    async def renew(self, node_id: str, request: RenewRequest) -> RenewReply:
        """Give a node its next certificate, for the same key and names."""

        def renewed(node: NodeRecord) -> NodeRecord:
            _refuse(check_welcome(node))
            if not node.certificate:
                raise RefusedError(Refusal(code="not-approved", reason="there is no certificate to renew"))
            checked = _take(check_request(request.csr, node.facts))
            if checked.node_id != node_id:
                todo = "keep the key, or remove this node and install it again"
                raise RefusedError(
                    Refusal(code="csr-invalid", reason="the key is not this node's", todo=todo)
                )
            return node.model_copy(update={"certificate": self._authority.sign(checked)})

        node = await self._change_node(node_id, renewed)
        return RenewReply(certificate=node.certificate, ca=self._authority.bundle())

    def ca(self) -> CaReply:
        """Give the CA certificates."""
        bundle = self._authority.bundle()
        return CaReply(ca=bundle, fingerprint=fingerprint(bundle.encode()))

    async def ca_key(self, node_id: str) -> CaKeyReply:
        """Give the CA's key to a member of the cluster."""
        await self._member(node_id)
        LOG.info("node %s: was given the key of the CA", node_id)
        return CaKeyReply(ca=self._authority.bundle(), key=self._authority.key())

    async def status(self, node_id: str) -> StatusReply:
        """Tell a member of the cluster what is known of all nodes."""
        nodes, urls = await self._member(node_id)
        return StatusReply(
            time=self._now(), urls=urls, nodes=tuple(_status(node, self._seen.get(node.id)) for node in nodes)
        )

    async def _member(self, node_id: str) -> tuple[list[NodeRecord], tuple[str, ...]]:
        values, _ = await self._store.read_all()
        node = _known(values, node_id)
        _refuse(check_welcome(node))
        members = await self._cluster.members()
        if node.state not in IN_CLUSTER:
            raise RefusedError(
                Refusal(code="not-a-member", reason="this node has not joined", todo="join first")
            )
        _refuse(check_member(node, members))
        return list(parse_nodes(values).values()), tuple(members.values())

    async def _proven(self, secret: str, values: Values) -> str:
        """Give the id of the token whose secret this is; one guess at a time, and few in a second.

        What names no token is none: it costs nothing and takes no guess from those that have one. An id tells
        nobody anything who does not have its token.
        """
        named = token_id(secret)
        record = parse_token(values, named)
        if record is None:
            raise RefusedError(unknown_token())
        if wait := self._guesses.take(""):
            reason = "too many nodes enrol at this moment"
            retry = int(wait) + 1
            raise RefusedError(Refusal(code="rate-limited", reason=reason, todo="wait", retry_seconds=retry))
        async with self._one_guess:
            right = await asyncio.to_thread(is_secret_of, secret, record)
        if not right:
            raise RefusedError(unknown_token())
        return named

    async def _change_node(self, node_id: str, plan: Callable[[NodeRecord], NodeRecord]) -> NodeRecord:
        def change(values: Values) -> tuple[NodeRecord, Changes]:
            old = _known(values, node_id)
            new = plan(old)
            return new, {} if new == old else render_record(new)

        node, written = await change_store(self._store, change)
        if written:
            LOG.info("node %s (%s): %s", node.facts.fqdn, node.id, node.state)
        return node

    def _reply(self, node: NodeRecord) -> EnrollReply:
        if not node.certificate:
            reason = WAITS_FOR.format(node.id) if node.state == "requested" else ""
            return EnrollReply(id=node.id, state=node.state, reason=reason)
        bundle = self._authority.bundle()
        return EnrollReply(id=node.id, state=node.state, certificate=node.certificate, ca=bundle)

    def _now(self) -> int:
        return int(self._clock())


def _take(found: T | Refusal) -> T:
    if isinstance(found, Refusal):
        raise RefusedError(found)
    return found


def _refuse(refusal: Refusal | None) -> None:
    if refusal:
        raise RefusedError(refusal)


def _known(values: Values, node_id: str) -> NodeRecord:
    node = parse_node(values, node_id)
    if node is None:
        reason = "this cluster knows no node with this id"
        todo = "if `slipway node list` on a member does not show it, install it again"
        raise RefusedError(Refusal(code="node-unknown", reason=reason, todo=todo))
    return node


def _status(node: NodeRecord, seen: _Seen | None) -> NodeStatus:
    return NodeStatus(
        id=node.id,
        state=node.state,
        facts=node.facts,
        changed=node.changed,
        seen=seen.at if seen else None,
        heartbeat=seen.heartbeat if seen else None,
    )
