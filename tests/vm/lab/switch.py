"""A network switch that says who it is: what a card hangs on when nothing but LLDP is wanted of it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import tempfile
import threading
from pathlib import Path
from typing import Final, Self

NAME: Final = "sw1.lab.test"
PORT: Final = "Gi1/0/17"
_EVERY_SECONDS: Final = 2.0
_MAC: Final = bytes.fromhex("020000000001")
_NEAREST_BRIDGE: Final = bytes.fromhex("0180c200000e")
_FRAME_BYTES: Final = 65536
_ETHERTYPE: Final = 0x88CC


def make_lldp_frame(name: str, port: str) -> bytes:
    """Give the Ethernet frame by which a switch tells its name and a port's (IEEE 802.1AB)."""
    parts = [
        (1, b"\x04" + _MAC),  # chassis: a MAC address
        (2, b"\x05" + port.encode()),  # port: the name of an interface
        (3, struct.pack("!H", 120)),  # seconds that it holds
        (5, name.encode()),  # name of the system
        (0, b""),  # the end
    ]
    body = b"".join(struct.pack("!H", kind << 9 | len(value)) + value for kind, value in parts)
    return (_NEAREST_BRIDGE + _MAC + struct.pack("!H", _ETHERTYPE) + body).ljust(60, b"\0")


class Switch:
    """Sends LLDP to one machine's card while it is entered."""

    def __enter__(self) -> Self:
        """Begin; the card may come later."""
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-switch-"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.peer))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="switch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._ended.set()
        self._thread.join()
        self._socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def peer(self) -> Path:
        """Socket that takes what the card sends."""
        return self.folder / "switch"

    @property
    def card(self) -> Path:
        """Socket of the card, made by QEMU."""
        return self.folder / "card"

    def _run(self) -> None:
        frame = make_lldp_frame(NAME, PORT)
        while not self._ended.wait(_EVERY_SECONDS):
            # Not there yet, or too busy to take one.
            with contextlib.suppress(OSError):
                self._socket.sendto(frame, socket.MSG_DONTWAIT, str(self.card))
            # What the card sends goes nowhere, but must be taken: QEMU would wait.
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._socket.recv(_FRAME_BYTES, socket.MSG_DONTWAIT)
