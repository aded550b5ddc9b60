"""More terminals join a running installer: over a Unix socket, on which each hands over its own terminal.

A client sends one message, a JSON object with the terminal's file descriptor beside it, and waits. When its screens
end it gets one message and the connection is closed; whoever closes it before takes the terminal away.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from hostlib.errors import ExitStatus, Problem, StepError, UserError
from hostlib.paths import TUI_SOCKET

LOG = logging.getLogger("slipway.tui")
MESSAGE_BYTES: Final = 4096
HELLO_SECONDS: Final = 5.0
"""Who connects and says nothing is sent away after this time."""
RESTORE: Final = "\x1b[?2004l\x1b[?1049l\x1b[0m\x1b[?25h\r\n"
"""Nothing about pasting, the normal screen, no colours, a cursor: what xterm and its kin call it."""


MONOCHROME: Final = frozenset({"", "dumb", "vt100", "vt102", "vt220"})
"""Values of TERM for terminals without colours, and without any sign of more than ASCII."""
_SERIAL: Final = re.compile(r"/dev/(tty[A-Z]|hvc|xvc)")


def is_plain(environment: Mapping[str, str], terminal: str) -> bool:
    """Tell whether a terminal gets ASCII alone. `terminal` is its path.

    The locale's charset is the terminal's, see locale(7); Python's own encoding says nothing of it in UTF-8 mode. What
    is at the other end of a serial line no variable tells.
    """
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    utf8 = re.search(r"\.utf-?8(@|$)", locale, re.IGNORECASE)
    return not utf8 or environment.get("TERM", "") in MONOCHROME or bool(_SERIAL.match(terminal))


def is_plain_here(descriptor: int = 0) -> bool:
    """Tell the same of the terminal that this program was started from."""
    name = ""
    with contextlib.suppress(OSError):
        name = os.ttyname(descriptor)
    return is_plain(os.environ, name)


@dataclass(frozen=True, slots=True, eq=False)
class Guest:
    """Somebody who has handed over a terminal."""

    connection: socket.socket
    terminal: str
    """Its path, such as /dev/pts/0."""
    term: str
    """Value of TERM there."""
    ascii_only: bool


class Loop(Protocol):
    """What the door needs of an event loop."""

    def watch_file(self, fd: int, callback: Callable[[], None]) -> object:
        """Call back when there is something to read."""

    def remove_watch_file(self, handle: int) -> bool:
        """Stop that."""

    def alarm(self, seconds: float, callback: Callable[[], None]) -> object:
        """Call back once, after this time."""


class Door:
    """Lets guests in. Nothing that one sends disturbs the loop; only the user that runs this may come."""

    def __init__(
        self,
        listener: socket.socket,
        loop: Loop,
        enter: Callable[[Guest], None],
        gone: Callable[[Guest], None],
    ) -> None:
        """Take the listening socket, and who is told of guests that come and of those that have gone away."""
        self._listener = listener
        self._loop = loop
        self._enter = enter
        self._gone = gone
        self._guests: dict[socket.socket, Guest | None] = {}
        loop.watch_file(listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            LOG.warning("a terminal cannot join: %s", error)
            return
        connection.setblocking(False)
        if _peer_uid(connection) not in {0, os.geteuid()}:
            connection.close()
            return
        self._guests[connection] = None
        self._loop.watch_file(connection.fileno(), partial(self._hear, connection))
        self._loop.alarm(HELLO_SECONDS, partial(self._tire, connection))

    def _tire(self, connection: socket.socket) -> None:
        if connection in self._guests and self._guests[connection] is None:
            self.dismiss(connection, {"refused": f"nothing was heard for {HELLO_SECONDS:g} s"})

    def _hear(self, connection: socket.socket) -> None:
        guest = self._guests[connection]
        if guest is not None:
            # It has nothing more to say: this is its end.
            self._forget(connection)
            self._gone(guest)
            return
        try:
            guest = _receive(connection)
        except BlockingIOError:
            return
        except (OSError, ValueError, RecursionError) as error:
            LOG.warning("a terminal cannot join: %s", error)
            self.dismiss(connection, {"refused": str(error)})
            return
        self._guests[connection] = guest
        self._enter(guest)

    def _forget(self, connection: socket.socket) -> None:
        if connection in self._guests:
            del self._guests[connection]
            self._loop.remove_watch_file(connection.fileno())

    def dismiss(self, connection: socket.socket, message: dict[str, object]) -> None:
        """Send somebody away with a last message."""
        self.release(connection)
        farewell(connection, message)

    def release(self, connection: socket.socket) -> None:
        """Hear this guest no more; the connection stays open for `farewell`."""
        self._forget(connection)

    def close(self) -> None:
        """Let nobody in any more, and close what was never a guest's."""
        self._loop.remove_watch_file(self._listener.fileno())
        for connection, guest in list(self._guests.items()):
            self._forget(connection)
            if guest is None:
                connection.close()


def farewell(connection: socket.socket, message: dict[str, object]) -> None:
    """Send the last message, where it still arrives, and close; from any thread."""
    with contextlib.suppress(OSError):
        connection.send(json.dumps(message).encode())
    connection.close()


def _peer_uid(connection: socket.socket) -> int:
    """Give the user at the other end, see SO_PEERCRED in unix(7)."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


def _receive(connection: socket.socket) -> Guest:
    """Take the first message. Raises BlockingIOError, OSError, ValueError."""
    data, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 1)
    try:
        hello = json.loads(data)
        if not isinstance(hello, dict) or not descriptors:
            raise ValueError("this is no terminal that was handed over")
        # Only its path is taken: settings such as O_NONBLOCK would reach the shell that shares the descriptor.
        try:
            path = os.ttyname(descriptors[0])
        except OSError as error:
            raise ValueError(f"what was handed over is no terminal ({error.strerror})") from error
        return Guest(connection, path, str(hello.get("term", "")), hello.get("ascii") is not False)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@contextlib.contextmanager
def listening(path: Path = TUI_SOCKET) -> Iterator[socket.socket | None]:
    """Listen for terminals while this lasts, for root alone. Where that fails, the screens do without."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        listener.setblocking(False)
    except OSError as error:
        LOG.warning("%s: no terminal can join: %s", path, error.strerror)
        listener.close()
        yield None
        return
    try:
        yield listener
    finally:
        path.unlink(missing_ok=True)
        listener.close()


# The other end.


def join(*, ascii_only: bool, path: Path = TUI_SOCKET, descriptor: int = 0) -> int | None:
    """Hand this program's terminal to a running installer, until a person leaves; give the exit status.

    None where no installer listens. Raises UserError when it is refused, StepError when the installer goes away.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return None
        settings = termios.tcgetattr(descriptor)
        hello = {"term": os.environ.get("TERM", ""), "ascii": ascii_only or is_plain_here(descriptor)}
        answer = b""
        try:
            # Without a time limit: a person takes as long as it takes.
            with contextlib.suppress(OSError):
                socket.send_fds(connection, [json.dumps(hello).encode()], [descriptor])
                answer = connection.recv(MESSAGE_BYTES)
        finally:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    return _conclude(answer)


def _conclude(answer: bytes) -> int:
    if not answer:
        sys.stdout.write(RESTORE)
        what = "the installer that this terminal had joined has ended without a word"
        raise StepError(
            str(Problem("tui", what, "`journalctl -u slipway-installer` tells why; start it once more"))
        )
    message = json.loads(answer)
    if "refused" in message:
        raise UserError(Problem("tui", f"the running installer refused this terminal: {message['refused']}",
                                "`journalctl -u slipway-installer` tells more"))  # fmt: skip
    if message.get("goes_on"):
        sys.stdout.write("The installer goes on. `slipway-install tui` comes back to it.\n")
    else:
        sys.stdout.write("The installer was left on another terminal.\n")
    return int(message.get("status", ExitStatus.DONE))
