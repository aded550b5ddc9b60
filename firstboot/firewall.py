"""Firewall of the node: the image's rules let everybody in to the node's ports; here the seed's take their place."""

from __future__ import annotations

from firstboot.context import Context
from hostlib.files import read_if_there, write_atomic
from hostlib.firewall import RULES, render_firewall


def _render(context: Context) -> str:
    return render_firewall(context.seed.management, context.seed.bridge)


def lacks_firewall(context: Context) -> bool:
    """Tell whether the rules on disk are not this node's."""
    return read_if_there(context.path(RULES)) != _render(context).strip()


def ensure_firewall(context: Context) -> None:
    """Put this node's rules into effect and on disk. Raises CommandError, OSError."""
    rules = _render(context)
    # In this order: what cannot be loaded is not left for the next boot, and is tried again.
    context.runner.run(["nft", "-f", "-"], input_text=rules, timeout_seconds=60)
    write_atomic(context.path(RULES), rules, 0o755)
