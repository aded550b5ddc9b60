"""Collects what the webhook will post, while the new root is still mounted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from hostlib.files import read_if_there, write_atomic
from hostlib.http import redact_url
from hostlib.paths import LOGS, RELEASE, SSH_HOST_KEYS
from hostlib.release import read_release
from hostlib.sizes import KIB
from hostlib.tls import CERTIFICATE, fingerprint
from installer.config import InstallConfig
from installer.discovery.identity import read_dmi_groups
from installer.steps.base import Context, Preview, Progress
from installer.webhook import RECORD, Facts, parse_cpu, parse_kernel, plan_webhook, render_webhook

LOG = logging.getLogger("slipway.webhook")
HEAD_BYTES: Final = 128 * KIB


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """Step: the data of the webhook is known, and a copy without the token is on the node."""

    config: InstallConfig
    name: ClassVar[str] = "webhook data"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = True

    def describe(self) -> list[Preview]:
        """Give the file; its content is collected from the machine."""
        url = redact_url(self.config.webhook.url) if self.config.webhook else ""
        text = f"<what is posted to {url} after the installation, without the token>"
        return [Preview(path=f"{LOGS / RECORD.name}", content=text)]

    def run(self, context: Context, progress: Progress) -> None:
        """Collect and write. What cannot be read is empty, and no reason to fail."""
        del progress
        if context.inventory is None:
            raise ValueError("the context holds no inventory")
        release = read_release(context.target / RELEASE.relative_to("/"))
        data = plan_webhook(self.config, context.inventory, read_facts(context), release)
        write_atomic(RECORD, render_webhook(data), 0o600)
        write_atomic(context.target / LOGS.relative_to("/") / RECORD.name, render_webhook(data), 0o600)


def read_facts(context: Context) -> Facts:
    """Read what the machine and the new root tell."""
    return Facts(
        debian_version=read_if_there(context.target / "etc/debian_version") or "",
        kernel=parse_kernel(_read_kernel(context.target / "boot")),
        cpu=parse_cpu(read_if_there(context.proc / "cpuinfo") or ""),
        dmi=read_dmi_groups(context.sysfs / "class/dmi/id"),
        ssh_keys=_read_ssh_keys(context.target),
        fingerprint=_read_fingerprint(context.target),
    )


def _read_ssh_keys(root: Path) -> dict[str, str]:
    found = {kind: read_if_there(root / f"{key}.pub".lstrip("/")) for kind, key in SSH_HOST_KEYS.items()}
    return {kind: text for kind, text in found.items() if text}


def _read_fingerprint(root: Path) -> str:
    try:
        return fingerprint((root / CERTIFICATE.relative_to("/")).read_bytes())
    except (OSError, ValueError) as error:
        LOG.warning("the certificate of the new root cannot be read: %s", error)
        return ""


def _read_kernel(boot: Path) -> bytes:
    try:
        # The name sorts by version here: the image has one kernel.
        with max(boot.glob("vmlinuz-*")).open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except (OSError, ValueError) as error:
        LOG.warning("the kernel of the new root cannot be read: %s", error)
        return b""
