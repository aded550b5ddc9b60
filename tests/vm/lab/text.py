"""Terminal output turned into plain text as it arrives."""

from __future__ import annotations

import codecs
import re
from typing import Final

_SEQUENCE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS and the other strings
    r"|\x1b[ -/]+[0-~]"  # character sets
    r"|\x1b[0-OQ-WYZ\\`-~]"  # two-character functions
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
_LONGEST_SEQUENCE: Final = 4096
"""An escape sequence that has not ended after so many characters is taken for noise."""


class PlainText:
    """Strips escape sequences from a byte stream that comes in arbitrary pieces."""

    def __init__(self) -> None:
        """Start at the beginning of a stream."""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._pending = ""

    def feed(self, data: bytes) -> str:
        r"""Take the next bytes of the stream and give the plain text they complete.

        `\r\n` becomes `\n`; a lone `\r` (a progress line drawn again) becomes `\n` too, so that every state of such
        a line can be matched.
        """
        text = _SEQUENCE.sub("", self._pending + self._decoder.decode(data))
        cut = text.find("\x1b")
        if cut >= 0 and len(text) - cut > _LONGEST_SEQUENCE:
            text = text.replace("\x1b", "")
            cut = -1
        if cut < 0 and text.endswith("\r"):
            cut = len(text.rstrip("\r"))
        text, self._pending = (text, "") if cut < 0 else (text[:cut], text[cut:])
        return _CONTROLS.sub("", re.sub(r"\r+\n|\r+", "\n", text))
