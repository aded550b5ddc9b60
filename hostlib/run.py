"""The one door for subprocesses. No other module imports `subprocess`."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from hostlib.errors import CommandError

LOG = logging.getLogger("slipway.run")
REDACTED = "<redacted>"
DEFAULT_TIMEOUT_SECONDS = 300.0
QUIET_SECONDS = 1.0
KILL_SECONDS = 10.0
# TERM and PATH are fixed so that no setting of a login shell changes what a program does.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    # LVM complains about every descriptor it inherits; ours are harmless.
    "LVM_SUPPRESS_FD_WARNINGS": "1",
}


@dataclass(frozen=True, slots=True)
class Completed:
    """What a finished program gave: its exit status and its two outputs as text."""

    status: int
    stdout: str
    stderr: str


class Runner(Protocol):
    """Runs programs. Tests give a recorded one; `run_unit` tests give one that refuses."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input_text: str | None = None,
        secrets: Sequence[str] = (),
        ok: Collection[int] = (0,),
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        chroot: Path | None = None,
        on_output: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run `argv`; see `SystemRunner.run`."""


def render_command(argv: Sequence[str], secrets: Sequence[str] = ()) -> str:
    """Give `argv` as a line that can be pasted into a shell, with each secret replaced."""
    return redact(shlex.join(argv), secrets)


def redact(text: str, secrets: Sequence[str]) -> str:
    """Replace every secret in `text`; the longest first, so that one inside another leaves no rest."""
    for secret in sorted((s for s in secrets if s), key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


class SystemRunner:
    """Runs programs on this machine: no shell, stdin closed, C locale, a time limit."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input_text: str | None = None,
        secrets: Sequence[str] = (),
        ok: Collection[int] = (0,),
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        chroot: Path | None = None,
        on_output: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run a program and wait for it.

        `input_text` goes to its standard input and is never logged; `secrets` are replaced in the log
        and in errors; `ok` are the exit statuses that count as success; `chroot` is the root directory
        to run it in. `on_output` receives standard output in pieces as it comes (for progress), and an empty
        piece each second while nothing comes; an exception that it raises ends the program.
        Raises CommandError when it cannot be started, fails, or takes longer than `timeout_seconds`.
        """
        command = render_command(argv, secrets)
        full = ["chroot", str(chroot), *argv] if chroot else list(argv)
        LOG.debug("run: %s%s", command, f" (in {chroot})" if chroot else "")
        started = time.monotonic()
        try:
            done = _run(full, input_text, timeout_seconds, on_output)
        except OSError as error:
            raise CommandError(command, f"cannot be started: {error.strerror}", "") from error
        except subprocess.TimeoutExpired as error:
            output = redact(_text(error.stdout) + _text(error.stderr), secrets)
            raise CommandError(command, f"no end after {timeout_seconds:g} s", output) from error
        LOG.debug("exit status %d after %.1f s", done.status, time.monotonic() - started)
        if done.status not in ok:
            output = redact(f"{done.stdout}\n{done.stderr}", secrets)
            raise CommandError(command, f"exit status {done.status}", output)
        return done


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _run(
    argv: Sequence[str],
    input_text: str | None,
    timeout_seconds: float,
    on_output: Callable[[str], None] | None,
) -> Completed:
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        # A group of its own: a time-out then ends the children of the program too.
        process_group=0,
    ) as process:
        try:
            if on_output is None:
                given = None if input_text is None else input_text.encode()
                stdout, stderr = process.communicate(given, timeout=timeout_seconds)
            else:
                stdout, stderr = _stream(process, timeout_seconds, on_output)
        except BaseException:
            _end(process)
            raise
    return Completed(process.returncode, _text(stdout), _text(stderr))


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        # A process that waits for a dead device cannot be ended. It is left behind: closing the Popen object
        # would wait for it for good.
        LOG.warning("process %d does not end after SIGKILL: it waits for a device", process.pid)
        process.returncode = -signal.SIGKILL


def _stream(
    process: subprocess.Popen[bytes], timeout_seconds: float, on_output: Callable[[str], None]
) -> tuple[bytes, bytes]:
    """Hand standard output on in pieces; standard error is drained beside it so that neither pipe fills."""
    if process.stdout is None or process.stderr is None:
        raise ValueError("the outputs of the process must be pipes")
    errors: list[bytes] = []
    drain = threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True)
    drain.start()
    deadline = time.monotonic() + timeout_seconds
    kept = b""
    while True:
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(process.args, timeout_seconds, kept, b"".join(errors))
        if not select.select([process.stdout], [], [], QUIET_SECONDS)[0]:
            on_output("")
        elif piece := os.read(process.stdout.fileno(), 65536):
            kept = (kept + piece)[-65536:]
            on_output(_text(piece))
        else:
            break
    process.wait(max(1.0, deadline - time.monotonic()))
    drain.join()
    return kept, b"".join(errors)


def _drain(stream: IO[bytes], into: list[bytes]) -> None:
    # The stream is closed under a program that was left behind.
    with contextlib.suppress(ValueError, OSError):
        into.extend(stream)
