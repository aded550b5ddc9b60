"""The smallest answer as tables, and changes to it by dotted path."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

from hostlib.errors import UserError
from installer.answers import Answers, parse_answers

GONE: Final = object()
"""As a value: leave the key out."""
MINIMAL: Final[dict[str, Any]] = {
    "global": {
        "keyboard": "de",
        "country": "at",
        "timezone": "UTC",
        "fqdn": "node1.example.test",
        "mailto": "ops@example.test",
        "root-password": "correct horse",
    },
    "network": {"source": "from-dhcp"},
    "disk-setup": {"filesystem": "ext4", "disk-list": ["sda"]},
}
STATIC: Final[dict[str, Any]] = {
    "source": "from-answer",
    "cidr": "192.0.2.10/24",
    "gateway": "192.0.2.1",
    "dns": "192.0.2.53",
    "filter": {"ID_NET_NAME": "*"},
}
ED25519: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB4hRYs/gex9JHZyKCTqV8WB4VOe6WXU20gmmgTbn2BF"


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Give MINIMAL with values set or left out by dotted path."""
    data = copy.deepcopy(MINIMAL)
    for path, value in changes.items():
        *parents, key = path.split(".")
        table = data
        for parent in parents:
            table = table.setdefault(parent, {})
        if value is GONE:
            table.pop(key, None)
        else:
            table[key] = copy.deepcopy(value)
    return data


def parse(changes: dict[str, Any]) -> tuple[Answers, list[str]]:
    return parse_answers(json.dumps(changed(changes)), "answer")


def outcome(changes: dict[str, Any]) -> str:
    """Give `ok`, the warnings, or the problems: one line each, without what to do."""
    try:
        _, warnings = parse(changes)
    except UserError as error:
        return "\n".join(f"{problem.where}: {problem.what}" for problem in error.problems)
    return "\n".join(["ok", *warnings])
