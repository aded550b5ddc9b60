"""A terminal over ssh into a guest, with a password as a person types it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.vm.lab.console import Console

_OPTIONS: Final = (
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "PreferredAuthentications=password",
    "NumberOfPasswordPrompts=1",
    "ConnectTimeout=60",
    "LogLevel=ERROR",
)
_END_SECONDS: Final = 20.0


@contextmanager
def open_terminal(port: int, password: str, folder: Path) -> Iterator[Console]:
    """Log in as root.

    Args:
        port: of 127.0.0.1, from `Vm.forward`.
        password: root's.
        folder: where the program that answers the prompt is put.

    Yields:
        The terminal, of 80x24 characters. What ssh itself says is shown there too.
    """
    answer = folder / "askpass"
    answer.write_text(f"#!/bin/sh\necho '{password}'\n", encoding="utf-8")
    answer.chmod(0o700)
    environment = {**os.environ, "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force", "TERM": "xterm"}
    options = [part for option in _OPTIONS for part in ("-o", option)]
    near, far = socket.socketpair()
    with far:
        process = subprocess.Popen(
            ["ssh", "-tt", *options, "-p", str(port), "root@127.0.0.1"],
            stdin=far.fileno(),
            stdout=far.fileno(),
            stderr=far.fileno(),
            env=environment,
        )
    console = Console(near, diagnose=lambda: f"ssh: status {process.poll()}")
    try:
        yield console
    finally:
        console.close()
        process.kill()
        process.wait(_END_SECONDS)
        answer.unlink()
