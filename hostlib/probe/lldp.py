"""What the switches at the other ends of the cables say of themselves by LLDP, as systemd-networkd has received it."""

from __future__ import annotations

import json
import logging
import socket
import time
from pathlib import Path
from typing import Any, Final

from hostlib.inventory import Neighbour
from hostlib.sizes import MIB

LOG = logging.getLogger("slipway.probe")
SOCKET: Final = Path("/run/systemd/netif/io.systemd.Network")
CALL: Final = b'{"method":"io.systemd.Network.GetLLDPNeighbors"}\0'
END: Final = b"\0"
LIMIT_SECONDS: Final = 1
LIMIT_BYTES: Final = MIB
LONGEST: Final = 64
"""Characters that are kept of a text; a standard switch may send 255."""
SWITCH: Final = 1 << 2 | 1 << 4
"""Bridge and Router among the capabilities, IEEE 802.1AB table 8-4."""


def read_neighbours(path: Path = SOCKET) -> dict[int, Neighbour]:
    """Give index of the interface -> neighbour; nothing where no systemd-networkd runs, or one before 257.

    Asked by Varlink, as `networkctl lldp` does: this is done every few seconds while somebody looks at the network.
    """
    if not path.is_socket():
        return {}
    until = time.monotonic() + LIMIT_SECONDS
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LIMIT_SECONDS)
            connection.connect(str(path))
            return parse_neighbours(ask(connection, until))
    except (OSError, ValueError) as error:
        LOG.debug("no LLDP: %s", error)
        return {}


def ask(connection: socket.socket, until: float) -> str:
    """Give the reply of systemd-networkd, whole by this time of the monotonic clock, in seconds.

    Raises OSError, TimeoutError among them, and ValueError when it is no text.
    """
    connection.sendall(CALL)
    reply = b""
    while END not in reply and len(reply) < LIMIT_BYTES:
        if (rest := until - time.monotonic()) <= 0:
            raise TimeoutError("systemd-networkd does not come to an end")
        connection.settimeout(rest)
        piece = connection.recv(65536)
        if not piece:
            break
        reply += piece
    return reply.partition(END)[0].decode()


def parse_neighbours(text: str) -> dict[int, Neighbour]:
    """Read the reply to io.systemd.Network.GetLLDPNeighbors (systemd 257).

    Where a cheap switch passes on what others send, the first neighbour that is a switch itself counts. Raises
    ValueError when the text is no such reply.
    """
    try:
        reply = json.loads(text)["parameters"]["Neighbors"]
        links = [(int(link["InterfaceIndex"]), list(link["Neighbors"])) for link in reply]
        best = {index: min(found, key=_is_no_switch) for index, found in links if found}
        return {index: _neighbour(found) for index, found in best.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"no reply of systemd-networkd about LLDP: {type(error).__name__}: {error}"
        ) from None


def _is_no_switch(found: dict[str, Any]) -> bool:
    return not int(found.get("EnabledCapabilities", 0)) & SWITCH


def _neighbour(found: dict[str, Any]) -> Neighbour:
    return Neighbour(
        system=_clean(found.get("SystemName")),
        port=_clean(found.get("PortID")),
        port_description=_clean(found.get("PortDescription")),
        chassis=_clean(found.get("ChassisID")),
    )


def _clean(value: object) -> str:
    """Give a text that can be shown on any terminal: printable ASCII in one line, cut to a length."""
    line = " ".join(str(value or "").split())
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in line[:LONGEST])
