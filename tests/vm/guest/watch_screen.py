"""Tells the host what the first virtual terminal shows, whenever that changes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.vm.guest.port import send

TEXT: Final = Path("/dev/vcsu1")
"""Four bytes a character, in the machine's order (vcs(4))."""
SIZE: Final = Path("/dev/vcsa1")
"""Begins with one byte each for lines and columns."""
_POLL_SECONDS: Final = 0.25


def main(parameters: Mapping[str, Any]) -> None:
    """Send the text as a message of kind `screen`, for ever."""
    del parameters
    shown = ""
    while True:
        text = _read()
        if text != shown:
            send("report", {"kind": "screen", "text": text})
            shown = text
        time.sleep(_POLL_SECONDS)


def _read() -> str:
    with SIZE.open("rb") as file:
        columns = file.read(2)[1]
    text = TEXT.read_bytes().decode("utf-32-le", errors="replace")
    return "\n".join(text[start : start + columns].rstrip() for start in range(0, len(text), columns))
