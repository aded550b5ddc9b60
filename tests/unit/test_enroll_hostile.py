import asyncio
import gzip
import json
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.protocol import LIMIT_BYTES
from agent.server import Limits
from tests.unit import enroll_fakes, http_servers
from tests.unit.enroll_fakes import Member, Node, blind, in_loop

_closed_world = http_servers.closed_world
_cheap_hashes = enroll_fakes.cheap_hashes
ENROLL = "/v1/enroll"
GOOD = json.loads(Node().request().model_dump_json())


BODIES: list[tuple[str | bytes, str]] = [
    (b"", "body: Invalid JSON"),
    (b"\xff\xfe{", "body: Invalid JSON"),
    (b'{"token": "\\ud800"}', "body: Invalid JSON"),
    (b"[" * 60000, "body: Invalid JSON: recursion"),
    (b'{"a":' * 12000, "body: Invalid JSON: recursion"),
    (b"null", "body: Input should be an object"),
    (json.dumps({**GOOD, "version": 2}), "version: Input should be 1"),
    (json.dumps({**GOOD, "version": "1"}), "version: Input should be 1"),
    (json.dumps({**GOOD, "token": 7}), "token: Input should be a valid string"),
    (json.dumps({**GOOD, "token": "s3cret" * 60}), "token: String should have at most"),
    (json.dumps({**GOOD, "facts": []}), "facts: Input should be an object"),
    (json.dumps({**GOOD, "facts": {**GOOD["facts"], "macs": {}}}), "facts.macs: Input"),
    (json.dumps({**GOOD, "facts": {**GOOD["facts"], "macs": ["a"] * 300}}), "facts.macs: Tuple should"),
    (json.dumps({**GOOD, "facts": {**GOOD["facts"], "fqdn": "a b"}}), "'a b' is no name of a node"),
    (json.dumps({**GOOD, "facts": {**GOOD["facts"], "serial": "\x1b[2J"}}), "facts.serial: it holds"),
    (json.dumps({**GOOD, "\x1b[2J": 1}), "\\x1b[2J: Extra inputs"),
]


@in_loop
async def test_a_body_that_is_none(tmp_path: Path) -> None:
    async with Member(tmp_path).serving() as member:
        for body, said in BODIES:
            status, reply = await member.ask("POST", ENROLL, body)
            assert (status, reply["code"]) == (400, "malformed")
            assert reply["reason"].startswith(said)
            assert "s3cret" not in reply["reason"]


@in_loop
async def test_a_body_that_is_too_large_or_compressed(tmp_path: Path) -> None:
    async def pieces() -> Any:
        for _ in range(2 * LIMIT_BYTES // 1024):
            yield b" " * 1024

    async with Member(tmp_path).serving() as member:
        for data in (b" " * (LIMIT_BYTES + 1), pieces()):
            status, reply = await member.ask("POST", ENROLL, data)
            assert (status, reply["code"]) == (413, "too-large")
        packed = {"Content-Encoding": "gzip"}
        status, reply = await member.ask(
            "POST", ENROLL, gzip.compress(json.dumps(GOOD).encode()), headers=packed
        )
        assert (status, reply["code"]) == (400, "malformed")


@in_loop
async def test_what_is_not_there(tmp_path: Path) -> None:
    async with Member(tmp_path).serving() as member:
        for method, path, wanted in (
            ("GET", "/", 404),
            ("GET", f"{ENROLL}/../../etc/passwd", 404),
            ("GET", f"{ENROLL}/ABC", 404),
            ("DELETE", ENROLL, 405),
            ("GET", "/" + "a" * 7000, 404),
        ):
            status, reply = await member.ask(method, path)
            assert (status, reply["code"]) == (wanted, "malformed")
            assert len(reply["reason"]) <= 200
        status, reply = await member.ask("GET", f"{ENROLL}/{'0' * 32}")
        assert (status, reply["code"]) == (404, "node-unknown")


async def spoken(member: Member, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", member.port, ssl=blind())
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@in_loop
async def test_what_is_not_http(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with Member(tmp_path).serving() as member:
        for sent in (b"\x16\x03\x01s3cret\r\n\r\n", b"GET / HTTP/9.9.9\r\ns3cret\r\n\r\n"):
            answer = await spoken(member, sent)
            assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
            assert b'"code":"malformed"' in answer
            assert b"s3cret" not in answer
        # One request a connection; more of them before the first is answered end it.
        answer = await spoken(member, b"GET /v1/ca HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert await spoken(member, b"GET /v1/ca HTTP/1.1\r\nHost: x\r\n\r\n" * 1000) == b""
    assert caplog.text == ""


@in_loop
async def test_a_slow_client_is_cut_off(tmp_path: Path) -> None:
    limits = Limits(body_seconds=0.05, connection_seconds=0.15, handshake_seconds=0.15)
    async with Member(tmp_path).serving(limits) as member:
        started = time.monotonic()
        header = b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        plain = await asyncio.open_connection("127.0.0.1", member.port)
        silent, half, body, end = await asyncio.gather(
            spoken(member, b""), spoken(member, header), spoken(member, header + b"\r\n{"), plain[0].read()
        )
        plain[1].close()
        assert (silent, half, end) == (b"", b"", b"")
        assert b"the body was not complete after 0.05 s" in body
        assert time.monotonic() - started < 3


async def is_shut(port: int) -> None:
    with suppress(ConnectionError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            assert await reader.read() == b""
        finally:
            writer.close()


@in_loop
async def test_very_many_requests_from_one_address_leave_the_service_usable(tmp_path: Path) -> None:
    limits = Limits(
        requests_at_once=5, connections_at_once=20, requests_per_second=1e-3, connections_per_second=1e-3
    )
    async with Member(tmp_path).serving(limits) as member:
        codes: list[object] = []

        async def one() -> None:
            try:
                status, _ = await member.ask("GET", "/v1/ca")
                codes.append(status)
            except aiohttp.ClientError:
                codes.append(None)

        started = time.process_time()
        for _ in range(25):
            await one()
        # Twenty of them got as far as TLS.
        answered_seconds = (time.process_time() - started) / 20
        assert codes[:6] == [200] * 5 + [429]
        assert codes[20:] == [None] * 5

        started = time.process_time()
        for _ in range(10):
            await asyncio.gather(*(is_shut(member.port) for _ in range(40)))
        # Both sides of 400 connections. With a TLS handshake each they would cost as much as those before.
        assert (time.process_time() - started) / 400 < answered_seconds / 4
        # Another address is served.
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0), force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"https://127.0.0.1:{member.port}/v1/ca", ssl=blind()) as answer,
        ):
            assert answer.status == 200


@in_loop
async def test_connections_that_stay_open_are_few(tmp_path: Path) -> None:
    async with Member(tmp_path).serving(Limits(open_of_one=3)) as member:
        held = [await asyncio.open_connection("127.0.0.1", member.port, ssl=blind()) for _ in range(3)]
        with pytest.raises(aiohttp.ClientError):
            await member.ask("GET", "/v1/ca")
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        assert (await member.ask("GET", "/v1/ca"))[0] == 200
