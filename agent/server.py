"""The enrolment service of a member on port 8007: HTTP and TLS around `agent.service`.

One request a connection, each with an end: a client that is slow, or sends more than it was asked for, is cut off.
Who asks is told by the key of the client certificate, which one of the cluster's CA certificates has signed.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from aiohttp import web
from pydantic import ValidationError

from agent.limits import ClientLimiter, open_socket
from agent.protocol import (
    CA_HEADER,
    ID_PATTERN,
    LIMIT_BYTES,
    Code,
    EnrollRequest,
    Heartbeat,
    Refusal,
    RenewRequest,
)
from agent.service import RefusedError, Service
from hostlib.errors import SlipwayError, printable
from hostlib.ports import ENROLLMENT
from hostlib.record import Record

LOG = logging.getLogger("slipway.enrolment")
NODE: Final = "/v1/nodes/{id:" + ID_PATTERN + "}"
SHOWN_CHARACTERS: Final = 200
UNAVAILABLE_SECONDS: Final = 10
STATUS: Final[dict[Code, int]] = {
    "malformed": 400,
    "too-large": 413,
    "rate-limited": 429,
    "token-unknown": 403,
    "token-expired": 403,
    "token-used-up": 403,
    "token-revoked": 403,
    "facts-not-allowed": 403,
    "csr-invalid": 400,
    "csr-name": 400,
    "name-taken": 409,
    "rejected": 403,
    "removed": 410,
    "not-approved": 409,
    "not-this-node": 403,
    "not-a-member": 403,
    "node-unknown": 404,
    "unavailable": 503,
}

Handler = Callable[[web.Request], Awaitable[Record]]
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client and all of them may take. A rack behind one address fits: 100 nodes ask 4 times a second."""

    requests_per_second: float = 10
    requests_at_once: float = 60
    connections_per_second: float = 20
    """Of one address; beyond it nothing is said any more, since TLS costs a hundred times as much as a refusal."""
    connections_at_once: float = 100
    open: int = 256
    open_of_one: int = 64
    body_seconds: float = 10
    handshake_seconds: float = 10
    connection_seconds: float = 120
    """From TLS to the last byte of the answer: Incus may take a minute for what is asked of it."""


class Tls:
    """The TLS side of the service; certificates can be exchanged while it runs."""

    def __init__(self, certificate: Path, key: Path, ca_pem: str) -> None:
        """See `load`."""
        self._current = _make_context(certificate, key, ca_pem)
        # The one that listens; each handshake is taken over by the current one.
        self.context = _make_context(certificate, key, ca_pem)
        self.context.sni_callback = self._take_over

    def load(self, certificate: Path, key: Path, ca_pem: str) -> None:
        """Use this certificate and trust clients of these CA certificates (PEM) from the next connection on.

        Raises OSError, ssl.SSLError; what was in use stays then.
        """
        self._current = _make_context(certificate, key, ca_pem)

    def _take_over(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext
    ) -> None:
        connection.context = self._current


def _make_context(certificate: Path, key: Path, ca_pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # A session that is taken up again would not be looked at by the CA certificates that are valid now.
    context.num_tickets = 0
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata=ca_pem)
    # Not required: a node that enrols has no certificate yet.
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


class Connection(web.RequestHandler):
    """A connection with an end, for one request. Errors below HTTP are told as a Refusal, too."""

    __slots__ = ("_end", "_seconds")

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Take aiohttp's side of the server, and when to cut the connection."""
        # A body that is compressed could grow beyond any limit in one step.
        super().__init__(server, loop=loop, auto_decompress=False, lingering_time=1.0)
        self.access_logger = None
        self._seconds = seconds
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if isinstance(transport, asyncio.Transport):
            self._end = asyncio.get_running_loop().call_later(self._seconds, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.Protocol."""
        if self._end:
            self._end.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        # aiohttp would keep any number of requests that come before the first is answered.
        if self._request_count > 1 and isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp gives it, and it repeats the request
    ) -> web.StreamResponse:
        """Answer what is not HTTP; aiohttp would repeat it, in the log with a traceback."""
        LOG.debug("%s: not a request (%s)", request.remote, type(exc).__name__)
        return _refusal(Refusal(code="malformed", reason="this is not a request of HTTP"), status)


class Server:
    """The enrolment service: from `start` on it listens, until `stop`."""

    def __init__(
        self,
        service: Service,
        tls: Tls,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what answers, the certificates, the limits, and the clock of the limits (seconds)."""
        self._service = service
        self._tls = tls
        self._limits = limits or Limits()
        self._clock = clock
        self._requests = ClientLimiter(self._limits.requests_per_second, self._limits.requests_at_once, clock)
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "::", port: int = ENROLLMENT) -> int:
        """Listen at an address (`::`: at all of them); give the port. Raises OSError."""
        limits = self._limits
        connections = ClientLimiter(limits.connections_per_second, limits.connections_at_once, self._clock)
        self._runner = web.AppRunner(self._application(), shutdown_timeout=1.0)
        await self._runner.setup()
        base = self._runner.server
        if base is None:
            raise RuntimeError("aiohttp made no server")
        sock = open_socket(
            host, port, connections, most_open=limits.open, most_open_of_one=limits.open_of_one
        )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(base, loop, limits.connection_seconds),
            sock=sock,
            ssl=self._tls.context,
            ssl_handshake_timeout=limits.handshake_seconds,
        )
        return int(sock.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening; requests that are being answered are cut after a moment."""
        if self._server:
            self._server.close()
        if self._runner:
            await self._runner.cleanup()

    def _application(self) -> web.Application:
        service = self._service
        routes: dict[tuple[str, str], Handler] = {
            ("POST", "/v1/enroll"): self._enroll,
            ("GET", "/v1/enroll/{id:" + ID_PATTERN + "}"): lambda r: service.standing(r.match_info["id"]),
            ("POST", f"{NODE}/join"): lambda r: service.join(self._own(r)),
            ("POST", f"{NODE}/joined"): lambda r: service.joined(self._own(r)),
            ("PUT", f"{NODE}/heartbeat"): self._heartbeat,
            ("POST", f"{NODE}/renew"): self._renew,
            ("GET", "/v1/ca"): self._ca,
            ("GET", "/v1/ca/key"): lambda r: service.ca_key(self._peer(r)),
            ("GET", "/v1/status"): lambda r: service.status(self._peer(r)),
        }
        application = web.Application(middlewares=[self._guard], client_max_size=LIMIT_BYTES)
        for (method, path), handler in routes.items():
            application.router.add_route(method, path, _answer(handler))
        return application

    async def _enroll(self, request: web.Request) -> Record:
        return await self._service.enroll(await self._read(request, EnrollRequest))

    async def _heartbeat(self, request: web.Request) -> Record:
        node_id = self._own(request)
        heartbeat = await self._read(request, Heartbeat)
        return await self._service.heartbeat(node_id, heartbeat, request.headers.get(CA_HEADER, ""))

    async def _renew(self, request: web.Request) -> Record:
        node_id = self._own(request)
        return await self._service.renew(node_id, await self._read(request, RenewRequest))

    async def _ca(self, _: web.Request) -> Record:
        return self._service.ca()

    def _peer(self, request: web.Request) -> str:
        """Give the id of the node that asks, by its certificate. Raises RefusedError."""
        connection = request.transport.get_extra_info("ssl_object") if request.transport else None
        der = connection.getpeercert(binary_form=True) if connection else None
        if der is None:
            todo = "ask with the certificate of the node"
            raise RefusedError(
                Refusal(code="not-this-node", reason="no client certificate was shown", todo=todo)
            )
        return self._service.peer(der)

    def _own(self, request: web.Request) -> str:
        """Give the id in the path, when it is that of the node that asks. Raises RefusedError."""
        if (peer := self._peer(request)) != request.match_info["id"]:
            reason = f"the client certificate is that of node {peer}"
            todo = "ask with the certificate of the node that the request is about"
            raise RefusedError(Refusal(code="not-this-node", reason=reason, todo=todo))
        return peer

    async def _read(self, request: web.Request, kind: type[R]) -> R:
        """Read the body, and no more than LIMIT_BYTES of it. Raises RefusedError; it repeats no value."""
        if (request.content_length or 0) > LIMIT_BYTES:
            raise _too_large()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await request.read()
        except TimeoutError:
            what = f"the body was not complete after {self._limits.body_seconds:g} s"
            raise RefusedError(Refusal(code="malformed", reason=what, retry_seconds=1)) from None
        except web.HTTPRequestEntityTooLarge:
            raise _too_large() from None
        except web.RequestPayloadError:
            raise RefusedError(Refusal(code="malformed", reason="the body is broken")) from None
        try:
            return kind.model_validate_json(body, strict=True)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
            place = ".".join(str(part) for part in wrong["loc"])
            what = printable(f"{place or 'body'}: {wrong['msg']}")[:SHOWN_CHARACTERS]
            raise RefusedError(Refusal(code="malformed", reason=what)) from None

    def _limit(self, request: web.Request) -> None:
        if wait := self._requests.take(request.remote or "::"):
            reason, retry = "too many requests from this address", int(wait) + 1
            raise RefusedError(Refusal(code="rate-limited", reason=reason, todo="wait", retry_seconds=retry))

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Turn whatever goes wrong into a Refusal."""
        try:
            self._limit(request)
            return await handler(request)
        except RefusedError as error:
            return _refusal(error.refusal)
        except web.HTTPException as error:
            reason = printable(f"there is no {request.method} {request.path}")[:SHOWN_CHARACTERS]
            return _refusal(Refusal(code="malformed", reason=reason), error.status)
        except (SlipwayError, OSError) as error:
            LOG.warning("%s %s: %s", request.method, printable(request.path), error)
            status = 503
        except Exception:
            LOG.exception("%s %s: internal error", request.method, printable(request.path))
            status = 500
        reason, todo = "this member cannot answer now", "see `journalctl -u slipway-agent` on it"
        refusal = Refusal(code="unavailable", reason=reason, todo=todo, retry_seconds=UNAVAILABLE_SECONDS)
        return _refusal(refusal, status)


def _answer(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return _response(await handler(request), 200)

    return answer


def _response(record: Record, status: int) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    response = web.Response(
        status=status, text=record.model_dump_json(), content_type="application/json", headers=headers
    )
    response.force_close()
    return response


def _refusal(refusal: Refusal, status: int | None = None) -> web.Response:
    return _response(refusal, status or STATUS[refusal.code])


def _too_large() -> RefusedError:
    return RefusedError(Refusal(code="too-large", reason=f"the body is larger than {LIMIT_BYTES} bytes"))
