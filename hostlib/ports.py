"""The ports that a node listens on; nothing else does."""

from __future__ import annotations

from typing import Final

SSH: Final = 22
WEB_CONSOLE: Final = 8006
INCUS: Final = 8443
ENROLLMENT: Final = 8007
