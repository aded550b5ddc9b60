"""HTTP servers on 127.0.0.1 for tests, well-behaved and not.

A test file takes all three fixtures: `closed_world` as `_closed_world`, `all_servers` and `servers`.
"""

import asyncio
import hashlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hostlib.tls import make_self_signed

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
T = TypeVar("T")


class Servers:
    """Servers on 127.0.0.1, each on a free port, in a thread of their own."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[tuple[str, str, str, bytes, str | None]] = []
        """Scheme, method, path with query, body, Authorization."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._ends: list[Callable[[], Coroutine[object, object, None]]] = []
        pair = make_self_signed("test", [], [ip_address("127.0.0.1")], datetime.now(UTC))
        (folder / "key").write_bytes(pair.key_pem)
        (folder / "certificate").write_bytes(pair.certificate_pem)
        der = x509.load_pem_x509_certificate(pair.certificate_pem).public_bytes(Encoding.DER)
        self.fingerprint = hashlib.sha256(der).hexdigest()
        self.certificate = folder / "certificate"
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(folder / "certificate", folder / "key")

    def serve(self, handler: Handler, *, tls: bool | ssl.SSLContext = False) -> str:
        """Start a server, with the certificate of all of them or one of its own; give its base URL."""
        return self._do(self._serve(handler, tls=tls))

    def serve_raw(self, handler: Raw) -> str:
        return self._do(self._serve_raw(handler))

    def close(self) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        for end in self._ends:
            await end()
        hanging = asyncio.all_tasks() - {asyncio.current_task()}
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        # The transports are closed in the next turns of the loop.
        await asyncio.sleep(0.01)

    def _do(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, handler: Handler, *, tls: bool | ssl.SSLContext) -> str:
        async def record(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.read()
            self.seen.append(
                (request.scheme, request.method, request.path_qs, body, request.headers.get("Authorization"))
            )
            return await handler(request)

        runner = web.ServerRunner(web.Server(record), shutdown_timeout=0)
        await runner.setup()
        context = tls if isinstance(tls, ssl.SSLContext) else self._tls if tls else None
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self._ends.append(runner.cleanup)
        port = runner.addresses[0][1]
        return f"{'https' if tls else 'http'}://127.0.0.1:{port}"

    async def _serve_raw(self, handler: Raw) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                await handler(reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)

        async def end() -> None:
            server.close()

        self._ends.append(end)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def redirect(status: int, location: str) -> Handler:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers={"Location": location})

    return handler


def raw(answer: bytes, *, hang: bool = False) -> Raw:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        if hang:
            await asyncio.sleep(0.5)

    return handler


@pytest.fixture(autouse=True)
def closed_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the fixture of all unit tests: this machine alone can be reached."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    found = Servers(tmp_path_factory.mktemp("tls"))
    yield found
    found.close()


@pytest.fixture
def servers(all_servers: Servers) -> Servers:
    all_servers.seen.clear()
    return all_servers
