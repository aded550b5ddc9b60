"""Tells systemd how a service is (sd_notify(3)); needs no library."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping

READY = "READY=1"
ALIVE = "WATCHDOG=1"
STOPPING = "STOPPING=1"


def notify_systemd(message: str, environ: Mapping[str, str]) -> None:
    """Send READY, ALIVE, STOPPING or `STATUS=…` to whoever started the service, as $NOTIFY_SOCKET in `environ` says.

    Does nothing where nobody wants to know, and never raises: a service does not end because of it.
    """
    path = environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # Of an abstract socket the first byte is zero, which no environment can hold.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.setblocking(False)
        door.sendto(message.encode(), address)
