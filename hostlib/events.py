"""Progress events: one JSON object a line, for programs that watch an installation or a first boot."""

from __future__ import annotations

import json
import os
from pathlib import Path


class EventLog:
    """Appends events to a file. A full or missing disk never stops what is being reported on."""

    def __init__(self, path: Path) -> None:
        """Take the file to append to; its folder is made when the first event comes."""
        self._path = path

    def emit(self, event: str, **fields: str | float | None) -> None:
        """Append `{"event": …, …}`; the caller's fields must hold no secret."""
        line = json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError:
            return
