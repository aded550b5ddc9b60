"""Paths that more than one package relies on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PRODUCT: Final = "Slipway"
LIBRARY: Final = Path("/usr/lib/slipway")
RELEASE: Final = LIBRARY / "release.json"

RUN: Final = Path("/run/slipway")
"""State of the live system: log, events, the lock that keeps two installations apart."""
INSTALL_LOG: Final = RUN / "install.log"
EVENTS: Final = RUN / "events.jsonl"
TUI_SOCKET: Final = RUN / "tui.socket"
"""Where terminals join the installer of the live system."""
TARGET: Final = RUN / "target"
"""Where the installer mounts the new root."""

MEDIUM: Final = Path("/run/live/medium")
"""Where live-boot mounts the medium."""
IMAGES: Final = MEDIUM / "live"
"""Root images: `filesystem.squashfs`, then `slipway.squashfs` over it; `SHA256SUMS` beside them."""

STATE: Final = Path("/var/lib/slipway")
LOGS: Final = Path("/var/log/slipway")
SSH_HOST_KEYS: Final = {kind: Path(f"/etc/ssh/ssh_host_{kind}_key") for kind in ("rsa", "ecdsa", "ed25519")}
"""Kind -> private key; the kinds that `ssh-keygen -A` of OpenSSH 10 makes. The public key has `.pub` added."""
FIRSTBOOT_EVENTS: Final = STATE / "firstboot-events.jsonl"
FIRSTBOOT_STATE: Final = STATE / "firstboot.json"
FIRSTBOOT_DONE: Final = STATE / "firstboot-done"
"""Marker: first boot is finished, nothing is left to do. Its unit starts only while it is absent."""
FINDINGS: Final = STATE / "findings.json"
"""What the latest check of a node's hardware found: `hostlib.check_report.SavedReport`."""
