"""Lines of authorized_keys, as sshd(8) reads them. Pure; each ValueError reads `what is wrong; what to do`.

A line that sshd would pass over matters here: with a key root comes in by key only.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from typing import Final

TODO: Final = "give the line of a .pub file"
CURVES: Final = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
"""Name of a curve -> bytes of a point on it, uncompressed (SEC 1)."""
FIELDS: Final[dict[str, tuple[str | int, ...]]] = {
    "ssh-rsa": ("number", "modulus"),
    "ssh-ed25519": (32,),
    "sk-ssh-ed25519@openssh.com": (32, "text"),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("nistp256", 65, "text"),
    **{f"ecdsa-sha2-{curve}": (curve, size) for curve, size in CURVES.items()},
}
"""Type of a key -> what follows it (RFC 4253, 5656 and 8709): a length in bytes, a curve's name, or anything."""
LEAST_MODULUS_BYTES: Final = 128
"""OpenSSH takes no shorter one."""
FLAGS: Final = frozenset(
    f"{no}{name}" for no in ("", "no-") for name in ("agent-forwarding", "port-forwarding", "pty", "user-rc", "x11-forwarding")
) | {"cert-authority", "no-touch-required", "restrict", "verify-required"}  # fmt: skip
WITH_VALUE: Final = frozenset(
    {"command", "environment", "expiry-time", "from", "permitlisten", "permitopen", "principals", "tunnel"}
)
OPTION: Final = re.compile(r'([A-Za-z0-9-]+)(="(?:[^"\\]|\\.)*")?(,|[ \t]+)')


def check_ssh_keys(text: str) -> str:
    """Give the keys of `text`, one a line, without comments and empty lines. Raises ValueError."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(_check_line(line) for line in lines if line and not line.startswith("#"))


def _check_line(line: str) -> str:
    if "PRIVATE KEY" in line:
        raise ValueError(f"this is a private key, not a public one; {TODO}")
    kind, *rest = line.split(maxsplit=2)
    if kind not in FIELDS and kind != "ssh-dss" and rest:
        kind, *rest = _without_options(line).split(maxsplit=2)
    if kind == "ssh-dss":
        raise ValueError(
            "this is a DSA key, which OpenSSH does not take any more; remove it, or make a new key"
        )
    if kind not in FIELDS or not rest or not line.replace("\t", " ").isprintable():
        raise ValueError(f"this is no public ssh key; {TODO}")
    _check_blob(kind, rest[0])
    return line


def _without_options(line: str) -> str:
    """Give what follows the options. Raises ValueError for one that sshd does not know: it drops such a line."""
    place, end = 0, ","
    while end == ",":
        option = OPTION.match(line, place)
        if option is None:
            raise ValueError(f"this is no public ssh key; {TODO}")
        name, value, end = option.groups()
        known, other = (WITH_VALUE, FLAGS) if value else (FLAGS, WITH_VALUE)
        if name.lower() in other:
            wrong = "takes no value" if value else "needs a value in double quotes"
            raise ValueError(f"the option '{name}' before the key {wrong}; see authorized_keys(5)")
        if re.match(r"(sk-)?(ssh|ecdsa)-", name):
            raise ValueError(f"the type of this key is not one that OpenSSH takes; {TODO}")
        if name.lower() not in known:
            near = difflib.get_close_matches(name.lower(), sorted(WITH_VALUE | FLAGS), n=1)
            todo = f"did you mean '{near[0]}'?" if near else "correct it; see authorized_keys(5)"
            raise ValueError(
                f"the option '{name[:40]}' before the key is unknown, so sshd would drop the key; {todo}"
            )
        place = option.end()
    return line[place:]


def _check_blob(kind: str, blob: str) -> None:
    """Raise ValueError unless the key holds all that its type needs, and nothing else."""
    broken = f"the {kind} key is cut off or damaged; copy the whole {TODO.removeprefix('give the ')}"
    try:
        data = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(broken) from None
    fields = []
    while data:
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length:
            raise ValueError(broken)
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    if not fields or fields[0] != kind.encode() or len(fields) != 1 + len(FIELDS[kind]):
        raise ValueError(broken)
    for field, wanted in zip(fields[1:], FIELDS[kind], strict=True):
        if wanted == "modulus" and field and len(field) <= LEAST_MODULUS_BYTES:
            raise ValueError(
                f"the RSA key has {(len(field) - 1) * 8} bits, OpenSSH takes 1024 at least; make a longer one"
            )
        exact = (
            field == wanted.encode() if wanted in CURVES and isinstance(wanted, str) else len(field) == wanted
        )
        if not field or not (exact or wanted in {"number", "modulus", "text"}):
            raise ValueError(broken)
