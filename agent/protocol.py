"""What node and cluster member say to each other on port 8007: frozen types with their JSON form (version 1).

    node                                          member
     POST /v1/enroll            EnrollRequest ──► EnrollReply      TLS pinned by fingerprint, no client certificate
     GET  /v1/enroll/<id>                     ──► EnrollReply      the certificate in it is public
     POST /v1/nodes/<id>/join                 ──► JoinReply        mTLS with that certificate: it holds a secret
     POST /v1/nodes/<id>/joined               ──► EnrollReply      mTLS
     PUT  /v1/nodes/<id>/heartbeat  Heartbeat ──► HeartbeatReply   mTLS
     POST /v1/nodes/<id>/renew   RenewRequest ──► RenewReply       mTLS
     GET  /v1/ca                              ──► CaReply          public
     GET  /v1/ca/key                          ──► CaKeyReply       mTLS, members of the cluster alone
     GET  /v1/status                          ──► what this member knows, mTLS

Every refusal is a Refusal with an HTTP status of 4xx; 5xx means: try again later. One request a connection. A client
whose address sends too much is refused with 429, then its connections are closed before TLS.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from hostlib.record import Record

VERSION: Final = 1
LIMIT_BYTES: Final = 65536
"""Of a body, in both directions."""
ID_PATTERN: Final = r"[0-9a-f]{32}"
"""A node's id: the first half of the SHA-256 of its public key (DER, SubjectPublicKeyInfo). It needs no proof but the key."""

NodeState = Literal["requested", "approved", "joined", "serving", "rejected", "removed"]
"""What a member knows a node as. A node itself begins as `new`."""
Code = Literal[
    "malformed",
    "too-large",
    "rate-limited",
    "token-unknown",
    "token-expired",
    "token-used-up",
    "token-revoked",
    "facts-not-allowed",
    "csr-invalid",
    "csr-name",
    "name-taken",
    "rejected",
    "removed",
    "not-approved",
    "not-this-node",
    "not-a-member",
    "node-unknown",
    "unavailable",
]
"""`unavailable` comes with 5xx alone."""
CA_HEADER: Final = "Slipway-CA"
"""Of a heartbeat: the SHA-256 of the PEM text of the CA certificates that the node has, in lower-case hex digits."""


class Facts(Record):
    """What a node says of itself; the policy of a token may compare it."""

    fqdn: str = Field(max_length=253)
    address: str = Field(max_length=64)
    """Management address without prefix length."""
    serial: str = Field(default="", max_length=256)
    """Of the machine, by SMBIOS."""
    uuid: str = Field(default="", max_length=64)
    macs: tuple[str, ...] = Field(default=(), max_length=256)
    """Lower case, with colons."""
    version: str = Field(default="", max_length=64)


class EnrollRequest(Record):
    """A node asks to be enrolled. Sent again it changes nothing: the CSR's key names the node."""

    version: Literal[1] = VERSION
    token: str = Field(max_length=256)
    csr: str = Field(max_length=8192)
    """PEM; its names are the FQDN, the hostname and the address of `facts`."""
    facts: Facts


class EnrollReply(Record):
    """Where a node stands."""

    version: Literal[1] = VERSION
    id: str
    state: NodeState
    reason: str = ""
    """For a person: what it waits for, or why not."""
    certificate: str = ""
    """PEM, once approved."""
    ca: str = ""
    """PEM of all valid CA certificates, once approved."""


class JoinReply(Record):
    """What Incus needs to join: made for this node, used once."""

    version: Literal[1] = VERSION
    server_name: str
    cluster_address: str
    """host:port of the member that takes the node in."""
    cluster_certificate: str
    """PEM."""
    cluster_token: str


class Heartbeat(Record):
    """How a node is, every 30 s."""

    version: Literal[1] = VERSION
    fqdn: str = Field(max_length=253)
    release: str = Field(default="", max_length=64)
    state: Literal["ok", "warning", "critical"]
    findings: tuple[str, ...] = Field(default=(), max_length=64)
    """A line each, the worst first."""
    thin_pool_percent: float | None = None
    certificate_expires: int | None = Field(default=None, ge=0, lt=2**37)
    """Seconds since 1970, before the year 6000: no calendar goes on for ever."""


class HeartbeatReply(Record):
    """What the member has to tell a node."""

    version: Literal[1] = VERSION
    time: int
    """The member's clock, seconds since 1970."""
    ca: str = ""
    """PEM of the valid CA certificates where the node's are out of date; else empty. The heartbeat names its own by header."""
    urls: tuple[str, ...] = ()
    """Of all members, for the next heartbeat."""


class RenewRequest(Record):
    """A node asks for the next certificate; the CSR has the same key and names."""

    version: Literal[1] = VERSION
    csr: str = Field(max_length=8192)


class RenewReply(Record):
    """The next certificate."""

    version: Literal[1] = VERSION
    certificate: str
    ca: str


class CaReply(Record):
    """The CA certificates that are valid now; the first signs."""

    version: Literal[1] = VERSION
    ca: str
    fingerprint: str
    """SHA-256 of the one that signs, `AB:CD:…`."""


class CaKeyReply(Record):
    """The CA's key, for a new member."""

    version: Literal[1] = VERSION
    ca: str
    key: str


class Refusal(Record):
    """Why not, and what to do."""

    version: Literal[1] = VERSION
    code: Code
    reason: str
    todo: str = ""
    retry_seconds: int | None = None
    """When to ask again; None: asking again changes nothing."""
