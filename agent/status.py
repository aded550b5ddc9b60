"""What a person wants to know of a node and its cluster first, in one screen.

Light, as the status screens stay in memory for good: no pydantic, no cryptography.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.health import Health
from hostlib.errors import CommandError
from hostlib.files import read_if_there
from hostlib.paths import FIRSTBOOT_DONE, PRODUCT, RELEASE, STATE
from hostlib.ports import INCUS, WEB_CONSOLE
from hostlib.run import Runner

SCHEMA: Final = 1
ENROLLMENT: Final = STATE / "enrollment.json"
"""`{"schema": 1, "state": …, "reason": …, "id": …, "urls": […]}`"""
NOT_ENROLLED: Final = "not enrolled"
# Written out, because the modules that know them bring large libraries.
SEED: Final = Path("/etc/slipway/seed.json")
CERTIFICATE: Final = Path("/etc/cockpit/ws-certs.d/50-slipway.cert")
SSH_KEY: Final = Path("/etc/ssh/ssh_host_ed25519_key.pub")
TIMEOUT_SECONDS: Final = 20.0
SERVICES: Final = {
    "ssh": "ssh.service",
    "web console": "cockpit.socket",
    "Incus": "incus.service",
    "agent": "slipway-agent.service",
    "firewall": "nftables.service",
    "time": "chrony.service",
    "LLDP": "lldpd.service",
    "SMART": "smartmontools.service",
}
"""What a person calls them -> unit."""
NO_CLUSTER: Final = "part of a cluster"
"""Of what `incus cluster list` says on a server that is in none."""


@dataclass(frozen=True, slots=True)
class Enrollment:
    """Where the node stands, as it keeps it itself."""

    state: str = NOT_ENROLLED
    reason: str = ""
    id: str = ""
    urls: tuple[str, ...] = ()
    """Of the members that it asks."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the cluster as Incus sees it."""

    name: str
    status: str
    """`Online`, `Offline`, `Evacuated`, `Blocked`."""
    url: str
    roles: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the node."""

    interface: str
    address: str
    """With prefix length."""


@dataclass(frozen=True, slots=True)
class Status:
    """A node and its cluster."""

    name: str
    """FQDN."""
    version: str
    first_boot_done: bool
    addresses: tuple[Address, ...]
    """Those of the management bridge first."""
    health: Health
    certificate: str = ""
    """SHA-256 fingerprint of the web console's certificate, `AB:CD:…`; empty without one."""
    ssh_key: str = ""
    """Of the host key, `SHA256:…` as ssh shows it."""
    enrollment: Enrollment = field(default_factory=Enrollment)
    members: tuple[Member, ...] = ()
    """Those that are not online first. Empty: the node is in no cluster, or `cluster_trouble`."""
    cluster_trouble: str = ""
    """Why the members are not known."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Name of SERVICES -> state of its unit."""

    @property
    def urls(self) -> dict[str, str]:
        """What is reached under the node's first address."""
        if not self.addresses:
            return {}
        plain = self.addresses[0].address.split("/")[0]
        host = f"[{plain}]" if ":" in plain else plain
        return {"web_console": f"https://{host}:{WEB_CONSOLE}/", "incus": f"https://{host}:{INCUS}/"}


def parse_addresses(text: str, bridge: str) -> tuple[Address, ...]:
    """Read `ip -json address show scope global`. Raises ValueError, KeyError."""
    found = [
        Address(link["ifname"], f"{row['local']}/{row['prefixlen']}")
        for link in json.loads(text or "[]")
        for row in link.get("addr_info", ())
    ]
    return tuple(sorted(found, key=lambda address: address.interface != bridge))


def parse_members(text: str) -> tuple[Member, ...]:
    """Read `incus cluster list --format json`. Raises ValueError, KeyError."""
    members = [
        Member(row["server_name"], row["status"], row["url"], tuple(row["roles"] or ()), row["message"])
        for row in json.loads(text or "[]")
    ]
    return tuple(sorted(members, key=lambda member: (member.status == "Online", member.name)))


def parse_enrollment(text: str) -> Enrollment:
    """Read the node's own record. Raises ValueError, KeyError."""
    record = json.loads(text)
    return Enrollment(record["state"], record["reason"], record["id"], tuple(record.get("urls", ())))


def parse_services(text: str) -> dict[str, str]:
    """Read `systemctl is-active` for SERVICES: a line each. Raises ValueError."""
    return dict(zip(SERVICES, text.split(), strict=True))


def certificate_fingerprint(pem: str) -> str:
    """Give the SHA-256 of the first certificate as browsers show it; empty when there is none."""
    body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
    return _digest("".join(body.split())).hex(":").upper()


def ssh_fingerprint(public_key: str) -> str:
    """Give the fingerprint of a line of a .pub file as ssh shows it; empty when it is none."""
    digest = _digest(public_key.split()[1] if len(public_key.split()) > 1 else "")
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}" if digest else ""


def _digest(encoded: str) -> bytes:
    try:
        return hashlib.sha256(base64.b64decode(encoded, validate=True)).digest() if encoded else b""
    except binascii.Error:
        return b""


def render_status_json(status: Status) -> str:
    """Give the JSON text: ASCII."""
    health = {**asdict(status.health), "state": status.health.state}
    content = {"schema": SCHEMA, **asdict(status), "urls": status.urls, "health": health}
    return json.dumps(content, indent=2) + "\n"


def read_status(runner: Runner, read_health: Callable[[], Health], root: Path = Path("/")) -> Status:
    """Gather all of it from the system at `root`. Never raises for what cannot be read; that is left out or said."""

    def path(absolute: Path) -> Path:
        return root / absolute.relative_to("/")

    seed, release = _read_object(path(SEED)), _read_object(path(RELEASE))
    bridge = str(seed.get("bridge", ""))
    done, services = path(FIRSTBOOT_DONE).exists(), _read_services(runner)
    members, trouble = _read_members(runner, services.get("Incus", "unknown"), first_boot_done=done)
    return Status(
        name=str(seed.get("fqdn") or os.uname().nodename),
        version=f"{release.get('product', PRODUCT)} {release.get('version', 'unreleased')}",
        first_boot_done=done,
        addresses=_read_addresses(runner, bridge) or _seed_addresses(seed, bridge),
        health=read_health(),
        certificate=certificate_fingerprint(read_if_there(path(CERTIFICATE)) or ""),
        ssh_key=ssh_fingerprint(read_if_there(path(SSH_KEY)) or ""),
        enrollment=read_enrollment(path(ENROLLMENT)),
        members=members,
        cluster_trouble=trouble,
        services=services,
    )


def read_enrollment(path: Path = ENROLLMENT) -> Enrollment:
    """Give where the node stands; a file that is missing is `not enrolled`, a damaged one says so."""
    text = read_if_there(path)
    if text is None:
        return Enrollment()
    try:
        return parse_enrollment(text)
    except (ValueError, KeyError, TypeError):
        return Enrollment("unknown", f"{path} is damaged; look: journalctl -u slipway-agent")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_if_there(path) or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _seed_addresses(seed: Mapping[str, Any], bridge: str) -> tuple[Address, ...]:
    return (Address(bridge, str(seed["address"])),) if "address" in seed else ()


def _read_addresses(runner: Runner, bridge: str) -> tuple[Address, ...]:
    argv = ["ip", "-json", "address", "show", "scope", "global"]
    try:
        return parse_addresses(runner.run(argv, timeout_seconds=TIMEOUT_SECONDS).stdout, bridge)
    except (CommandError, ValueError, KeyError):
        return ()


def _read_members(runner: Runner, incus: str, *, first_boot_done: bool) -> tuple[tuple[Member, ...], str]:
    # Asking would start a daemon that is stopped; first boot must be the first to start it.
    if not first_boot_done or incus != "active":
        return (), "known after first boot" if not first_boot_done else f"not known: Incus is {incus}"
    argv = ["incus", "cluster", "list", "--format", "json"]
    try:
        return parse_members(runner.run(argv, timeout_seconds=TIMEOUT_SECONDS).stdout), ""
    except CommandError as error:
        if NO_CLUSTER in error.output:
            return (), ""
        return (), f"Incus does not say: {error.output.splitlines()[-1] if error.output else error.reason}"
    except (ValueError, KeyError, TypeError) as error:
        return (), f"Incus says what is not understood: {error}"


def _read_services(runner: Runner) -> dict[str, str]:
    argv = ["systemctl", "is-active", *SERVICES.values()]
    try:
        # Its exit status tells whether all of them are active.
        return parse_services(runner.run(argv, ok=range(256), timeout_seconds=TIMEOUT_SECONDS).stdout)
    except (CommandError, ValueError):
        return {}
