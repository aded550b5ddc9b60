"""Gathers what the consoles say of a node. Apart from `hostlib.banner`, which needs no large library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hostlib.banner import Banner
from hostlib.paths import RELEASE
from hostlib.release import read_release
from hostlib.seed import NodeSeed
from hostlib.tls import CERTIFICATE, fingerprint


def read_banner(seed: NodeSeed, failures: Mapping[str, str], root: Path = Path("/")) -> Banner:
    """Gather it for the system at `root`; `failures` are those of first boot. Raises UserError, OSError, ValueError."""
    release = read_release(root / RELEASE.relative_to("/"))
    certificate = root / CERTIFICATE.relative_to("/")
    return Banner(
        product=release.product,
        version=release.version,
        fqdn=seed.fqdn,
        bridge=seed.bridge,
        address=seed.address,
        fingerprint=fingerprint(certificate.read_bytes()) if certificate.exists() else "",
        failures=failures,
    )
