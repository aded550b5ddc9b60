"""Reports the text of files, early in the boot of a node that is not to be judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.vm.guest.port import send


def main(parameters: Mapping[str, Any]) -> None:
    """Report `files`: path -> text, as a message of kind `files`."""
    paths = [str(path) for path in parameters["files"]]
    texts = {path: Path(path).read_text(encoding="utf-8") for path in paths}
    send("report", {"kind": "files", "files": texts})
