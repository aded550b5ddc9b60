"""Joins standard input and output to a TCP port of 127.0.0.1: `python3 -I forward.py PORT`.

QEMU starts one for each connection of a guest to an address that the lab offers it (`guestfwd`).
"""

from __future__ import annotations

import os
import socket
import sys
import threading


def _upload(port: socket.socket) -> None:
    while data := os.read(0, 65536):
        port.sendall(data)
    port.shutdown(socket.SHUT_WR)


def main() -> None:
    """Carry bytes both ways until the server closes."""
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as port:
        threading.Thread(target=_upload, args=(port,), daemon=True).start()
        while data := port.recv(65536):
            while data:
                data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
