"""Tells a whole public ssh key from one that was cut off when it was pasted."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from installer.answers.hints import wrong

_KEY_PATTERN: Final = re.compile(
    r"(?:^|\s)((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+)\s+([A-Za-z0-9+/]+={0,2})(?:\s|$)"
)


def check_ssh_key(value: str) -> str:
    """Accept one line of authorized_keys, options and comment included, and give it without space around it."""
    line = value.strip()
    if "PRIVATE KEY" in line:
        raise wrong("this is a private key", "give the public key, from the file that ends in .pub")
    if "\n" in line or "\r" in line:
        raise wrong("the key holds a line break", "give each key as one entry of the list")
    found = _KEY_PATTERN.search(line)
    if not found:
        raise wrong("this is no public key", "give a line such as `ssh-ed25519 AAAA… name`")
    if not _is_whole(found[1], found[2]):
        raise wrong(f"the {found[1]} key is damaged or cut off", "copy the whole line of the .pub file")
    return line


def _is_whole(kind: str, encoded: str) -> bool:
    """Walk the fields of the blob (RFC 4253, section 6.6): the first is the type, the last ends at the end."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    fields: list[bytes] = []
    while blob:
        length = int.from_bytes(blob[:4])
        if len(blob) < 4 + length:
            return False
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return len(fields) >= 2 and fields[0] == kind.encode()
