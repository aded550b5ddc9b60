"""`python3 -m agent.lean_screen`: the status screen of a console in as little memory as it takes.

It stays for good, on each console. urwid brings every event loop that it finds, that of asyncio with all of TLS, and
hashlib brings OpenSSL: together 6 of 29 MB, and nothing of it is used there.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from types import SimpleNamespace
from typing import Any, Final

LOOPS: Final = ("glib", "tornado", "trio", "twisted", "zmq")
"""Event loops that urwid can do without: it takes them for not installed."""


def leave_out(modules: MutableMapping[str, Any]) -> None:
    """Have `modules`, those of the interpreter, not be looked for where they are too large."""
    modules["urwid.event_loop.asyncio_loop"] = SimpleNamespace(AsyncioEventLoop=None)
    modules.update({f"urwid.event_loop.{name}_loop": None for name in LOOPS})
    # Python has SHA-256 of its own.
    modules["_hashlib"] = None


if __name__ == "__main__":
    leave_out(sys.modules)
    from agent.screen import run_screen

    sys.exit(run_screen())
