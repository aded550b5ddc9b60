"""What runs inside the guest: the judge of a test, or the relay of events. Standard library only."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import traceback
from typing import Any

from tests.vm.guest.become import become
from tests.vm.guest.port import send
from tests.vm.guest.relay import follow_events


def run_judge() -> None:
    """Call `main(parameters)` of the module that the test ordered, and tell the host when it fails."""
    order = _read_order()
    send("report", {"kind": "judge-started"})
    try:
        importlib.import_module(f"{__package__}.{order['module']}").main(order["parameters"])
    except BaseException:  # noqa: BLE001 - whatever it is, the host must hear of it
        send("report", {"kind": "crashed", "traceback": traceback.format_exc()})


def _read_order() -> Any:
    return json.loads(pkgutil.get_data(__package__ or "", "order.json") or b"{}")


def main() -> None:
    """Do what the first argument says: `judge`, `relay` or `become`."""
    match sys.argv[1]:
        case "relay":
            follow_events()
        case "become":
            become(_read_order()["identity"])
        case _:
            run_judge()
