"""QEMU's control channel."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path
from typing import Final, Self

from tests.vm.lab.errors import LabError, LabTimeout, MachineDied

_REPLY_SECONDS: Final = 60.0
"""A screenshot or a device removal of a busy emulated machine may take some seconds."""
_FORWARD: Final = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)\s")


def parse_forwards(usernet: str) -> dict[int, int]:
    """Read QEMU's `info usernet`.

    Returns:
        For each forwarded guest port the port of 127.0.0.1 that leads to it.
    """
    return {int(guest): int(host) for host, guest in _FORWARD.findall(usernet)}


class Qmp:
    """A connection to one QEMU. Not for use by several threads."""

    def __init__(self, path: Path) -> None:
        """Connect to the socket at `path` and negotiate.

        Raises:
            LabError: nobody answers there.
            ConnectionRefusedError: the socket is there, but QEMU does not listen on it yet.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._buffer = b""
        self._events: list[dict[str, object]] = []
        try:
            self._socket.connect(str(path))
            self._receive(_REPLY_SECONDS)
            self.execute("qmp_capabilities")
        except ConnectionRefusedError:
            self._socket.close()
            raise
        except OSError as error:
            self._socket.close()
            raise LabError(f"{path}: QEMU's control channel does not answer: {error}") from error

    def __enter__(self) -> Self:
        """Give the connection itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; QEMU goes on."""
        self._socket.close()

    def execute(self, command: str, **arguments: object) -> object:
        """Run one command.

        Args:
            command: its QMP name.
            arguments: its arguments; `_` in a name stands for QMP's `-`.

        Returns:
            What QEMU returned.

        Raises:
            LabError: QEMU refused it; the text holds its reason.
            LabTimeout: no answer within 60 s.
            MachineDied: QEMU ended.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        request = json.dumps({"execute": command, "arguments": named}) + "\n"
        try:
            self._socket.sendall(request.encode())
        except OSError as error:
            raise MachineDied(f"{command}: QEMU has ended") from error
        deadline = time.monotonic() + _REPLY_SECONDS
        while True:
            message = self._receive(deadline - time.monotonic())
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise LabError(f"QEMU refused {command}: {message['error']}")
            elif "return" in message:
                return message["return"]

    def wait_event(self, name: str, timeout_seconds: float) -> dict[str, object]:
        """Wait for an event, also one that came before this call and was not taken yet.

        Returns:
            The event's `data`, empty when it has none.

        Raises:
            LabTimeout: it did not come.
            MachineDied: QEMU ended without it.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            for position, event in enumerate(self._events):
                if event["event"] == name:
                    del self._events[position]
                    data = event.get("data", {})
                    return data if isinstance(data, dict) else {}
            message = self._receive(deadline - time.monotonic())
            if "event" in message:
                self._events.append(message)

    def _receive(self, timeout_seconds: float) -> dict[str, object]:
        """Read one message; its text is one line."""
        deadline = time.monotonic() + timeout_seconds
        while b"\n" not in self._buffer:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise LabTimeout(f"QEMU's control channel said nothing for {timeout_seconds:.0f} s")
            self._socket.settimeout(remaining)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                raise MachineDied("QEMU closed its control channel")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, object] = json.loads(line)
        return message

    def screenshot(self, path: Path) -> None:
        """Write what the VGA screen shows to `path`, as PNG.

        Raises:
            LabError: as `execute` does.
        """
        self.execute("screendump", filename=str(path), format="png")

    def send_keys(self, *keys: str) -> None:
        """Press keys together on the PS/2 keyboard, by QEMU's names: `ret`, `ctrl`, `a`."""
        self.execute("send-key", keys=[{"type": "qcode", "data": key} for key in keys])

    def unplug(self, device: str) -> None:
        """Pull a device out and wait until it is gone. USB takes effect at once, PCI when the guest lets go.

        Raises:
            LabTimeout: it is still there after 60 s.
        """
        self.execute("device_del", id=device)
        self.wait_event("DEVICE_DELETED", _REPLY_SECONDS)

    def eject(self, device: str) -> None:
        """Take the medium out of a CD drive, even when the guest has locked the tray."""
        self.execute("eject", id=device, force=True)

    def forwards(self) -> dict[int, int]:
        """Give for each forwarded guest port the port of 127.0.0.1 that leads to it."""
        usernet = self.execute("human-monitor-command", command_line="info usernet")
        return parse_forwards(str(usernet))

    def power_button(self) -> None:
        """Press the power button."""
        self.execute("system_powerdown")

    def quit(self) -> None:
        """End QEMU."""
        self.execute("quit")
