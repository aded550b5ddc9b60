"""SSH to the live system, on `slipway.ssh=on`: a password for this start of the machine alone, shown on its consoles.

Nothing of it reaches the node. Key and configuration lie in /run; root's password is set in the live system's
overlay, and a node is copied from the read-only images below that.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from hostlib.errors import Problem, SlipwayError, UserError
from hostlib.files import write_atomic
from hostlib.inventory import Nic
from hostlib.paths import RUN
from hostlib.run import Runner

LOG = logging.getLogger("slipway.ssh")
LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""32 that nobody takes for another one: 5 bits each."""
GROUPS, GROUP_LETTERS = 3, 4
UNIT: Final = "slipway-ssh.service"
START_SECONDS: Final = 60


def parse_ssh(parameters: Mapping[str, str]) -> bool:
    """Tell whether the `slipway.` parameters of the kernel command line ask for ssh. Raises UserError."""
    value = parameters.get("ssh", "off")
    if value not in {"on", "off"}:
        raise UserError(Problem("slipway.ssh", f"{value!r} is unknown", "use on or off"))
    return value == "on"


def make_password() -> str:
    """Give a new password of 60 random bits, such as `K7QM-2XWD-9HVA`."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS))
    return "-".join(groups)


def render_config(folder: Path) -> str:
    """Give sshd_config(5): root alone, by the password, with one host key so that there is one fingerprint."""
    lines = {
        "HostKey": folder / "host_key",
        "AllowUsers": "root",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "yes",
        "PubkeyAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UsePAM": "yes",
        "PrintMotd": "no",
        # A terminal whose network has gone leaves the screens after two minutes.
        "ClientAliveInterval": 30,
        "ClientAliveCountMax": 4,
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def addresses_of(nics: Iterable[Nic]) -> list[str]:
    """Give the global addresses of all interfaces, those of IPv4 first."""
    found = [ipaddress.ip_interface(address).ip for nic in nics for address in nic.addresses]
    return [str(address) for address in sorted(dict.fromkeys(found), key=lambda address: address.version)]


class LiveSsh:
    """The live system's ssh. Starting it takes its time and stops nothing: a failure is told where it would be."""

    def __init__(self, runner: Runner, folder: Path = RUN / "ssh") -> None:
        """Take the door for subprocesses, and where key and configuration go."""
        self._runner = runner
        self._folder = folder
        self._password = make_password()
        self._fingerprint = ""
        self._trouble = ""
        self._thread = threading.Thread(target=self.start, daemon=True)

    @property
    def secrets(self) -> set[str]:
        """What must be in no log or report."""
        return {self._password}

    def begin(self) -> None:
        """Start it beside everything else."""
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until it is clear whether it runs, at most so long."""
        self._thread.join(seconds)

    def start(self) -> None:
        """Start it. What goes wrong is in `rows` and in the log."""
        try:
            self._start()
        except (SlipwayError, OSError) as error:
            LOG.warning("ssh cannot be started: %s", error)
            self._trouble = f"cannot be started: {str(error).splitlines()[0]}"

    def _start(self) -> None:
        key = self._folder / "host_key"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # ssh-keygen would ask before it writes over a key.
        key.unlink(missing_ok=True)
        self._runner.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)])
        told = self._runner.run(["ssh-keygen", "-l", "-E", "sha256", "-f", f"{key}.pub"]).stdout.split()
        write_atomic(self._folder / "sshd_config", render_config(self._folder), 0o600)
        # By its standard input: no list of processes shows it.
        self._runner.run(
            ["chpasswd", "-c", "YESCRYPT"],
            input_text=f"root:{self._password}\n",
            secrets=[self._password],
        )
        self._runner.run(["systemctl", "restart", UNIT], timeout_seconds=START_SECONDS)
        self._fingerprint = next((word for word in told if word.startswith("SHA256:")), "not known")

    def rows(self, addresses: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Give how to log in, as rows of name and value, at these addresses."""
        if self._trouble:
            return (("SSH", self._trouble),)
        if not self._fingerprint:
            return (("SSH", "is being started ..."),)
        if not addresses:
            return (("SSH", f"user root, password {self._password}; this machine has no address yet"),
                    ("", f"host key {self._fingerprint}"))  # fmt: skip
        first, *others = addresses
        also = (("", f"or at {', '.join(others)}"),) if others else ()
        return (
            ("SSH", f"ssh root@{first}, password {self._password}"),
            *also,
            ("", f"host key {self._fingerprint}"),
        )

    def render(self, nics: Iterable[Nic]) -> str:
        """Give the same as text for a console."""
        rows = self.rows(addresses_of(nics))
        return "\n" + "".join(f"{f'{name}:' if name else '':<5}{value}\n" for name, value in rows) + "\n"
