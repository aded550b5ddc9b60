from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from tests.vm.lab.http import Fault, Received, Reply, Site, _Handler, _Server, identities, parse_start, spoil

MACHINE = {
    "dmi": {"system": {"serial": "SN1", "uuid": "AA-BB"}},
    "network_interfaces": [{"link": "eno1", "mac": "52:54:00:AA:00:01"}],
}


def get(path: str, **headers: str) -> Received:
    return Received(0, "GET", path, headers, b"")


def post(path: str, body: object, **headers: str) -> Received:
    return Received(0, "POST", path, headers, json.dumps(body).encode())


def test_answer_by_identity() -> None:
    site = Site(answers={"sn1": "one", "52:54:00:aa:00:02": "two"})
    assert site.reply(post("/answer", MACHINE)).body == b"one"
    assert site.reply(get("/answer/SN1")).body == b"one"
    assert site.reply(get("/answer/52:54:00:AA:00:02")).body == b"two"
    assert site.reply(get("/answer/other")).status == 404
    assert site.reply(post("/answer", {"dmi": None})).status == 404


def test_identity_begins_with_what_is_most_exact() -> None:
    assert identities(post("/answer", MACHINE)) == ["sn1", "aa-bb", "52:54:00:aa:00:01"]


def test_token() -> None:
    site = Site(texts={"/x": b"x"}, tokens={"/x": "t"})
    assert site.reply(get("/x")).status == 401
    assert site.reply(get("/x", authorization="Bearer t")).body == b"x"


def test_faults_come_one_after_the_other() -> None:
    site = Site(texts={"/x": b"x"}, faults={"/x": [Fault("error", 2), Fault("half", 1)]})
    replies = [site.reply(get("/x")) for _ in range(4)]
    assert [(reply.status, reply.fault) for reply in replies] == [
        (500, ""),
        (500, ""),
        (200, "half"),
        (200, ""),
    ]


def test_requests_are_kept(tmp_path: Path) -> None:
    site = Site()
    assert site.reply(post("/report", {"event": "started"}, authorization="Bearer t")).status == 200
    assert site.wait("/report", 0).json() == {"event": "started"}
    assert [request.method for request in site.received("/report")] == ["POST"]
    site.write_log(tmp_path / "log")
    assert json.loads((tmp_path / "log").read_text())["path"] == "/report"


@pytest.mark.parametrize(
    ("fault", "body"), [("", b"abcdefg"), ("half", b"abc"), ("flip", b"abceefg"), ("error", b"abcdefg")]
)
def test_spoiled_bodies(fault: str, body: bytes) -> None:
    for pieces in ([b"abcdefg"], [b"ab", b"cde", b"fg"], [b"abc", b"defg"]):
        assert b"".join(spoil(iter(pieces), 7, fault)) == body


@pytest.mark.parametrize(
    ("header", "start"), [("", 0), ("bytes=3-", 3), ("bytes=3-4", 0), ("bytes=7-", 0), ("bytes=-2", 0)]
)
def test_ranges(header: str, start: int) -> None:
    assert parse_start(header, Reply(200, b"abcdefg")) == start


def exchange(site: Site, request: bytes) -> tuple[bytes, bytes]:
    """Send a request to a handler over a pair of sockets; give head and body."""
    ours, theirs = socket.socketpair()
    with ours, theirs, _Server(socket.create_server(("127.0.0.1", 0)), site, None) as server:
        thread = threading.Thread(target=_Handler, args=(theirs, ("127.0.0.1", 1), server))
        thread.start()
        ours.sendall(request)
        ours.shutdown(socket.SHUT_WR)
        thread.join()
        theirs.shutdown(socket.SHUT_WR)
        head, _, body = b"".join(iter(lambda: ours.recv(65536), b"")).partition(b"\r\n\r\n")
    return head, body


def test_files_by_http(tmp_path: Path) -> None:
    (tmp_path / "grubx64.efi").write_bytes(b"abcdefg")
    site = Site(folders={"/": tmp_path}, faults={"/grubx64.efi": [Fault("half", 1)]})
    head, body = exchange(site, b"GET //grubx64.efi HTTP/1.1\r\n\r\n")
    assert (b"Content-Length: 7" in head, body) == (True, b"abc")
    head, body = exchange(site, b"GET /grubx64.efi HTTP/1.1\r\nRange: bytes=3-\r\n\r\n")
    assert (head.splitlines()[0], body) == (b"HTTP/1.1 206 Partial Content", b"defg")
    assert b"Content-Range: bytes 3-6/7" in head
    head, body = exchange(site, b"HEAD /grubx64.efi HTTP/1.1\r\n\r\n")
    assert (b"Content-Length: 7" in head, body) == (True, b"")
    head, body = exchange(site, b"GET /../../etc/passwd HTTP/1.1\r\n\r\n")
    assert head.splitlines()[0] == b"HTTP/1.1 404 Not Found"
