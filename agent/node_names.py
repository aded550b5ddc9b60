"""How an administrator names a node: by FQDN, host name, or the beginning of its id. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from agent.enroll_policy import NAMELESS
from agent.records import NodeRecord
from hostlib.errors import Problem, UserError

PREFIX: Final = re.compile(r"[0-9a-f]{8,32}")


def find_node(nodes: Mapping[str, NodeRecord], name: str) -> NodeRecord:
    """Give the node that `name` means; one that was rejected or removed only where no other is called so.

    Raises UserError when there is none, or more than one.
    """
    wanted = name.lower()
    named = [node for node in nodes.values() if wanted in {node.facts.fqdn.lower(), node.hostname}]
    if PREFIX.fullmatch(wanted):
        named += [node for node in nodes.values() if node.id.startswith(wanted) and node not in named]
    found = [node for node in named if node.state not in NAMELESS] or named
    if len(found) == 1:
        return found[0]
    if not found:
        todo = "take a name of `slipway node list`, or 8 characters of an id at least"
        raise UserError(Problem("NAME", f"there is no node '{name}'", todo))
    listed = ", ".join(f"{node.id} ({node.facts.fqdn}, {node.state})" for node in found[:8])
    raise UserError(Problem("NAME", f"'{name}' is {len(found)} nodes: {listed}", "give more of the id"))
