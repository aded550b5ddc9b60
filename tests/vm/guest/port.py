"""The way to the host: one JSON object a line into a virtio-serial port."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Final

PORTS: Final = "/dev/virtio-ports/org.slipway."
_OPEN_SECONDS: Final = 120.0


def send(port: str, message: Mapping[str, object]) -> None:
    """Send one message.

    Args:
        port: `report` or `events`.
        message: what to send; `kind` names what it is.

    Raises:
        OSError: the port did not appear, or the host does not listen.
    """
    data = (json.dumps(message) + "\n").encode()
    descriptor = _open(PORTS + port)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    """Open the port; early in the boot udev has not made its name yet."""
    deadline = time.monotonic() + _OPEN_SECONDS
    while True:
        try:
            return os.open(path, os.O_WRONLY)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
