"""Knows whether something must be built again: a digest of all that goes into it, kept beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from hostlib.files import read_if_there, write_atomic


def digest_inputs(paths: Iterable[Path], *facts: str) -> str:
    """Give a SHA-256 over files (folders are walked), their modes and some facts.

    Bytecode is left out. A path that does not exist counts as such.
    """
    state = hashlib.sha256("\0".join(facts).encode())
    for path in sorted(_walk(paths)):
        state.update(f"\0{path}\0".encode())
        if path.is_symlink():
            state.update(str(path.readlink()).encode())
        elif path.is_file():
            state.update(f"{path.stat().st_mode & 0o111:o}\0".encode())
            state.update(path.read_bytes())
    return state.hexdigest()


def _walk(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            yield from _walk(child for child in path.iterdir() if child.name != "__pycache__")
        else:
            yield path


class Stamp:
    """The digest that a set of products was made from."""

    def __init__(self, path: Path, digest: str, products: Iterable[Path]) -> None:
        """Take where the digest is kept, what it is now, and the files that it stands for."""
        self._path = path
        self._digest = digest
        self._products = tuple(products)

    def is_current(self) -> bool:
        """True when all products are there and were made from the same inputs."""
        return read_if_there(self._path) == self._digest and all(path.exists() for path in self._products)

    def drop(self) -> None:
        """Forget, before the products are made again: an interrupted build must not look finished."""
        self._path.unlink(missing_ok=True)

    def keep(self) -> None:
        """Remember that the products are made."""
        write_atomic(self._path, self._digest + "\n")
