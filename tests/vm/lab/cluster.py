"""Nodes of a cluster: copies of one installed disk on one virtual LAN, each with a name and an address of its own."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hostlib.ports import ENROLLMENT
from tests.vm.lab.bench import KeyPair, Shared
from tests.vm.lab.errors import LabError
from tests.vm.lab.guest import build_archive
from tests.vm.lab.installs import Install, node_spec
from tests.vm.lab.media import make_overlay
from tests.vm.lab.namespace import ADDRESS, Namespace
from tests.vm.lab.programs import run_program
from tests.vm.lab.spec import GuestProgram, MachineSpec, Nic

FLOOD: Final = Path(__file__).with_name("flood.py")
_ARCHIVE: Final = "/run/slipway-lab.pyz"
_SSH: Final = {
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "BatchMode": "yes",
    "ConnectTimeout": "60",
    # One a second: a node that has just been switched on cannot be reached at all.
    "ConnectionAttempts": "180",
    "ServerAliveInterval": "30",
    "LogLevel": "ERROR",
    # One login for many commands: keys, PAM and a session of its own for each keep an emulated node busy for seconds.
    "ControlMaster": "auto",
    "ControlPersist": "60",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One of the nodes.

    Attributes:
        number: from 1; name, address, MAC address and machine follow from it.
        enrollment: that its answer would have asked for, as in the seed.
    """

    number: int
    enrollment: Mapping[str, object] = field(default_factory=lambda: {"mode": "bootstrap"})

    @property
    def name(self) -> str:
        """Its host name."""
        return f"member{self.number}"

    @property
    def address(self) -> str:
        """Its management address."""
        return f"192.0.2.{10 + self.number}"

    @property
    def tap(self) -> str:
        """The network card's other end, in the namespace."""
        return f"tap{self.number}"

    @property
    def mac(self) -> str:
        """Its network card's MAC address."""
        return f"52:54:00:00:02:{self.number:02x}"

    @property
    def identity(self) -> dict[str, object]:
        """What the copied disk becomes."""
        return {
            "fqdn": f"{self.name}.lab.test",
            "address": f"{self.address}/24",
            "gateway": ADDRESS,
            "mac": self.mac,
            "enrollment": dict(self.enrollment),
        }


@dataclass(frozen=True, slots=True)
class Lan:
    """Where the nodes are, and how the test gets into them.

    Attributes:
        network: the namespace, entered, with a tap for each member.
        shared: the disks of the run.
        install: how the disk was installed that the nodes are copies of.
        keys: root's.
        folder: where the copies are made.
        sockets: short folder for the connections to the members, see `open_lan`.
    """

    network: Namespace
    shared: Shared
    install: Install
    keys: KeyPair
    folder: Path
    sockets: Path

    def spec(self, member: Member, guest: GuestProgram | None = None, name: str = "") -> MachineSpec:
        """Give the machine of a member, its folder called `name`; its disk goes on from where it was left."""
        # Another start of the machine needs another connection.
        self._socket(member).unlink(missing_ok=True)
        disk = self.folder / f"{member.name}.qcow2"
        installed = self.shared.installed(self.install)
        if not disk.exists():
            make_overlay(disk, installed.disk)
        return replace(
            node_spec(self.install, installed, disk, guest),
            name=name or member.name,
            nics=(Nic(mac=member.mac, tap=member.tap),),
            enter=self.network.enter,
            serial=f"SRV{member.number:04}",
            uuid=f"4c4c4544-0000-4000-8000-{member.number:012}",
            identity=member.identity,
        )

    def run_program(self, member: Member, program: GuestProgram) -> None:
        """Run a guest program on a node that is up; it reports through the machine's ports. Raises LabError."""
        line = f"cat > {_ARCHIVE} && python3 {_ARCHIVE} judge"
        self._ssh(member, line, stdin=build_archive(program), timeout_seconds=900)

    def flood(self, member: Member, seconds: float, rate: float) -> dict[str, int]:
        """Send so many requests a second to a node's enrolment service, all from one address; give what became of them.

        Raises:
            LabError: the program failed.
        """
        arguments = [member.address, str(ENROLLMENT), str(seconds), str(rate)]
        said = run_program(
            [*self.network.enter, sys.executable, "-I", FLOOD, *arguments], timeout_seconds=300
        )
        counts: dict[str, int] = json.loads(said)
        return counts

    def reaches(self, member: Member, port: int) -> bool:
        """Tell whether a node takes a connection to this port from its network."""
        connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
        try:
            run_program([*self.network.enter, sys.executable, "-I", "-c", connect, member.address, str(port)])
        except LabError:
            return False
        return True

    def run(self, member: Member, *command: str, timeout_seconds: float = 300) -> str:
        """Run a command on a node over ssh and give its standard output. Raises LabError."""
        return self._ssh(member, shlex.join(command), stdin=b"", timeout_seconds=timeout_seconds)

    def _socket(self, member: Member) -> Path:
        return self.sockets / member.name

    def _ssh(self, member: Member, line: str, *, stdin: bytes, timeout_seconds: float) -> str:
        options = [part for name, value in _SSH.items() for part in ("-o", f"{name}={value}")]
        login: list[str | Path] = [
            *self.network.enter,
            "ssh",
            *options,
            "-i",
            self.keys.private,
            "-S",
            self._socket(member),
            f"root@{member.address}",
        ]
        return run_program([*login, line], timeout_seconds=timeout_seconds, stdin=stdin)
