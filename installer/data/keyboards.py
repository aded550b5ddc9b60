"""The keyboard layouts of the answer file, as /etc/default/keyboard names them."""

from __future__ import annotations

from typing import Final, NamedTuple


class Keyboard(NamedTuple):
    """XKBLAYOUT and XKBVARIANT of a layout."""

    layout: str
    variant: str = ""


KEYBOARDS: Final = {
    "de": Keyboard("de", "nodeadkeys"),
    "de-ch": Keyboard("ch", "de_nodeadkeys"),
    "dk": Keyboard("dk", "nodeadkeys"),
    "en-gb": Keyboard("gb"),
    "en-us": Keyboard("us"),
    "es": Keyboard("es", "nodeadkeys"),
    "fi": Keyboard("fi", "nodeadkeys"),
    "fr": Keyboard("fr", "nodeadkeys"),
    "fr-be": Keyboard("be", "nodeadkeys"),
    "fr-ca": Keyboard("ca", "fr-legacy"),
    "fr-ch": Keyboard("ch", "fr_nodeadkeys"),
    "hu": Keyboard("hu"),
    # The peer asks for is(nodeadkeys), which xkeyboard-config no longer has.
    "is": Keyboard("is"),
    "it": Keyboard("it", "nodeadkeys"),
    "jp": Keyboard("jp"),
    "lt": Keyboard("lt", "std"),
    "mk": Keyboard("mk", "nodeadkeys"),
    "nl": Keyboard("nl"),
    "no": Keyboard("no", "nodeadkeys"),
    "pl": Keyboard("pl"),
    "pt": Keyboard("pt", "nodeadkeys"),
    "pt-br": Keyboard("br", "nodeadkeys"),
    "se": Keyboard("se", "nodeadkeys"),
    "si": Keyboard("si"),
    "tr": Keyboard("tr"),
}
"""Layout id of the answer file -> XKB names."""
