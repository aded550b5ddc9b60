"""Fetches the answer of this machine from a server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hostlib.errors import Problem, UserError
from hostlib.http import HttpError, Request, redact_url, send_patiently
from hostlib.inventory import Inventory
from hostlib.release import read_release
from installer.discovery.identity import read_dmi_groups, render_identity
from installer.discovery.search import Trust, substitute
from installer.volumes import LIMIT_BYTES, Answer, parse_answer_text

LOG = logging.getLogger("slipway.discovery")
ACCEPT: Final = "application/json, application/toml;q=0.5"
LIMIT_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Server:
    """Where the answer is, and who said so."""

    url: str
    """May hold `${mac}`, `${serial}`, `${uuid}`."""
    trust: Trust
    source: str
    """For a person: `kernel command line`, `DHCP option 250 of eno1`."""


def fetch_answer(
    server: Server, inventory: Inventory, *, say: Callable[[str], None], warn: Callable[[str], None]
) -> Answer:
    """Fetch the answer, for ten minutes at most. `warn` is told each failure on the way. Raises UserError."""
    trust = server.trust
    url = substitute(server.url, inventory, server.source)
    shown = redact_url(url)
    if url.lower().startswith("http:"):
        warn(f"{shown}: the answer comes over http: anybody on the way can read and change it")
        if trust.token:
            warn(f"{shown}: the token goes over http: anybody on the way can read it")
    request = Request(
        url=url,
        method=trust.method.upper(),
        body=_body(inventory) if trust.method == "post" else None,
        accept=ACCEPT,
        fingerprint=trust.fingerprint,
        token=trust.token,
        limit_bytes=LIMIT_BYTES,
    )
    say(f"fetching the answer from {shown} ({server.source})\n")
    LOG.info("%s %s, from %s", request.method, shown, server.source)
    try:
        response = send_patiently(request, limit_seconds=LIMIT_SECONDS, tell=warn)
    except HttpError as error:
        todo = "mend it, or take this source away: no other one is asked"
        raise UserError(Problem(server.source, f"no answer: {error.reason}", todo)) from error
    LOG.info("status %d, %d bytes of %s", response.status, len(response.body), response.content_type)
    return parse_answer_text(response.body, f"{shown} ({server.source})")


def _body(inventory: Inventory) -> bytes:
    return render_identity(inventory, read_dmi_groups(), read_release())
