"""The lab's door to host programs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.vm.lab.errors import LabError


def run_program(argv: Sequence[str | Path], *, timeout_seconds: float = 300, stdin: bytes = b"") -> str:
    """Run a host program to its end.

    Args:
        argv: program and arguments; never a shell line.
        timeout_seconds: how long it may take.
        stdin: what it reads.

    Returns:
        Its standard output, as text.

    Raises:
        LabError: it is not installed, failed, or took too long; the text holds the command and its stderr.
    """
    command = [str(argument) for argument in argv]
    if shutil.which(command[0]) is None:
        raise LabError(f"{command[0]}: not installed; `make deps` installs what the VM lab needs")
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout_seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{shlex.join(command)}: no end after {timeout_seconds:g} s") from error
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip()
        raise LabError(f"{shlex.join(command)}: exit status {done.returncode}\n{message}")
    return done.stdout.decode(errors="replace")
