"""What the status screens do without."""

from __future__ import annotations

import importlib
import platform
import sys
from unittest.mock import patch

import pytest

from agent.lean_screen import leave_out
from agent.status import certificate_fingerprint

LARGE = {"asyncio", "ssl", "_ssl", "_hashlib", "aiohttp", "cryptography", "pydantic"}
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def test_the_screen_brings_no_large_library(monkeypatch: pytest.MonkeyPatch) -> None:
    # urwid asks it, and it runs uname(1).
    monkeypatch.setattr(platform, "platform", lambda: "Linux")
    with patch.dict(sys.modules):
        for name in [*sys.modules]:
            if name.split(".")[0] in LARGE | {"agent", "hashlib", "urwid"}:
                del sys.modules[name]
        leave_out(sys.modules)
        importlib.import_module("agent.screen")
        assert [name for name in sorted(LARGE) if sys.modules.get(name)] == []
        assert importlib.import_module("urwid").SelectEventLoop
        fingerprint = importlib.import_module("agent.status").certificate_fingerprint(PEM)
    assert fingerprint == certificate_fingerprint(PEM) != ""
