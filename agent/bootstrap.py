"""The first node of a cluster: Incus's cluster of one, the CA, and the node's own certificate and record.

Every step looks at what is there already, so that all of it may be cut anywhere and done again.
"""

from __future__ import annotations

import asyncio
from typing import Final

from agent.authority import StoreAuthority
from agent.cluster import bootstrap_cluster
from agent.csr import check_unique
from agent.enroll_policy import NAMELESS, check_request
from agent.node_key import CA, CERTIFICATE, NodeKey, ensure_node_key
from agent.protocol import Refusal
from agent.records import NodeRecord, parse_node, parse_nodes, render_record
from agent.store import Store
from agent.this_node import ThisNode
from hostlib.errors import Problem, StepError
from hostlib.files import read_if_there, write_atomic
from hostlib.paths import STATE

CLUSTER: Final = "slipway"
"""What a cluster is called for which the answer gives no name."""


async def run_bootstrap(this: ThisNode, store: Store, authority: StoreAuthority) -> NodeRecord:
    """Make this node a cluster and give its record. Raises SlipwayError, OSError."""
    await asyncio.to_thread(bootstrap_cluster, this.incus)
    await authority.ensure(this.seed.enrollment.cluster_name or CLUSTER)
    key = ensure_node_key(this.facts, this.path(STATE))
    node = await _ensure_record(this, store, authority, key)
    if node.state not in NAMELESS:
        for path, text in ((CERTIFICATE, node.certificate), (CA, authority.bundle())):
            if read_if_there(this.path(path)) != text.strip():
                write_atomic(this.path(path), text)
    return node


async def _ensure_record(this: ThisNode, store: Store, authority: StoreAuthority, key: NodeKey) -> NodeRecord:
    values, etag = await store.read_all()
    if known := parse_node(values, key.node_id):
        return known
    others = {node.id: node.facts for node in parse_nodes(values).values() if node.state not in NAMELESS}
    checked = check_request(key.csr, this.facts)
    if isinstance(checked, Refusal):
        raise _refused(checked)
    if taken := check_unique(key.node_id, this.facts, others):
        raise _refused(taken)
    now = int(this.now().timestamp())
    node = NodeRecord(
        id=key.node_id,
        facts=this.facts,
        state="serving",
        token="",
        csr=key.csr,
        certificate=authority.sign(checked),
        requested=now,
        changed=now,
    )
    await store.write_all(render_record(node), etag)
    return node


def _refused(refusal: Refusal) -> StepError:
    return StepError(str(Problem("this node", refusal.reason, refusal.todo)))
