"""Gives a copy of an installed disk a name and an address of its own, before its first boot looks at them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_SEED: Final = Path("/etc/slipway/seed.json")
_HOSTNAME: Final = Path("/etc/hostname")
_RENAMED: Final = (_HOSTNAME, Path("/etc/hosts"), Path("/etc/network/interfaces"))
_LINKS: Final = Path("/etc/systemd/network")


def become(identity: Mapping[str, Any]) -> None:
    """Write `fqdn`, `address` (with prefix length), `gateway`, `mac` and `enrollment` in place of the installed ones.

    Does nothing on a disk that has that name already.
    """
    seed = json.loads(_SEED.read_text(encoding="utf-8"))
    if seed["fqdn"] == identity["fqdn"]:
        return
    old, new = str(seed["fqdn"]), str(identity["fqdn"])
    changes = {
        re.escape(old): new,
        rf"\b{old.partition('.')[0]}\b": new.partition(".")[0],
        re.escape(str(seed["address"])): str(identity["address"]),
        re.escape(str(seed["address"]).partition("/")[0]): str(identity["address"]).partition("/")[0],
        r"(?m)^(\s*gateway).*$": rf"\1 {identity['gateway']}",
    }
    for path in _RENAMED:
        text = path.read_text(encoding="utf-8")
        for pattern, replacement in changes.items():
            text = re.sub(pattern, replacement, text)
        path.write_text(text, encoding="utf-8")
    for path in _LINKS.glob("*.link"):
        text = path.read_text(encoding="utf-8")
        path.write_text(
            re.sub(r"(?m)^MACAddress=.*$", f"MACAddress={identity['mac']}", text), encoding="utf-8"
        )
    seed |= {name: identity[name] for name in ("fqdn", "address", "enrollment")}
    # Last: it says that all of this is done.
    _SEED.write_text(json.dumps(seed), encoding="utf-8")
    subprocess.run(["/usr/bin/hostname", "--file", str(_HOSTNAME)], check=True)
    subprocess.run(["/usr/bin/udevadm", "control", "--reload"], check=True)
