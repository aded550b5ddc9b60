"""How long the tests wait for a guest, in seconds. Limits for a slow and busy host, not expectations."""

from __future__ import annotations

from typing import Final

NODE_SECONDS: Final = 1200.0
"""From power-on of an installed disk to the end of first boot and the judge's report."""
EVENT_SECONDS: Final = 900.0
"""Until an event of an installation or of first boot."""
NETBOOT_SECONDS: Final = 800.0
"""From power-on to the first words of a live system that comes over the network."""
PAGE_SECONDS: Final = 300.0
"""Until a page of the web console shows what it has; each starts programs of the node."""
