"""NodeSeed: what the installer tells the node about itself. The only thing both sides share."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import ConfigDict, Field, SecretStr, SerializationInfo, ValidationError, field_serializer

from hostlib.errors import Problem, UserError
from hostlib.files import write_atomic
from hostlib.record import Dmi, Record

SCHEMA: Final = 1
SEED_PATH: Final = Path("etc/slipway/seed.json")
"""Relative to the root of the node."""
REVEAL: Final = "reveal"
"""Context of pydantic in which the token is written as it is."""
Mode = Literal["bootstrap", "join", "none"]


class SeedEnrollment(Record):
    """How the node comes to be in a cluster."""

    mode: Mode = "none"
    """`bootstrap`: it is the first of a new one; `join`: a member takes it in; `none`: it stays alone."""
    cluster_name: str = ""
    """Of the new cluster."""
    urls: tuple[str, ...] = ()
    """Of members, `https://host:port`."""
    fingerprint: str = ""
    """SHA-256 of the cluster's CA certificate, 64 hex digits in lower case."""
    token: SecretStr | None = None
    """Until it has been used, see `drop_token`. Only `write_seed` writes it; all else shows asterisks."""

    @field_serializer("token", when_used="json-unless-none")
    def _token(self, token: SecretStr, info: SerializationInfo) -> str:
        return token.get_secret_value() if info.context == REVEAL else str(token)


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
    machine: Dmi = Field(default_factory=Dmi)
    """That the disk belongs to: the one that it was installed in, until first boot finds it in another."""
    enrollment: SeedEnrollment = Field(default_factory=SeedEnrollment)
    """In a seed of a version that knew no clusters: `none`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def read_seed(root: Path = Path("/")) -> NodeSeed:
    """Read the seed of the system at `root`. Raises OSError, pydantic.ValidationError."""
    return NodeSeed.model_validate_json((root / SEED_PATH).read_text(encoding="utf-8"))


def require_seed(root: Path = Path("/")) -> NodeSeed:
    """Read the seed of the system at `root`. Raises UserError with what to do, which repeats no value of it."""
    where = f"/{SEED_PATH}"
    todo = "put back the copy of a backup, or install this node again"
    try:
        return read_seed(root)
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise UserError(Problem(where, what, todo)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(Problem(where, f"cannot be read: {error}", todo)) from error


def write_seed(seed: NodeSeed, root: Path = Path("/")) -> None:
    """Write the seed of the system at `root`, readable by root only. Raises OSError."""
    text = seed.model_dump_json(by_alias=True, indent=2, context=REVEAL)
    write_atomic(root / SEED_PATH, text + "\n", 0o600)


def drop_token(seed: NodeSeed) -> NodeSeed:
    """Give the seed without the token, to be written once the token has been used. Pure."""
    enrollment = seed.enrollment.model_copy(update={"token": None})
    return seed.model_copy(update={"enrollment": enrollment})
