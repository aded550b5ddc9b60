"""What the switches at the other ends of the cables say of themselves by LLDP, as systemd-networkd has received it."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from hostlib.errors import CommandError
from hostlib.inventory import Neighbour
from hostlib.run import Runner

LOG = logging.getLogger("slipway.probe")
COMMAND: Final = ("networkctl", "--json=short", "--no-pager", "lldp")
LIMIT_SECONDS: Final = 5
LONGEST: Final = 64
"""Characters that are kept of a text; a standard switch may send 255."""
SWITCH: Final = 1 << 2 | 1 << 4
"""Bridge and Router among the capabilities, IEEE 802.1AB table 8-4."""


def read_neighbours(runner: Runner) -> dict[int, Neighbour]:
    """Give index of the interface -> neighbour; nothing where no systemd-networkd runs, or one before 257."""
    try:
        return parse_neighbours(runner.run(COMMAND, timeout_seconds=LIMIT_SECONDS).stdout)
    except (CommandError, ValueError) as error:
        LOG.debug("no LLDP: %s", error)
        return {}


def parse_neighbours(text: str) -> dict[int, Neighbour]:
    """Read the reply of io.systemd.Network.GetLLDPNeighbors, which networkctl prints as it is (systemd 257).

    Where a cheap switch passes on what others send, the first neighbour that is a switch itself counts. Raises
    ValueError when the text is no such reply.
    """
    try:
        links = [
            (int(link["InterfaceIndex"]), list(link["Neighbors"])) for link in json.loads(text)["Neighbors"]
        ]
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
