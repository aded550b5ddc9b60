"""Chromium's process, and DevTools over a pipe: no port, no driver, and it ends with the test's process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.vm.lab.errors import LabError, LabTimeout

_REPLY_SECONDS: Final = 120.0
"""For one answer of the browser on a busy host. What a page is to show is asked for again and again."""
_END_SECONDS: Final = 20.0
# Chromium reads commands from descriptor 3 and answers on 4; what it prints goes where its messages go.
_PIPE: Final = ("sh", "-c", 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2', "sh")


class Refused(LabError):  # noqa: N818 - the name says it
    """Chromium answered with an error."""


class DevTools:
    """Chromium's own process and the channel to it: JSON objects, each with a zero byte at its end."""

    def __init__(self, command: Sequence[str], home: Path, log: Path) -> None:
        """Start it; what it prints goes to `log`."""
        self._log = log
        self._buffer = b""
        self._last_id = 0
        self.session = ""
        self.exceptions: list[str] = []
        self._channel, far = socket.socketpair()
        with far, log.open("wb") as messages:
            self._process = subprocess.Popen(
                [*_PIPE, *command],
                stdin=far.fileno(),
                stdout=far.fileno(),
                stderr=messages,
                env={**os.environ, "HOME": str(home)},
            )

    def close(self) -> None:
        """End it, with all its processes: it does so by itself when the channel is closed."""
        self._channel.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_END_SECONDS)

    def call(self, method: str, timeout_seconds: float = _REPLY_SECONDS, **parameters: object) -> Any:
        """Have Chromium do something, in `session` once there is one.

        Returns:
            The answer's `result`.

        Raises:
            Refused: with its reason.
            LabTimeout: no answer in time.
            LabError: it has ended.
        """
        self._last_id += 1
        request = {"id": self._last_id, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        deadline = time.monotonic() + timeout_seconds
        try:
            self._channel.sendall(json.dumps(request).encode() + b"\0")
            while (message := self._receive(deadline)).get("id") != self._last_id:
                if message.get("method") == "Runtime.exceptionThrown":
                    self.exceptions.append(describe(message["params"]["exceptionDetails"]))
        except TimeoutError as error:
            raise LabTimeout(f"{method}: Chromium did not answer in {timeout_seconds:g} s") from error
        except OSError as error:
            raise LabError(f"{method}: Chromium has ended; its messages: {self._log}") from error
        if "error" in message:
            raise Refused(f"{method}: {message['error']['message']}")
        return message["result"]

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            self._channel.settimeout(max(0.01, deadline - time.monotonic()))
            data = self._channel.recv(1 << 20)
            if not data:
                raise ConnectionResetError
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


def describe(details: Mapping[str, Any]) -> str:
    """Say what went wrong in a page, from DevTools' exceptionDetails; empty for nothing."""
    return str(details.get("exception", {}).get("description") or details.get("text", ""))
