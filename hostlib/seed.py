"""NodeSeed: what the installer tells the node about itself. The only thing both sides share."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import ConfigDict, Field

from hostlib.files import write_atomic
from hostlib.inventory import Record

SCHEMA: Final = 1
SEED_PATH: Final = Path("etc/slipway/seed.json")
"""Relative to the root of the node."""


class NodeSeed(Record):
    """Facts of the installation that first boot and the agent need. No secret stays in it after use."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    install_id: str
    """UUID of the installation; the same in its log."""
    installed_at: str
    """UTC, ISO 8601."""
    version: str
    fqdn: str
    address: str
    """Management address with prefix length."""
    bridge: str = "vmbr0"
    management: tuple[str, ...] = ()
    """Networks from which the node's ports can be reached; none: from everywhere."""
    vg: str = "pve"
    thin_pool: str | None = "data"
    """None when the disk was too small for one."""
    mailto: str = ""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def read_seed(root: Path = Path("/")) -> NodeSeed:
    """Read the seed of the system at `root`. Raises OSError, pydantic.ValidationError."""
    return NodeSeed.model_validate_json((root / SEED_PATH).read_text(encoding="utf-8"))


def write_seed(seed: NodeSeed, root: Path = Path("/")) -> None:
    """Write the seed of the system at `root`, readable by root only. Raises OSError."""
    write_atomic(root / SEED_PATH, seed.model_dump_json(by_alias=True, indent=2) + "\n", 0o600)
