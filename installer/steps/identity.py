"""Makes what the node proves itself with, so that a person knows it before the node is first spoken to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from hostlib.paths import SSH_HOST_KEYS, TARGET
from hostlib.tls import CERTIFICATE, KEY, fingerprint, make_node_pair, write_pair
from installer.config import InstallConfig
from installer.steps.base import Context, Preview, Progress


@dataclass(frozen=True, slots=True)
class Identity:
    """Step: the node has its ssh host keys and the certificate of its web console.

    The private keys are made for the files of the new root and are nowhere else. First boot keeps what is fit.
    """

    config: InstallConfig
    name: ClassVar[str] = "identity"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = True

    def commands(self) -> list[tuple[str, ...]]:
        """Give one command a key, for `ssh-keygen -A` would write the live system's name into all of them."""
        options = ("-N", "", "-C", f"root@{self.config.hostname}")
        return [
            ("ssh-keygen", "-q", "-t", kind, *options, "-f", str(key)) for kind, key in SSH_HOST_KEYS.items()
        ]

    def describe(self) -> list[Preview]:
        """Give the commands and the files, whose content is made anew by each installation."""
        return [
            *(Preview(command=("chroot", str(TARGET), *command)) for command in self.commands()),
            Preview(path=str(KEY), content="<private key>"),
            Preview(path=str(CERTIFICATE), content="<certificate>"),
        ]

    def run(self, context: Context, progress: Progress) -> None:
        """Make the keys and the certificate; tell its fingerprint."""
        for command in self.commands():
            context.runner.run(command, chroot=context.target)
        progress(0.8)
        pair = make_node_pair(self.config.fqdn, self.config.network.address, datetime.now(UTC))
        write_pair(pair, context.target)
        context.tell_fingerprint(fingerprint(pair.certificate_pem))
