"""What a person has entered, and the answer file that it makes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Value = str | bool
SIZES: Final = ("hdsize", "swapsize", "maxroot", "minfree", "maxvz")
NUMBER: Final = re.compile(r"\d{1,9}(\.\d{1,6})?")
HEADER: Final = """\
# Made by the interactive installer. It installs the same node on the same machine; for others change
# fqdn, cidr, the disk and the network card (see docs/answer-file.md).
"""
WHAT_IS_ALLOWED: Final = """\
# [checks] was allowed for the hardware of this machine; take it out for others.
"""
HOW_TO_ADD: Final = """\
# The password is not kept. Add its hash to [global], made by `mkpasswd` or `openssl passwd -6`:
#   root-password-hashed = "$6$..."
"""
HOW_TO_JOIN: Final = """\
# The token is not kept. Add to [enrollment] the line that `slipway token create` prints on a member of the cluster:
#   token = "slipway1..."
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """All that a person has entered: texts as they were typed, choices by their keys. Empty: nothing yet.

    The name of an attribute is what the screens call a field by.
    """

    disk: str = ""
    """/dev/disk/by-id/…"""
    filesystem: Literal["ext4", "xfs"] = "ext4"
    hdsize: str = ""
    """This and the next four in GiB; empty: by the rules of docs/storage.md."""
    swapsize: str = ""
    maxroot: str = ""
    minfree: str = ""
    maxvz: str = ""
    country: str = ""
    timezone: str = ""
    keyboard: str = ""
    password: str = field(default="", repr=False)
    password_again: str = field(default="", repr=False)
    mailto: str = ""
    ssh_keys: str = ""
    """Public keys, one a line; or a URL that is yet to be fetched."""
    nic: str = ""
    """The network card as PROPERTY=VALUE of udev, which fits no other card of the machine."""
    fqdn: str = ""
    cidr: str = ""
    gateway: str = ""
    dns: str = ""
    pin_names: bool = True
    """On, as in the peer's interactive installer: a card that is added later cannot rename the bridge's port."""
    cluster: Literal["bootstrap", "join", "none"] = "bootstrap"
    cluster_name: str = ""
    """Of a new cluster; empty: the default."""
    token: str = field(default="", repr=False)
    """The line of `slipway token create`, to join by."""
    reboot_mode: Literal["reboot", "power-off"] = "reboot"
    allow: str = ""
    """Ids of the checks that may find what they find, with blanks between."""
    confirmation: str = ""
    """What was typed to confirm that a disk with contents is erased. Not a part of the answer."""


PLACES: Final[Mapping[str, str]] = {
    "disk": "disk-setup.disk-list",
    "filesystem": "disk-setup.filesystem",
    **{name: f"disk-setup.lvm.{name}" for name in SIZES},
    "country": "global.country",
    "timezone": "global.timezone",
    "keyboard": "global.keyboard",
    "password": "global.root-password",
    "mailto": "global.mailto",
    "ssh_keys": "global.root-ssh-keys",
    "nic": "network.filter",
    "fqdn": "global.fqdn",
    "cidr": "network.cidr",
    "gateway": "network.gateway",
    "dns": "network.dns",
    "pin_names": "network.interface-name-pinning",
    "cluster": "enrollment.mode",
    "cluster_name": "enrollment.cluster-name",
    "token": "enrollment.token",
    "reboot_mode": "global.reboot-mode",
    "allow": "checks.allow",
}
"""Field -> its place in the answer file, as the messages of the resolver name it."""


def is_url(text: str) -> bool:
    """Tell whether what stands in the place of ssh keys is where to fetch them from."""
    return text.strip().lower().startswith(("http://", "https://"))


def to_tables(draft: Draft) -> dict[str, Any]:
    """Give the draft in the answer file's form, with password and token: for the installation, never for a file.

    What has not been entered is left out, so that the parser says that it is missing.
    """
    kind, _, value = draft.nic.partition("=")
    keys = [line for line in draft.ssh_keys.splitlines() if line.strip()]
    lvm = {name: _number(text) for name in SIZES if (text := getattr(draft, name).strip())}
    tables: dict[str, dict[str, Any]] = {
        "global": {
            "keyboard": draft.keyboard,
            "country": draft.country,
            "timezone": draft.timezone.strip(),
            "fqdn": draft.fqdn.strip(),
            "mailto": draft.mailto.strip(),
            "root-password": draft.password,
            "root-ssh-keys": keys,
            "reboot-mode": draft.reboot_mode,
        },
        "network": {
            "source": "from-answer",
            "cidr": draft.cidr.strip(),
            "gateway": draft.gateway.strip(),
            "dns": draft.dns.strip(),
            "filter": {kind: value} if value else {},
            "interface-name-pinning": {"enabled": True} if draft.pin_names else {},
        },
        "disk-setup": {
            "filesystem": draft.filesystem,
            "disk-list": [draft.disk.removeprefix("/dev/disk/by-id/")] if draft.disk else [],
            "lvm": lvm,
        },
        "enrollment": _enrollment(draft),
        "checks": {"allow": draft.allow.split()},
    }
    entered = {
        name: {key: value for key, value in table.items() if value not in ("", [], {})}
        for name, table in tables.items()
    }
    return {name: table for name, table in entered.items() if table or name != "checks"}


def _enrollment(draft: Draft) -> dict[str, str]:
    """Give what belongs to the choice that was made; what was entered for another stays in the draft alone."""
    own = {"bootstrap": {"cluster-name": draft.cluster_name.strip()}, "join": {"token": draft.token}}
    return {"mode": draft.cluster, **own.get(draft.cluster, {})}


def _number(text: str) -> int | float | str:
    """Give a size as a number; as it is when it is none, for the parser to refuse."""
    text = text.replace(",", ".")
    if not NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def render_answer(draft: Draft, *, password_hash: str) -> str:
    """Give the draft as an answer file to keep. It never holds the plain password, nor a token.

    `password_hash` is one of crypt(5); empty: the file says how to add one.
    """
    tables = to_tables(draft)
    tables["global"].pop("root-password", None)
    tables["enrollment"].pop("token", None)
    if password_hash:
        tables["global"]["root-password-hashed"] = password_hash
    notes = [WHAT_IS_ALLOWED] if draft.allow else []
    notes += [] if password_hash else [HOW_TO_ADD]
    notes += [HOW_TO_JOIN] if draft.cluster == "join" else []
    return f"{HEADER}{''.join(notes)}\n{render_tables(tables)}"


def render_tables(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Give tables as TOML: what is nested deeper than a section stands in one line."""
    return "\n".join("".join(_render_section(name, table)) for name, table in tables.items())


def _render_section(name: str, table: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{name}]\n"
    for key, value in table.items():
        yield f"{key} = {_render_value(value)}\n"


def _render_value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list():
            return f"[{', '.join(_render_value(item) for item in value)}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {_render_value(item)}' for key, item in value.items())} }}"
        case _:
            # A basic string of TOML is one of JSON, but for DEL.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
