"""The inner side of `hostlib.http`: one request and its redirects with aiohttp, and its errors in plain words."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from typing import Final, NoReturn

import aiohttp
from yarl import URL

from hostlib.errors import Problem
from hostlib.http import HttpError, Request, Response, redact_url
from hostlib.run import redact
from hostlib.sizes import render_size

REDIRECTS: Final = 5
REDIRECT: Final = (301, 302, 303, 307, 308)
WORTH_ANOTHER_TRY: Final = (408, 425, 429)
"""Request Timeout, Too Early, Too Many Requests: of all below 500 the only ones that time may change."""
SHOWN_CHARACTERS: Final = 200
PIECE_BYTES: Final = 65536
GOODBYE_SECONDS: Final = 0.05
NOT_YET_VALID: Final = 9
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID."""
NO_FINGERPRINT: Final = bytes(32)


async def exchange(request: Request) -> Response:
    """Send a request, follow its redirects and read the body. Raises HttpError."""
    url = _parse_url(request)
    try:
        async with asyncio.timeout(request.timeout_seconds), _session() as session:
            for _ in range(REDIRECTS + 1):
                found = await _hop(session, request, url)
                if isinstance(found, Response):
                    return found
                request, url = found
    except TimeoutError as error:
        what = f"no complete answer within {request.timeout_seconds:.0f} s"
        raise _error(url, what, "check the server and the network") from error
    finally:
        # aiohttp does not wait for TLS to end its connections; without this turn they stay open.
        await asyncio.sleep(GOODBYE_SECONDS if url.scheme == "https" else 0)
    raise _error(url, f"more than {REDIRECTS} redirects", "give the URL of the answer itself", final=True)


def _session() -> aiohttp.ClientSession:
    # The C library's resolver whatever else is installed; and the connection ends with the request.
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver(), force_close=True)
    # Only the limit around the whole counts. A compressed body could grow beyond any limit in one step.
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(),
        trust_env=False,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _hop(session: aiohttp.ClientSession, request: Request, url: URL) -> Response | tuple[Request, URL]:
    """Ask one server; give its answer, or the request and URL to go on with. Raises HttpError, TimeoutError."""
    headers = {"Accept": request.accept, "Accept-Encoding": "identity", "User-Agent": "Slipway"}
    headers |= dict(request.headers)
    if request.body is not None:
        headers["Content-Type"] = request.content_type
    if request.token is not None:
        headers["Authorization"] = f"Bearer {request.token.get_secret_value()}"
    pin = (
        aiohttp.Fingerprint(bytes.fromhex(request.fingerprint))
        if request.fingerprint
        else request.trust or True
    )
    try:
        async with session.request(
            request.method, url, data=request.body, headers=headers, ssl=pin, allow_redirects=False
        ) as answer:
            if answer.status in REDIRECT:
                return _follow(request, url, answer.status, answer.headers.get("Location", ""))
            if answer.status not in request.success:
                await _refused(request, url, answer)
            return await _read(request, url, answer)
    except aiohttp.ClientConnectorCertificateError as error:
        raise _untrusted(url, error, await _seen_fingerprint(session, url)) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise _broken(url, error) from error


def _follow(request: Request, url: URL, status: int, location: str) -> tuple[Request, URL]:
    """Give the request and the URL that a redirect asks for. Raises HttpError.

    A client may turn POST into GET on 301 and 302 (RFC 9110, 15.4), as browsers do for forms. The body is the
    question here, so it goes along; 303 alone says that the result is to be had by GET.
    """
    target = None
    with suppress(ValueError):
        target = url.join(URL(location))
    if not (target and location and target.scheme in {"http", "https"} and target.host):
        what = f"status {status} without a URL to go to"
        raise _error(url, what, "correct the server's redirect", final=True)
    if url.scheme == "https" and target.scheme == "http":
        what = f"the server redirects from https to {redact_url(str(target))}"
        raise _error(url, what, "let it redirect to https; nothing is sent without TLS", final=True)
    method, body, token = request.method, request.body, request.token
    if status == 303:
        method, body = "GET", None
    if target.origin() != url.origin():
        token = None
    return replace(request, url=str(target), method=method, body=body, token=token), target


async def _read(request: Request, url: URL, answer: aiohttp.ClientResponse) -> Response:
    if (coding := answer.headers.get("Content-Encoding", "identity").lower()) != "identity":
        what = f"the body is compressed ({coding}), which was not asked for"
        raise _error(url, what, "switch compression off on the server", final=True)
    body = b""
    while len(body) <= request.limit_bytes and (piece := await answer.content.read(PIECE_BYTES)):
        body += piece
    if len(body) > request.limit_bytes or (answer.content_length or 0) > request.limit_bytes:
        what = f"the body is larger than {render_size(request.limit_bytes)}"
        raise _error(url, what, "check what the server gives at this URL", final=True)
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Response(answer.status, kind, body, answer.headers.get("Date", ""))


async def _refused(request: Request, url: URL, answer: aiohttp.ClientResponse) -> NoReturn:
    body = b""
    with suppress(aiohttp.ClientError, OSError):
        while len(body) < 4 * SHOWN_CHARACTERS and (piece := await answer.content.read(4 * SHOWN_CHARACTERS)):
            body += piece
    secrets = [request.token.get_secret_value()] if request.token else []
    text = "".join(c for c in redact(body.decode(errors="replace"), secrets) if c.isprintable())
    said = f"{answer.reason or ''}: {text[:SHOWN_CHARACTERS]}".strip(": ")
    final = answer.status < 500 and answer.status not in WORTH_ANOTHER_TRY
    raise _error(url, f"status {answer.status} {said}".strip(), "see the log of that server", final=final)


async def _seen_fingerprint(session: aiohttp.ClientSession, url: URL) -> str:
    """Give the fingerprint of the certificate that the server shows, without sending it a request."""
    try:
        async with session.get(url, ssl=aiohttp.Fingerprint(NO_FINGERPRINT), allow_redirects=False):
            return ""
    except aiohttp.ServerFingerprintMismatch as error:
        return error.got.hex()
    except (aiohttp.ClientError, OSError):
        return ""


def _untrusted(url: URL, error: aiohttp.ClientConnectorCertificateError, seen: str) -> HttpError:
    inner = error.certificate_error
    why = getattr(inner, "verify_message", "") or type(inner).__name__
    shown = f"; its SHA-256 fingerprint is {seen}" if seen else ""
    todo = "give that fingerprint if it is the server's own" if seen else "give its SHA-256 fingerprint"
    code = getattr(inner, "verify_code", 0)
    young = code == NOT_YET_VALID
    hint = ", or set the clock" if young else ""
    # The clock may yet be set from the network.
    what = f"the certificate is not trusted ({why}){shown}"
    return HttpError(str(Problem(redact_url(str(url)), what, todo + hint)), final=not young, verify_code=code)


def _broken(url: URL, error: Exception) -> HttpError:
    """Put an error of aiohttp into words; its own text may hold the URL with a password."""
    match error:
        case aiohttp.ServerFingerprintMismatch():
            what = f"the certificate's SHA-256 fingerprint is {error.got.hex()}, wanted is {error.expected.hex()}"
            return _error(url, what, "correct the fingerprint, or find out who answers there", final=True)
        case aiohttp.ClientConnectorDNSError():
            what, todo = (
                f"the name {url.host} is not known",
                "check the name, and the DNS server of the network",
            )
        case aiohttp.ClientConnectorSSLError():
            reason = getattr(error.os_error, "reason", None) or "handshake failed"
            what, todo = f"no TLS connection: {reason}", "check that this port speaks https"
        case aiohttp.ClientConnectorError():
            code = error.os_error.errno
            what = f"no connection: {os.strerror(code) if code else error.os_error}"
            todo = "check that the server runs and the network reaches it"
        case aiohttp.ClientPayloadError():
            what, todo = "the body ends early", "check the server and the network"
        case aiohttp.ClientResponseError():
            what, todo = "the answer is not HTTP", "check which service listens there"
        case aiohttp.ClientError() | OSError():
            what, todo = "the connection was closed before the answer", "check the server and the network"
            return HttpError(str(Problem(redact_url(str(url)), what, todo)), closed=True)
        case _:
            return _error(url, "cannot be asked for", "correct the URL and the token", final=True)
    return _error(url, what, todo)


def _parse_url(request: Request) -> URL:
    """Give the URL of a request whose parts are fit to be sent. Raises HttpError."""
    url = None
    with suppress(ValueError):
        url = URL(request.url)
    token = request.token.get_secret_value() if request.token else ""
    if not (url and url.scheme in {"http", "https"} and url.host and url.port and request.url.isprintable()):
        what, todo = "this is no http or https URL", "give one like https://host/path"
    elif request.fingerprint and url.scheme == "http":
        what, todo = "without TLS no fingerprint can be checked", "use https, or leave the fingerprint out"
    elif not (token.isascii() and token.isprintable()):
        what, todo = "the token holds characters that no header can carry", "correct the token"
    elif token and url.user is not None:
        what, todo = "a token and a user in the URL exclude each other", "give one of them"
    else:
        return url
    raise HttpError(str(Problem(redact_url(request.url), what, todo)), final=True)


def _error(url: URL, what: str, todo: str, *, final: bool = False) -> HttpError:
    return HttpError(str(Problem(redact_url(str(url)), what, todo)), final=final)
