r"""Text above the login prompt of every console: what this node is, and where its web console is.

agetty prints /etc/issue and then /etc/issue.d/*.issue. It replaces `\4{vmbr0}` by the bridge's IPv4 address and
prints everything anew when an address of the machine changes (agetty(8), util-linux 2.41), so nothing of ours has
to watch the network. /etc/issue itself stays Debian's: its line names the release, the node and the terminal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from typing import Final

from hostlib.files import read_if_there, write_atomic
from hostlib.ports import WEB_CONSOLE
from hostlib.run import Runner

ISSUE: Final = Path("/etc/issue.d/50-slipway.issue")
WIDTH: Final = 78
"""Of a text console, with room to spare."""


@dataclass(frozen=True, slots=True)
class Banner:
    """What the console says of a node."""

    product: str
    version: str
    fqdn: str
    bridge: str
    address: str
    """Management address with prefix length; only its family counts, agetty fills in the rest."""
    fingerprint: str = ""
    """SHA-256 of the web console's certificate; empty while there is none."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """First-boot task that failed -> why."""


def render_banner(banner: Banner) -> str:
    """Give the text of the issue file, with agetty's escapes in it."""
    family = ip_interface(banner.address).version
    address = rf"\4{{{banner.bridge}}}" if family == 4 else rf"[\6{{{banner.bridge}}}]"
    lines = [
        f"{_plain(banner.product)} {_plain(banner.version)} on {_plain(banner.fqdn)}",
        "",
        f"  Web console  https://{address}:{WEB_CONSOLE}/",
    ]
    lines += render_certificate(banner.fingerprint)
    if banner.failures:
        lines += ["", "  FIRST BOOT IS NOT FINISHED. What failed:"]
        for task, reason in banner.failures.items():
            text = f"{task}: {' '.join(reason.split())}"
            # A screen has 25 lines; the whole text is in the journal.
            lines += textwrap.wrap(
                _plain(text),
                WIDTH,
                initial_indent="    ",
                subsequent_indent="      ",
                max_lines=5,
                placeholder=" ...",
            )
        lines += [
            "  Look:   journalctl -u slipway-firstboot",
            "  Again:  systemctl restart slipway-firstboot",
        ]
    return "\n".join([*lines, "", ""])


def render_certificate(fingerprint: str) -> list[str]:
    """Give the two lines that show a SHA-256 fingerprint: its 32 bytes do not fit a line of 80. None for none."""
    half = len(fingerprint) // 2 + 1
    first, second = fingerprint[:half], fingerprint[half:]
    return [f"  Certificate  SHA-256 {first}", f"  {'':21}{second}"] if fingerprint else []


def lacks_banner(banner: Banner, root: Path = Path("/")) -> bool:
    """Tell whether the issue file of the system at `root` says something else than `banner`."""
    return read_if_there(_issue(root)) != render_banner(banner).strip()


def apply_banner(banner: Banner, runner: Runner, root: Path = Path("/")) -> None:
    """Write the issue file and have every waiting agetty print it. Raises OSError, CommandError."""
    write_atomic(_issue(root), render_banner(banner))
    runner.run(["agetty", "--reload"], timeout_seconds=30)


def _issue(root: Path) -> Path:
    return root / ISSUE.relative_to("/")


def _plain(text: str) -> str:
    """Keep what a console can show: no control character, and no escape that agetty would act on."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("\\", "\\\\")
