"""Looks for secrets in the files of a node that do not come from the image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

FOLDERS: Final = ("/boot", "/etc", "/home", "/opt", "/root", "/srv", "/var")
SHADOW: Final = ("/etc/shadow", "/etc/shadow-")
_LARGEST_BYTES: Final = 256 << 20


def find_secrets(secrets: Iterable[str]) -> dict[str, object]:
    """Search for secrets, and for the hash of root's password outside the files of the passwords.

    Args:
        secrets: texts that must not be there.

    Returns:
        `hash`: that of root's password; `found`: files with a secret, each with the secret.
    """
    shadow = Path(SHADOW[0]).read_text(encoding="utf-8").splitlines()
    password_hash = next(line.split(":")[1] for line in shadow if line.startswith("root:"))
    wanted = [text.encode() for text in (*secrets, password_hash)]
    found = []
    for path in _files():
        content = path.read_bytes()
        found += [[str(path), text.decode()] for text in wanted if text in content]
    return {"hash": password_hash, "found": found}


def _files() -> Iterator[Path]:
    device = Path("/").stat().st_dev
    for top in FOLDERS:
        for folder, subfolders, names in os.walk(top):
            subfolders[:] = [name for name in subfolders if Path(folder, name).lstat().st_dev == device]
            for name in names:
                path = Path(folder, name)
                plain = path.is_file() and not path.is_symlink() and str(path) not in SHADOW
                if plain and path.stat().st_size <= _LARGEST_BYTES:
                    yield path
