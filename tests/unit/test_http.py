import socket
import ssl
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from hostlib import http, http_exchange
from hostlib.http import HttpError, Request, redact_url, send, send_patiently
from tests.unit import http_servers
from tests.unit.http_servers import Raw, Servers, raw, redirect

TOKEN = "rack7:s3cret"
BODY = b'{"serial": "X"}'
WRONG = "ab" * 32
_closed_world = http_servers.closed_world
all_servers = http_servers.all_servers
servers = http_servers.servers


async def good(_: web.BaseRequest) -> web.Response:
    return web.Response(text="a = 1", content_type="application/toml")


def fails(request: Request) -> HttpError:
    with pytest.raises(HttpError) as caught:
        send(request)
    return caught.value


def test_a_post_with_a_token(servers: Servers) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        kinds = (request.headers["Content-Type"], request.headers["Accept"])
        assert kinds == ("application/json; charset=utf-8", "application/json")
        return web.json_response({"a": 1}, status=201)

    base = servers.serve(handler)
    answer = send(
        Request(url=f"{base}/a", method="POST", body=BODY, accept="application/json", token=SecretStr(TOKEN))
    )
    assert answer == http.Response(201, "application/json", b'{"a": 1}')
    assert servers.seen == [("http", "POST", "/a", BODY, f"Bearer {TOKEN}")]


def test_the_fingerprint_alone_decides(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    base = servers.serve(good, tls=True)
    # Neither its issuer nor this name is anything the machine knows.
    url = base.replace("127.0.0.1", "localhost")
    assert send(Request(url=url, fingerprint=servers.fingerprint)).body == b"a = 1"
    error = fails(Request(url=base, fingerprint=WRONG, token=SecretStr(TOKEN)))
    assert error.final
    assert str(error).startswith(
        f"{base}: the certificate's SHA-256 fingerprint is {servers.fingerprint}, wanted is {WRONG}; correct"
    )
    # A certificate that a CA vouches for does not help against a wrong fingerprint.
    trusting = ssl.create_default_context(cafile=str(servers.certificate))
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    assert send(Request(url=base)).body == b"a = 1"
    assert fails(Request(url=base, fingerprint=WRONG)).final
    # The server that was refused got no request.
    assert len(servers.seen) == 2


def test_a_certificate_that_is_not_trusted_is_shown(servers: Servers) -> None:
    base = servers.serve(good, tls=True)
    error = fails(Request(url=f"{base}/a"))
    assert error.final
    assert str(error) == (
        f"{base}/a: the certificate is not trusted (self-signed certificate); its SHA-256 fingerprint is "
        f"{servers.fingerprint}; give that fingerprint if it is the server's own"
    )
    assert servers.seen == []


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "POST", BODY), (302, "POST", BODY), (303, "GET", b""), (307, "POST", BODY), (308, "POST", BODY)],
)
def test_redirects_of_a_post(servers: Servers, status: int, method: str, body: bytes) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await (good(request) if request.path == "/b" else redirect(status, "/b?c=d")(request))

    base = servers.serve(handler)
    send(Request(url=f"{base}/a", method="POST", body=BODY, token=SecretStr(TOKEN)))
    assert servers.seen[1:] == [("http", method, "/b?c=d", body, f"Bearer {TOKEN}")]


def test_another_server_does_not_get_the_token(servers: Servers) -> None:
    away = servers.serve(redirect(307, servers.serve(redirect(307, servers.serve(good)))))
    send(Request(url=away, token=SecretStr(TOKEN)))
    assert [seen[-1] for seen in servers.seen] == [f"Bearer {TOKEN}", None, None]


def test_the_fingerprint_holds_behind_a_redirect(servers: Servers) -> None:
    secure = servers.serve(good, tls=True)
    first = servers.serve(redirect(307, secure), tls=True)
    assert send(Request(url=first, fingerprint=servers.fingerprint)).body == b"a = 1"
    # From http to a server that no CA vouches for.
    assert "not trusted" in str(fails(Request(url=servers.serve(redirect(307, secure)))))


def test_redirects_that_are_not_followed(servers: Servers) -> None:
    plain = servers.serve(good)
    secure = servers.serve(redirect(307, f"{plain}/b?token=x"), tls=True)
    error = fails(Request(url=secure, fingerprint=servers.fingerprint))
    assert error.final
    assert f"redirects from https to {plain}/b?<redacted>; let it redirect to https" in str(error)
    loop = servers.serve(redirect(302, "/again"))
    error = fails(Request(url=loop))
    assert (error.final, str(error)) == (
        True,
        f"{loop}/again: more than 5 redirects; give the URL of the answer itself",
    )
    for location in ("", "ftp://127.0.0.1/a", "http://[::1"):
        error = fails(Request(url=servers.serve(redirect(302, location))))
        assert error.final
        assert "status 302 without a URL to go to" in str(error)
    assert [seen[0] for seen in servers.seen] == ["https"] + ["http"] * (http_exchange.REDIRECTS + 1 + 3)


@pytest.mark.parametrize(
    ("status", "final"),
    [(400, True), (404, True), (408, False), (425, False), (429, False), (206, True), (500, False), (503, False)],
)  # fmt: skip
def test_other_statuses_are_failures(servers: Servers, status: int, *, final: bool) -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        text = None if status == 206 else f"no {TOKEN}\x1b[2J\n" + "x" * 300
        return web.Response(status=status, text=text, reason="Because")

    error = fails(Request(url=servers.serve(handler), token=SecretStr(TOKEN)))
    assert error.final is final
    text = "" if status == 206 else f": no <redacted>[2J{'x' * (200 - 16)}"
    assert f": status {status} Because{text}; see the log" in str(error)


@pytest.mark.parametrize(
    ("size", "declared", "fits"),
    [
        (1000, True, True),
        (1001, True, False),
        (1000, False, True),
        (1001, False, False),
        (10**7, False, False),
    ],
)
def test_a_body_above_the_limit_is_refused(
    servers: Servers, size: int, *, declared: bool, fits: bool
) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if declared:
            return web.Response(body=b"x" * size)
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(b"x" * size)
        return answer

    request = Request(url=servers.serve(handler), limit_bytes=1000)
    if fits:
        assert len(send(request).body) == size
    else:
        error = fails(request)
        assert error.final
        assert "the body is larger than 1000 B" in str(error)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (raw(b"", hang=True), "no complete answer within 0 s; check the server and the network"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", hang=True), "no complete answer within 0 s"),
        (raw(b"HTTP/1.1 200 OK\r\n\r\nhalf", hang=True), "no complete answer within 0 s"),
        (raw(b""), "the connection was closed before the answer"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "the body ends early"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf"), "the body ends early"),
        (raw(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), "the answer is not HTTP; check which service listens"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"a: " + b"b" * 9000 + b"\r\n\r\n"), "the answer is not HTTP"),
    ],
)
def test_servers_that_misbehave(servers: Servers, handler: Raw, reason: str) -> None:
    base = servers.serve_raw(handler)
    error = fails(Request(url=f"{base}/a", timeout_seconds=0.2 if "within" in reason else 5))
    assert str(error).startswith(f"{base}/a: {reason}")
    assert not error.final


def test_a_compressed_body_is_refused(servers: Servers) -> None:
    base = servers.serve_raw(raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"))
    assert "the body is compressed (gzip)" in str(fails(Request(url=base)))


def test_nobody_there(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{free.getsockname()[1]}"
        error = fails(Request(url=base))
        assert str(error) == (
            f"{base}: no connection: Connection refused; check that the server runs and the network reaches it"
        )
        assert not error.final

    def unknown(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = fails(Request(url="https://answers.invalid/"))
    assert str(error).startswith("https://answers.invalid/: the name answers.invalid is not known; check")
    assert not error.final
    plain = servers.serve(good).replace("http:", "https:")
    assert "no TLS connection: " in str(fails(Request(url=plain)))


@pytest.mark.parametrize(
    ("url", "more", "reason"),
    [
        ("ftp://a/b", {}, "ftp://a/b: this is no http or https URL"),
        ("answers", {}, "answers: this is no http"),
        ("https://", {}, "this is no http"),
        ("https://a:99999/", {}, "this is no http"),
        ("https://[::1/", {}, "<a URL that cannot be read>: this is no http"),
        ("https://u:s3cret@a\n/", {}, "this is no http"),
        ("http://a/", {"fingerprint": WRONG}, "without TLS no fingerprint can be checked; use https"),
        (
            "https://a/",
            {"token": SecretStr("s3cret\r\nHost: b")},
            "the token holds characters that no header",
        ),
        ("https://u:s3cret@a/", {"token": SecretStr(TOKEN)}, "https://a/: a token and a user in the URL"),
    ],
)
def test_requests_that_are_not_sent(url: str, more: dict[str, Any], reason: str) -> None:
    error = fails(Request(url=url, **more))
    assert error.final
    assert reason in str(error)
    assert "s3cret" not in str(error)


def test_no_proxy_of_the_environment(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, target = servers.serve(redirect(307, "/proxied")), servers.serve(good)
    monkeypatch.setenv("http_proxy", proxy)
    assert send(Request(url=target)).body == b"a = 1"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h:8/p/a?token=x#f", "https://h:8/p/a?<redacted>"),
        ("https://u:p@h/", "https://h/"),
        ("https://u:p@x@h/", "https://h/"),
        ("https:/u:p@h/x?y", "h/x?<redacted>"),
    ],
)
def test_redact_url(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_patience(servers: Servers) -> None:
    statuses = [500, 503, 200]

    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(status=statuses.pop(0), text="x")

    told: list[str] = []
    slept: list[float] = []
    request = Request(url=servers.serve(handler))
    assert send_patiently(request, limit_seconds=600, tell=told.append, sleep=slept.append).body == b"x"
    assert 0.5 <= slept[0] <= 1.5 <= 2 * slept[1] <= 6
    assert [text.partition(": ")[2].partition("; see")[0] for text in told] == [
        "status 500 Internal Server Error: x",
        "status 503 Service Unavailable: x",
    ]
    assert all("; next try in " in text for text in told)


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def refuse(request: Request) -> http.Response:
        limits.append(request.timeout_seconds)
        raise HttpError("h: no", final=final)

    monkeypatch.setattr(http, "send", refuse)
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    slept: list[float] = []
    told: list[str] = []
    final = False
    with pytest.raises(HttpError, match=r"^h: no \(given up after 8 tries\)$"):
        send_patiently(Request(url="http://h"), limit_seconds=100, tell=told.append, sleep=slept.append)
    assert slept == [1, 2, 4, 8, 16, 30, 30]
    # The last one has what is left.
    assert [round(limit) for limit in limits] == [60, 60, 60, 60, 60, 60, 39, 9]
    final = True
    with pytest.raises(HttpError, match=r"^h: no$"):
        send_patiently(Request(url="http://h"), limit_seconds=100, tell=told.append, sleep=slept.append)
    assert len(told) == len(slept) == 7
