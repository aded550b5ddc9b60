"""What the guest says about itself: JSON objects, one a line, over virtio-serial."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.vm.lab.errors import LabError, LabTimeout, MachineDied


class Report:
    """Collects messages from the ports of one machine, one reading thread each."""

    def __init__(self, ports: Iterable[Path], *, diagnose: Callable[[], str]) -> None:
        """Connect to the sockets of the ports.

        Args:
            ports: QEMU's sockets.
            diagnose: called when a wait fails; its text goes into the error.

        Raises:
            LabError: nobody listens on one of them.
        """
        self._diagnose = diagnose
        self._changed = threading.Condition()
        self._messages: list[dict[str, object]] = []
        self._moments: list[float] = []
        self._taken = 0
        self._open = 0
        self._sockets: list[socket.socket] = []
        self._readers: list[threading.Thread] = []
        for path in ports:
            self._connect(path)

    def _connect(self, path: Path) -> None:
        port = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sockets.append(port)
        try:
            port.connect(str(path))
        except OSError as error:
            self.close()
            raise LabError(f"{path}: no report port: {error}") from error
        self._open += 1
        reader = threading.Thread(target=self._read, args=(port,), name=path.name, daemon=True)
        self._readers.append(reader)
        reader.start()

    def _read(self, port: socket.socket) -> None:
        rest = b""
        while True:
            try:
                data = port.recv(65536)
            except OSError:
                data = b""
            *lines, rest = (rest + data).split(b"\n")
            with self._changed:
                for message in filter(None, map(parse_message, lines)):
                    self._messages.append(message)
                    self._moments.append(time.monotonic())
                if not data:
                    self._open -= 1
                self._changed.notify_all()
            if not data:
                return

    def close(self) -> None:
        """Stop listening."""
        for port in self._sockets:
            with contextlib.suppress(OSError):
                port.shutdown(socket.SHUT_RDWR)
        for reader in self._readers:
            reader.join(timeout=5)
        for port in self._sockets:
            port.close()

    def wait(self, kind: str, timeout_seconds: float, **fields: object) -> dict[str, object]:
        """Wait for a message, from behind the one that the last wait gave.

        Args:
            kind: the message's `kind`.
            timeout_seconds: how long to wait.
            fields: values that the message must have, such as `event="task-done"`.

        Returns:
            The message.

        Raises:
            LabError: the guest program failed; the text holds its traceback.
            LabTimeout: no such message came.
            MachineDied: QEMU ended without one.
        """
        return self._wait({"kind": kind, **fields}, timeout_seconds)

    def take_next(self, timeout_seconds: float) -> dict[str, object]:
        """Wait for the next message, whatever it says.

        Raises:
            LabError: the guest program failed; the text holds its traceback.
            LabTimeout: no message came.
            MachineDied: QEMU ended.
        """
        return self._wait({}, timeout_seconds)

    def _wait(self, wanted: Mapping[str, object], timeout_seconds: float) -> dict[str, object]:
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while (message := self._take(wanted)) is None and self._open:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            ended = not self._open
        if message is not None:
            return message
        # The lock is free here: the screenshot that is taken now may need seconds.
        what = f"the guest did not report {dict(wanted) or 'anything'}"
        if ended:
            raise MachineDied(f"{what}\n{self._diagnose()}")
        raise LabTimeout(f"{what} in {timeout_seconds:g} s\n{self._diagnose()}")

    def _take(self, wanted: Mapping[str, object]) -> dict[str, object] | None:
        """Find the next message that is wanted and go behind it."""
        for position in range(self._taken, len(self._messages)):
            message = self._messages[position]
            if message.get("kind") == "crashed":
                raise LabError(f"the guest program failed:\n{message.get('traceback')}")
            if matches(message, wanted):
                self._taken = position + 1
                return message
        return None

    @property
    def messages(self) -> list[dict[str, object]]:
        """Everything that was reported so far, also what was waited for."""
        with self._changed:
            return list(self._messages)

    @property
    def timeline(self) -> list[tuple[float, dict[str, object]]]:
        """The messages so far, each with the moment of the monotonic clock (seconds) when it came."""
        with self._changed:
            return list(zip(self._moments, self._messages, strict=True))


def matches(message: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Tell whether a message has all the wanted values."""
    return all(message.get(key) == value for key, value in wanted.items())


def parse_message(line: bytes) -> dict[str, object] | None:
    """Read one line; None when it holds no JSON object, as a line that a power cut has torn."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
