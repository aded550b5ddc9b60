"""A server for machines that install themselves: boot files, answers by identity, collected reports, and faults."""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from tests.vm.lab.errors import LabTimeout
from tests.vm.lab.tls import Certificate

ANSWERS: Final = "/answer"
"""POST here with an identity, or GET `/answer/<MAC, serial number or UUID>`."""
COLLECTED: Final = ("/report", "/webhook")
TOML: Final = "application/toml"
_PIECE_BYTES: Final = 1 << 18
_IDLE_SECONDS: Final = 60.0
_FOR_EVER: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Received:
    """One request. `seconds` are of the monotonic clock; names of headers are in lower case."""

    seconds: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Give the body, read as JSON. Raises ValueError."""
        return json.loads(self.body)


@dataclass(slots=True)
class Fault:
    """What goes wrong with a path, and how often before it goes well.

    `error`: status 500; `hang`: no answer at all; `half`: the length of the whole, then half of it and the end of the
    connection; `flip`: one bit in the middle is another.
    """

    kind: Literal["error", "hang", "half", "flip"]
    times: int = _FOR_EVER


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: a text, or a file."""

    status: int = 200
    body: bytes | Path = b""
    content_type: str = "application/octet-stream"
    fault: str = ""

    @property
    def whole_bytes(self) -> int:
        """Length of the text or file."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.stat().st_size


@dataclass(slots=True)
class Site:
    """What the server gives, and what it was asked. Several servers may share it, such as one for http and one for https.

    Attributes:
        folders: folder by the path that it is served under, ending in `/`; the longest one that fits counts.
        texts: content by path.
        answers: answer file by serial number, MAC address or UUID, in lower case.
        tokens: bearer token that requests to a path need.
        faults: by path, one after the other.
    """

    folders: Mapping[str, Path] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    _received: list[Received] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def reply(self, request: Received) -> Reply:
        """Take a request down and give what is answered."""
        with self._changed:
            self._received.append(request)
            self._changed.notify_all()
            fault = self._take_fault(request.path)
        token = self.tokens.get(request.path)
        if token is not None and request.headers.get("authorization") != f"Bearer {token}":
            return Reply(401, b"this needs a token\n")
        if fault == "error":
            return Reply(500, b"out of order\n")
        found = self._find(request)
        return Reply(found.status, found.body, found.content_type, fault)

    def _take_fault(self, path: str) -> str:
        for fault in self.faults.get(path, []):
            if fault.times > 0:
                fault.times -= 1
                return fault.kind
        return ""

    def _find(self, request: Received) -> Reply:
        path = request.path
        if path == ANSWERS or path.startswith(f"{ANSWERS}/"):
            answer = next((self.answers[key] for key in identities(request) if key in self.answers), None)
            return (
                Reply(404, b"no answer for this machine\n")
                if answer is None
                else Reply(200, answer.encode(), TOML)
            )
        if path in self.texts:
            return Reply(200, self.texts[path])
        if request.method == "POST":
            return Reply(200, b"{}", "application/json") if path in COLLECTED else Reply(404)
        for prefix in sorted(self.folders, key=len, reverse=True):
            file = self.folders[prefix] / path.removeprefix(prefix)
            # `path` is normalised: it cannot lead out of the folder.
            if path.startswith(prefix) and file.is_file():
                return Reply(200, file)
        return Reply(404)

    def received(self, path: str) -> list[Received]:
        """Give the requests to a path, in the order in which they came."""
        with self._changed:
            return [request for request in self._received if request.path == path]

    def wait(self, path: str, timeout_seconds: float) -> Received:
        """Wait for the first request to a path. Raises LabTimeout."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while not (found := [request for request in self._received if request.path == path]):
                rest = deadline - time.monotonic()
                if rest <= 0:
                    asked = ", ".join(dict.fromkeys(request.path for request in self._received)) or "nothing"
                    raise LabTimeout(
                        f"nobody asked for {path} in {timeout_seconds:g} s; asked for was {asked}"
                    )
                self._changed.wait(rest)
            return found[0]

    def write_log(self, path: Path) -> None:
        """Write all requests down, for whoever looks into a failure: one JSON object a line."""
        with self._changed:
            rows = [
                (r.seconds, r.method, r.path, dict(r.headers), r.body.decode(errors="replace"))
                for r in self._received
            ]
        names = ("seconds", "method", "path", "headers", "body")
        path.write_text(
            "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows), encoding="utf-8"
        )


def identities(request: Received) -> list[str]:
    """Give what a request says about the machine, in lower case, the most exact first.

    A POST names itself by the peer's JSON (`dmi.system`, `network_interfaces`), a GET by the end of its path.
    """
    if request.method != "POST":
        return [request.path.removeprefix(f"{ANSWERS}/").lower()]
    try:
        machine = request.json()
        system = machine["dmi"]["system"]
        names = [system.get("serial", ""), system.get("uuid", "")]
        names += [interface["mac"] for interface in machine["network_interfaces"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return [str(name).lower() for name in names if name]


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for a site."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        # shim asks for //grubx64.efi.
        path = posixpath.normpath("/" + unquote(urlsplit(self.path).path).lstrip("/"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        site = self.server.site
        reply = site.reply(Received(time.monotonic(), self.command, path, headers, self.rfile.read(length)))
        if reply.fault == "hang":
            site.ended.wait()
            self.close_connection = True
            return
        start = parse_start(headers.get("range", ""), reply)
        self.send_response(206 if start else reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(reply.whole_bytes - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{reply.whole_bytes - 1}/{reply.whole_bytes}")
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in spoil(_pieces(reply, start), reply.whole_bytes - start, reply.fault):
            self.wfile.write(piece)
        self.close_connection |= reply.fault == "half"

    do_GET = do_HEAD = do_POST = _serve  # noqa: N815 - the base class wants these names

    def log_message(self, *_: object) -> None:
        """Say nothing: the site keeps what it was asked."""


def parse_start(header: str, reply: Reply) -> int:
    """Give where a request wants a file to begin (`Range: bytes=N-`); 0 for any other range, which is not served."""
    match = re.fullmatch(r"bytes=(\d+)-", header)
    wanted = int(match[1]) if match and reply.status == 200 else 0
    return wanted if wanted < reply.whole_bytes else 0


def _pieces(reply: Reply, start: int) -> Iterator[bytes]:
    if isinstance(reply.body, bytes):
        yield reply.body[start:]
        return
    with reply.body.open("rb") as file:
        file.seek(start)
        while piece := file.read(_PIECE_BYTES):
            yield piece


def spoil(pieces: Iterator[bytes], size_bytes: int, fault: str) -> Iterator[bytes]:
    """Cut a body in the middle (`half`), or turn one bit there (`flip`); any other fault changes nothing."""
    middle, sent = size_bytes // 2, 0
    for piece in pieces:
        here = middle - sent
        sent += len(piece)
        if not 0 <= here < len(piece) or fault not in {"half", "flip"}:
            yield piece
        elif fault == "flip":
            yield piece[:here] + bytes([piece[here] ^ 1]) + piece[here + 1 :]
        else:
            yield piece[:here]
            return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, site: Site, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.site = site
        # The handshake is the request's own thread's: a client that hangs in it keeps nobody else waiting.
        self.socket = (
            context.wrap_socket(listening, server_side=True, do_handshake_on_connect=False)
            if context
            else listening
        )

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that break off are part of the tests."""


def listen_on_loopback() -> socket.socket:
    """Give a listening socket on a free port of 127.0.0.1."""
    return socket.create_server(("127.0.0.1", 0))


@contextlib.contextmanager
def serve(site: Site, listening: socket.socket, certificate: Certificate | None = None) -> Iterator[int]:
    """Serve a site until the block ends; with a certificate over TLS.

    Args:
        site: what is served.
        listening: a listening socket, whatever network it is in; closed at the end.
        certificate: for https.

    Yields:
        The port.
    """
    port = int(listening.getsockname()[1])
    with _Server(listening, site, certificate.context() if certificate else None) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="http", daemon=True)
        thread.start()
        try:
            yield port
        finally:
            site.ended.set()
            server.shutdown()
            thread.join()
