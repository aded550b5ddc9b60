"""Answer files for the tests: a valid one to begin with, and what a test changes in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

Table = Mapping[str, object]
PASSWORD: Final = "lab-password-1"
FQDN: Final = "node1.lab.test"


def make_answer(
    *,
    disk: Table,
    keys: tuple[str, ...] = (),
    global_: Table | None = None,
    network: Table | None = None,
    sections: Mapping[str, Table] | None = None,
) -> str:
    """Write an answer file that powers the machine off at its end.

    Args:
        disk: the table `disk-setup`.
        keys: ssh keys of root.
        global_: values of the table `global` that differ; None as a value leaves a key out.
        network: the table `network`; DHCP when None.
        sections: more tables, by name.

    Returns:
        TOML.
    """
    settings: dict[str, object] = {
        "keyboard": "en-us",
        "country": "at",
        "timezone": "Europe/Vienna",
        "fqdn": FQDN,
        "mailto": "ops@lab.test",
        "root-password": PASSWORD,
        "root-ssh-keys": list(keys),
        "reboot-mode": "power-off",
    }
    settings |= dict(global_ or {})
    tables: dict[str, Table] = {
        "global": settings,
        "network": network or {"source": "from-dhcp"},
        "disk-setup": disk,
    }
    return render_toml(tables | dict(sections or {}))


def render_toml(tables: Mapping[str, Table]) -> str:
    """Render tables of strings, numbers, truths, lists and one level of sub-tables as TOML; None is left out."""
    lines: list[str] = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += _pairs(table)
    return "\n".join(lines) + "\n"


def _pairs(table: Table, prefix: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _pairs(value, f"{prefix}{key}.")
        elif value is not None:
            # JSON's strings, numbers, truths and flat lists are TOML's too.
            lines.append(f"{prefix}{key} = {json.dumps(value)}")
    return lines
