"""Root's password and ssh keys. A password never stands in an argument list or a file in plain text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hostlib.files import write_atomic
from hostlib.paths import TARGET
from installer.config import InstallConfig
from installer.steps.base import Context, Preview, Progress

SSHD = "etc/ssh/sshd_config.d/10-slipway.conf"
KEYS = "root/.ssh/authorized_keys"


def render_sshd(*, has_key: bool) -> str:
    """Give sshd's drop-in: root may use a password only where there is no key to come in with."""
    return f"PermitRootLogin {'prohibit-password' if has_key else 'yes'}\n"


@dataclass(frozen=True, slots=True)
class Accounts:
    """Step: root can log in, as the answer says."""

    config: InstallConfig
    name: ClassVar[str] = "accounts"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = True

    def _chpasswd(self) -> tuple[str, ...]:
        # Both ways bypass PAM; yescrypt is what Debian's PAM would use. The hash is made inside chpasswd.
        return (
            ("chpasswd", "--encrypted") if self.config.root_password_hash else ("chpasswd", "-c", "YESCRYPT")
        )

    def describe(self) -> list[Preview]:
        """Give the command without its input, and the files."""
        keys = self.config.root_ssh_keys
        previews = [Preview(command=("chroot", str(TARGET), *self._chpasswd()))]
        if keys:
            previews.append(Preview(path=f"/{KEYS}", content="\n".join(keys) + "\n"))
        return [*previews, Preview(path=f"/{SSHD}", content=render_sshd(has_key=bool(keys)))]

    def run(self, context: Context, progress: Progress) -> None:
        """Set the password and write the files."""
        del progress
        secret = self.config.root_password_hash or self.config.root_password
        if secret is None:
            raise ValueError("the configuration holds no root password")
        value = secret.get_secret_value()
        context.runner.run(
            self._chpasswd(), input_text=f"root:{value}\n", secrets=[value], chroot=context.target
        )
        if self.config.root_ssh_keys:
            write_atomic(context.target / KEYS, "\n".join(self.config.root_ssh_keys) + "\n", 0o600)
            (context.target / "root/.ssh").chmod(0o700)
        write_atomic(context.target / SSHD, render_sshd(has_key=bool(self.config.root_ssh_keys)))
