"""What a node asks a cluster's members over HTTPS: trusted by one fingerprint at first, then by the cluster's CA.

The fingerprint that a node is given is that of the CA certificate. `GET /v1/ca` is fetched without any trust, and of
what comes only the certificate with that fingerprint is used: everything else is then sent over a connection that it
vouches for.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from agent.node_key import CA, CERTIFICATE, KEY
from agent.protocol import (
    CA_HEADER,
    LIMIT_BYTES,
    CaKeyReply,
    CaReply,
    EnrollReply,
    EnrollRequest,
    Heartbeat,
    HeartbeatReply,
    JoinReply,
    Refusal,
    RenewReply,
    RenewRequest,
)
from hostlib.errors import Problem, StepError
from hostlib.http import HttpError, Request, Response
from hostlib.http_exchange import exchange
from hostlib.record import Record

TIMEOUT_SECONDS: Final = 20.0
JOIN_TIMEOUT_SECONDS: Final = 120.0
"""The member cleans up and asks its Incus for a token meanwhile."""
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
WRONG: Final = {
    NOT_YET_VALID: "is not valid yet",
    EXPIRED: "has expired",
    62: "is for another name than the one in the URL",
    64: "is for another address than the one in the URL",
}
"""OpenSSL's X509_V_ERR_… -> what is wrong with a certificate."""
ANY_STATUS: Final = tuple(range(200, 600))

T = TypeVar("T", bound=Record)


class UnreachableError(StepError):
    """No member gave an answer that can be used; later one may."""


class RefusedError(StepError):
    """A member said no."""

    def __init__(self, url: str, refusal: Refusal) -> None:
        """Take who refused, and the refusal."""
        self.refusal = refusal
        what = f"refused ({refusal.code}): {refusal.reason}"
        super().__init__(str(Problem(url, what, refusal.todo or "see `slipway status` on a member")))


@dataclass(slots=True)
class ApiClient:
    """Asks the members at `urls` (`https://host:port`) in turn; the one that answered last comes first."""

    urls: Sequence[str]
    fingerprint: str
    """SHA-256 of the CA certificate as 64 hex digits in lower case: the trust until the CA is kept."""
    now: Callable[[], datetime]
    built_at: datetime | None = None
    """When the image was built: no right clock is earlier."""
    root: Path = field(default=Path("/"))

    async def enroll(self, request: EnrollRequest) -> EnrollReply:
        """Ask to be enrolled."""
        return await self.call("POST", "/v1/enroll", EnrollReply, request)

    async def read_enrollment(self, node: str) -> EnrollReply:
        """Ask where the node with this id stands."""
        return await self.call("GET", f"/v1/enroll/{node}", EnrollReply)

    async def read_join(self, node: str) -> JoinReply:
        """Ask for what Incus needs to join."""
        path = f"/v1/nodes/{node}/join"
        return await self.call("POST", path, JoinReply, mutual=True, timeout_seconds=JOIN_TIMEOUT_SECONDS)

    async def tell_joined(self, node: str) -> EnrollReply:
        """Tell that Incus has joined."""
        return await self.call("POST", f"/v1/nodes/{node}/joined", EnrollReply, mutual=True)

    async def send_heartbeat(self, node: str, heartbeat: Heartbeat, ca_digest: str) -> HeartbeatReply:
        """Tell how the node is, and by their digest (`protocol.CA_HEADER`) which CA certificates it has."""
        path, headers = f"/v1/nodes/{node}/heartbeat", ((CA_HEADER, ca_digest),)
        return await self.call("PUT", path, HeartbeatReply, heartbeat, mutual=True, headers=headers)

    async def renew(self, node: str, request: RenewRequest) -> RenewReply:
        """Ask for the next certificate."""
        return await self.call("POST", f"/v1/nodes/{node}/renew", RenewReply, request, mutual=True)

    async def read_ca_key(self) -> CaKeyReply:
        """Ask for the CA's key, as a member may."""
        return await self.call("GET", "/v1/ca/key", CaKeyReply, mutual=True)

    async def call(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: Record | None = None,
        *,
        mutual: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
        limit_bytes: int = LIMIT_BYTES,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> T:
        """Send a request to one member after the other until one answers; `mutual` shows the node's certificate.

        Both limits are of each. Raises RefusedError of the first that refuses, UnreachableError with a line each, OSError.
        """
        request = Request(
            url=path,
            method=method,
            body=None if body is None else body.model_dump_json().encode(),
            accept="application/json",
            limit_bytes=limit_bytes,
            timeout_seconds=timeout_seconds,
            success=ANY_STATUS,
            headers=headers,
        )
        return await self._ask_all(request, kind, mutual=mutual)

    async def _ask_all(self, request: Request, kind: type[T], *, mutual: bool) -> T:
        failures = []
        for url in self.urls:
            try:
                trust = await self._context(url, mutual=mutual)
                found = await exchange(replace(request, url=url + request.url, trust=trust))
                answer = parse_answer(url, found, kind)
            except HttpError as error:
                failures.append(await self._explain(url, error))
            except UnreachableError as error:
                failures.append(str(error))
            else:
                self._prefer(url)
                return answer
        raise UnreachableError(
            "\n".join(failures) or "no URL of a member is known; give one in the answer file"
        )

    def _prefer(self, url: str) -> None:
        self.urls = [url, *(other for other in self.urls if other != url)]

    async def _context(self, url: str, *, mutual: bool) -> ssl.SSLContext:
        kept = self._path(CA)
        if kept.exists():
            context = ssl.create_default_context(cafile=str(kept))
        else:
            answer = await exchange(_untrusting(url))
            bundle = parse_answer(url, answer, CaReply).ca
            context = ssl.create_default_context(cadata=find_pinned(url, bundle, self.fingerprint))
        # As Python does by itself from 3.13 on: certificates keep to RFC 5280 or are refused.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if mutual:
            context.load_cert_chain(self._path(CERTIFICATE), self._path(KEY))
        return context

    def _path(self, path: Path) -> Path:
        return self.root / path.relative_to("/")

    async def _explain(self, url: str, error: HttpError) -> str:
        if error.closed or error.verify_code in {NOT_YET_VALID, EXPIRED}:
            member = None
            with suppress(HttpError):
                member = parse_date((await exchange(_untrusting(url))).date)
            if clock := check_clock(self.now(), member, self.built_at):
                return clock
        if not error.verify_code:
            return error.reason
        return explain_certificate(url, error.verify_code)


def _untrusting(url: str) -> Request:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return Request(
        url=f"{url}/v1/ca",
        trust=context,
        limit_bytes=LIMIT_BYTES,
        timeout_seconds=TIMEOUT_SECONDS,
        success=ANY_STATUS,
    )


def parse_answer(url: str, answer: Response, kind: type[T]) -> T:
    """Read what the member at `url` answered. Raises RefusedError, UnreachableError."""
    what = f"the member cannot answer now (status {answer.status})"
    todo = "look there: journalctl -u slipway-agent"
    try:
        if answer.status < 300:
            return kind.model_validate_json(answer.body)
        refusal = Refusal.model_validate_json(answer.body)
    except ValidationError:
        if answer.status < 500:
            what = f"the answer (status {answer.status}) is not one of a Slipway cluster"
            todo = "check which service listens there, and its version"
    else:
        if answer.status < 500:
            raise RefusedError(url, refusal)
        what, todo = f"{refusal.reason} (status {answer.status})", refusal.todo or todo
    raise UnreachableError(str(Problem(url, what, todo)))


def find_pinned(url: str, bundle: str, fingerprint: str) -> str:
    """Give the certificate (PEM) of `bundle` that has `fingerprint`. Raises UnreachableError when none has."""
    try:
        certificates = x509.load_pem_x509_certificates(bundle.encode())
    except ValueError:
        certificates = []
    seen = {entry.fingerprint(hashes.SHA256()).hex(): entry for entry in certificates}
    if pinned := seen.get(fingerprint):
        return pinned.public_bytes(Encoding.PEM).decode()
    what = f"the fingerprint of its CA is {' and '.join(seen) or 'not to be had'}, wanted is {fingerprint}"
    todo = "take the line that `slipway token create` prints now, or find out who answers there"
    raise UnreachableError(str(Problem(url, what, todo)))


def parse_date(text: str) -> datetime | None:
    """Read an HTTP date; None when it is none."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def check_clock(now: datetime, member: datetime | None, built_at: datetime | None) -> str | None:
    """Say that the clock of this machine is wrong, by a member's clock or by the age of the image; else None."""
    if member is not None and abs(now - member) > CLOCK_TOLERANCE:
        other = f"that of the cluster says {_show(member)}"
    elif built_at is not None and now < built_at:
        other = f"this version was built on {_show(built_at)}"
    else:
        return None
    todo = "let it reach a time server (`chronyc sources`), or set it with `date --utc --set`"
    return str(Problem("clock", f"it says {_show(now)}, but {other}", todo))


def explain_certificate(url: str, verify_code: int) -> str:
    """Say what is wrong with the certificate that a member shows; `verify_code` is OpenSSL's."""
    what = WRONG.get(verify_code, f"is not signed by the cluster's CA (OpenSSL error {verify_code})")
    todo = "find out who answers there; on a member: `slipway ca show`"
    return str(Problem(url, f"its certificate {what}", todo))


def _show(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
