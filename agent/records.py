"""What the cluster keeps of tokens and nodes: frozen, versioned records, as JSON in `agent.store`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, Literal, TypeVar

from pydantic import Field, ValidationError

from agent.protocol import ID_PATTERN, VERSION, Facts, Heartbeat, NodeState
from agent.store import PREFIX, StoreError
from agent.tokens import TokenRecord
from hostlib.errors import Problem
from hostlib.record import Record

LOG = logging.getLogger("slipway.records")
TOKEN_PREFIX: Final = f"{PREFIX}token."
NODE_PREFIX: Final = f"{PREFIX}node."

R = TypeVar("R", "TokenRecord", "NodeRecord")


class NodeRecord(Record):
    """A node that asked to be enrolled, whatever became of it."""

    version: Literal[1] = VERSION
    id: str = Field(pattern=f"^{ID_PATTERN}$")
    facts: Facts
    state: NodeState
    token: str
    """Id of the token that it came with; empty for the node that began the cluster."""
    csr: str
    certificate: str = ""
    """PEM, the latest that was issued. Set whenever the state is `approved` or a later one."""
    requested: int
    """When it asked first, seconds since 1970, as all times here."""
    changed: int
    """When it came into its state."""

    @property
    def hostname(self) -> str:
        """What Incus calls it: the first label of its FQDN, in lower case."""
        return self.facts.fqdn.split(".", 1)[0].lower()


class NodeStatus(Record):
    """A node for `slipway status`."""

    id: str
    state: NodeState
    facts: Facts
    changed: int
    seen: int | None = None
    """When this member got its last heartbeat; None: not since this member's start."""
    heartbeat: Heartbeat | None = None


class StatusReply(Record):
    """What this member knows. Heartbeats are not replicated: each node tells one member, so ask all members."""

    version: Literal[1] = VERSION
    time: int
    urls: tuple[str, ...]
    """Of all members."""
    nodes: tuple[NodeStatus, ...]


def node_key(node_id: str) -> str:
    """Give the key of a node's record."""
    return NODE_PREFIX + node_id


def token_key(token_id: str) -> str:
    """Give the key of a token's record."""
    return TOKEN_PREFIX + token_id


def parse_token(values: Mapping[str, str], token_id: str) -> TokenRecord | None:
    """Give a token of what the store holds, None when there is none. Raises StoreError on one that is not readable."""
    return _parse(values, token_key(token_id), TokenRecord)


def parse_node(values: Mapping[str, str], node_id: str) -> NodeRecord | None:
    """Give a node of what the store holds, None when there is none. Raises StoreError on one that is not readable."""
    return _parse(values, node_key(node_id), NodeRecord)


def parse_tokens(values: Mapping[str, str]) -> dict[str, TokenRecord]:
    """Give all tokens by id. One that is not readable is left out and logged: it must not stop the others."""
    return _parse_all(values, TOKEN_PREFIX, TokenRecord)


def parse_nodes(values: Mapping[str, str]) -> dict[str, NodeRecord]:
    """Give all nodes by id. One that is not readable is left out and logged: it must not stop the others."""
    return _parse_all(values, NODE_PREFIX, NodeRecord)


def render_record(record: TokenRecord | NodeRecord) -> dict[str, str | None]:
    """Give what to write to the store."""
    key = token_key(record.id) if isinstance(record, TokenRecord) else node_key(record.id)
    return {key: record.model_dump_json()}


def _parse(values: Mapping[str, str], key: str, kind: type[R]) -> R | None:
    if key not in values:
        return None
    try:
        return kind.model_validate_json(values[key])
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in wrong["loc"])
        what = f"it is damaged or of a newer version ({place}: {wrong['msg']})"
        raise StoreError(str(Problem(key, what, "bring this member to the release of the others"))) from None


def _parse_all(values: Mapping[str, str], prefix: str, kind: type[R]) -> dict[str, R]:
    found = {}
    for key in sorted(values):
        if not key.startswith(prefix):
            continue
        try:
            record = _parse(values, key, kind)
        except StoreError as error:
            LOG.warning("%s", error)
        else:
            if record is not None and key == prefix + record.id:
                found[record.id] = record
    return found
