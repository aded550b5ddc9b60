"""HTTP and HTTPS as a client, synchronous: one request, or one that is repeated until the server answers well."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from hostlib.errors import StepError
from hostlib.sizes import MIB

if TYPE_CHECKING:
    import ssl

FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 30.0
JITTER: Final = 0.5
"""Machines of a rack that were switched on together do not come back together."""
SHORTEST_TRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a server, and how far it is trusted."""

    url: str
    method: str = "GET"
    body: bytes | None = None
    content_type: str = "application/json; charset=utf-8"
    """Of `body`; not sent without one."""
    accept: str = "*/*"
    fingerprint: str = ""
    """SHA-256 of the server's certificate (DER) as 64 hexadecimal digits: replaces CA and host name."""
    trust: ssl.SSLContext | None = None
    """Which certificates are trusted and which one is shown, in place of what the system says."""
    token: SecretStr | None = None
    """Sent as `Authorization: Bearer`, to the server of `url` alone."""
    headers: tuple[tuple[str, str], ...] = ()
    """Name and value of those that are sent beside the usual ones; nothing secret."""
    limit_bytes: int = MIB
    """Of the response's body."""
    timeout_seconds: float = 60
    """For everything: connection, redirects, body. A name that is looked up has the C library's limits."""
    success: tuple[int, ...] = (200, 201)
    """Statuses of an answer that is one."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered well."""

    status: int
    content_type: str
    """Without parameters, in lower case; empty when the server gave none."""
    body: bytes
    date: str = field(default="", compare=False)
    """The server's clock, as it gave it (RFC 9110, 6.6.1)."""


class HttpError(StepError):
    """A request that failed. Its text names the server and holds no secret of the request."""

    def __init__(
        self, reason: str, *, final: bool = False, verify_code: int = 0, closed: bool = False
    ) -> None:
        """Take what went wrong as one line; `final` tells that trying again is of no use.

        `verify_code` is OpenSSL's X509_V_ERR_… when the server's certificate is the reason, else 0; `closed`: the server
        has hung up without an answer, as one does that does not trust the client's certificate.
        """
        super().__init__(reason)
        self.reason = reason
        self.final = final
        self.verify_code = verify_code
        self.closed = closed


def send(request: Request) -> Response:
    """Send a request and follow at most 5 redirects, none of them from https to http.

    A 301, 302, 307 or 308 keeps method and body, a 303 asks with GET. A fingerprint holds for each server on the
    way. The body is taken as it is sent: no compression is offered. No proxy is used. Raises HttpError for
    any status that the request does not name as success.
    """
    # aiohttp takes as long to load as most commands take in all, and they never talk to a server.
    from hostlib.http_exchange import exchange  # noqa: PLC0415  see above

    return asyncio.run(exchange(request))


def send_patiently(
    request: Request,
    *,
    limit_seconds: float,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Response:
    """Send a request again and again until it succeeds, for `limit_seconds` in all.

    Waits 1 s, then twice as long each time up to 30 s, all give or take a half. `tell` gets the reason of each
    failure and the time until the next try. Raises HttpError: a final one at once, any other when the time is up.
    """
    used, tries, wait = 0.0, 0, FIRST_WAIT_SECONDS
    while True:
        tries += 1
        started = time.monotonic()
        rest = max(limit_seconds - used, SHORTEST_TRY_SECONDS)
        try:
            return send(replace(request, timeout_seconds=min(request.timeout_seconds, rest)))
        except HttpError as error:
            if error.final:
                raise
            pause = wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  no secret is made of it
            used += time.monotonic() - started + pause
            if used >= limit_seconds:
                count = "1 try" if tries == 1 else f"{tries} tries"
                raise HttpError(f"{error.reason} (given up after {count})") from error
            tell(f"{error.reason}; next try in {pause:.0f} s")
            sleep(pause)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def redact_url(url: str) -> str:
    """Give a URL that may be shown: without user and password, and without what its query says."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "<a URL that cannot be read>"
    query = "?<redacted>" if parts.query else ""
    if not parts.netloc:
        # Not a proper URL, so a password may stand anywhere before the @.
        return url.partition("?")[0].rpartition("@")[2] + query
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) + query
