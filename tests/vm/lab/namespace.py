"""A network of its own for machines that need a real DHCP server: a namespace with a bridge, and no way out.

The namespace has no name on the host. It lives as long as the process that holds it and those that run in it, and all
of them die with the test process: nothing is ever left over.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from tests.vm.lab.errors import LabError
from tests.vm.lab.programs import run_program

BRIDGE: Final = "eth1"
ADDRESS: Final = "192.0.2.1"
"""Of the servers. Name and network are those of the example dnsmasq.conf of the netboot bundle."""
_DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL", "--")
_START_SECONDS: Final = 10.0
_LISTEN: Final = """\
import socket, sys
with socket.socket(fileno=int(sys.argv[1])) as lab, socket.create_server((sys.argv[2], int(sys.argv[3]))) as server:
    socket.send_fds(lab, [b"."], [server.fileno()])
"""


def _unshare() -> list[str]:
    """Give the command that runs another one in a new network; a user who is not root becomes root of it alone."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--net"]


def missing() -> str:
    """Say what stands in the way of such a network on this host; empty when nothing does."""
    lacking = [name for name in ("dnsmasq", "ip") if shutil.which(name, path=_PATH) is None]
    if lacking:
        return f"{' and '.join(lacking)} not installed; `make deps` installs what the VM lab needs"
    try:
        run_program([*_unshare(), "test", "-w", "/dev/net/tun"], timeout_seconds=10)
    except LabError as error:
        return f"no network namespace with /dev/net/tun here (run as root, or allow user namespaces): {error}"
    return ""


_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""A user's PATH may lack the folders of the system's programs."""


def find_program(name: str) -> str:
    """Give the path of a system program. Raises LabError."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise LabError(f"{name}: not installed; `make deps` installs what the VM lab needs")
    return found


class Namespace:
    """One network, as a context manager. `enter` is the beginning of a command that runs in it."""

    enter: tuple[str, ...]

    def __init__(self, folder: Path, taps: Iterable[str]) -> None:
        """Prepare a network.

        Args:
            folder: where its servers' messages are kept.
            taps: names of the network cards' other ends; a machine uses one by `Nic.tap`.
        """
        self._folder = folder
        self._taps = tuple(taps)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Make the network. Raises LabError."""
        with contextlib.ExitStack() as stack:
            holder = self._start(stack, [*_unshare(), "sleep", "infinity"], "holder.log")
            _wait_unshared(holder)
            user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
            self.enter = ("nsenter", f"--target={holder.pid}", "--net", *user, "--")
            commands = plan_links(self._taps).encode()
            run_program([*self.enter, find_program("ip"), "-batch", "-"], stdin=commands, timeout_seconds=30)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all that runs in it."""
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack, command: list[str], log: str) -> subprocess.Popen[bytes]:
        messages = stack.enter_context((self._folder / log).open("wb"))
        process = subprocess.Popen(
            [*_DIES_WITH_US, *command],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stack.callback(process.wait, 10)
        stack.callback(process.kill)
        return process

    def start_dnsmasq(self, config: str) -> None:
        """Start DHCP, TFTP and DNS with a configuration file's text.

        Raises:
            LabError: dnsmasq refused it; the text holds its message.
        """
        path = self._folder / "dnsmasq.conf"
        path.write_text(config, encoding="utf-8")
        # `--no-daemon` keeps it root of this network, whoever that is on the host: it reads the test's own files.
        options = ["--no-daemon", f"--conf-file={path}", "--log-facility=-", "--log-dhcp", "--leasefile-ro"]
        options += ["--no-hosts", "--no-resolv"]
        command = [*self.enter, *_DIES_WITH_US, find_program("dnsmasq"), *options]
        process = self._start(self._stack, command, "dnsmasq.log")
        log = self._folder / "dnsmasq.log"
        deadline = time.monotonic() + _START_SECONDS
        while b"DHCP, IP range" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"dnsmasq did not start:\n{log.read_text(encoding='utf-8', errors='replace')}")
            time.sleep(0.02)

    def listen(self, port: int) -> socket.socket:
        """Give a socket of this process that listens in the network, on the servers' address. Raises LabError."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            arguments = [str(theirs.fileno()), ADDRESS, str(port)]
            done = subprocess.run(
                [*self.enter, sys.executable, "-c", _LISTEN, *arguments],
                pass_fds=[theirs.fileno()],
                capture_output=True,
                check=False,
                timeout=30,
            )
            if done.returncode != 0:
                raise LabError(
                    f"nobody can listen on {ADDRESS}:{port}:\n{done.stderr.decode(errors='replace')}"
                )
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        return socket.socket(fileno=descriptors[0])


def _wait_unshared(holder: subprocess.Popen[bytes]) -> None:
    """Wait until the process is in a network of its own. Raises LabError."""
    own = Path("/proc/self/ns/net").readlink()
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and holder.poll() is None:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{holder.pid}/ns/net").readlink() != own:
                return
        time.sleep(0.01)
    raise LabError(f"no network namespace: unshare ended with status {holder.poll()}")


def plan_links(taps: Iterable[str]) -> str:
    """Give the commands for `ip -batch` that make the bridge with the servers' address, and the taps on it."""
    lines = ["link set lo up", f"link add {BRIDGE} type bridge", f"address add {ADDRESS}/24 dev {BRIDGE}"]
    for tap in taps:
        lines += [f"tuntap add {tap} mode tap", f"link set {tap} master {BRIDGE} up"]
    return "\n".join([*lines, f"link set {BRIDGE} up"]) + "\n"
