"""The report of an installation: JSON events, posted to the server that the answer names. See docs/reporting.md.

A server that is slow or dead costs the installation nothing: a thread of its own sends, in order.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hostlib.checks import Finding
from hostlib.files import read_if_there
from hostlib.http import HttpError, Request, Response, redact_url, send
from hostlib.inventory import Inventory
from hostlib.paths import INSTALL_LOG
from hostlib.sizes import KIB
from installer.config import Endpoint, ReportTarget
from installer.progress import Event
from installer.redaction import redact_all
from installer.report_checks import plan_checks

LOG = logging.getLogger("slipway.report")
SCHEMA: Final = "1.0"
LOG_BYTES: Final = 256 * KIB
"""At most this much of the end of the log goes with a failure."""
REQUEST_SECONDS: Final = 10.0
TAKEN: Final = (200, 201, 202, 204)
"""OK, Created, Accepted, No Content: what receivers answer."""
FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 30.0
DEAD_SECONDS: Final = 60.0
"""After so long without success, phases that are over are not news any more."""
DRAIN_SECONDS: Final = 60.0
SILENT_SECONDS: Final = 2.0
"""The last event takes a moment; only what takes longer is told."""
ENDS: Final = ("succeeded", "failed")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the report is about."""

    install_id: str
    serial: str = ""
    uuid: str = ""
    macs: tuple[str, ...] = ()
    fqdn: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """One event on its way."""

    body: bytes
    fallback: bytes = b""
    """Without the attachment, for a server that refuses the whole."""
    droppable: bool = False


def plan_subject(install_id: str, inventory: Inventory, fqdn: str) -> Subject:
    """Give the subject of the report of a machine."""
    macs = (nic.permanent_mac or nic.mac for nic in inventory.nics if nic.physical)
    dmi = inventory.dmi
    return Subject(install_id, dmi.serial, dmi.uuid, tuple(mac.lower() for mac in macs), fqdn)


def plan_body(
    subject: Subject,
    event: Event,
    time_: datetime,
    warnings: list[str],
    checks: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Give the JSON object of an event; for a phase and a failure `event` holds the phase and percent.

    `checks` is what `report_checks.plan_checks` gives.
    """
    body: dict[str, Any] = {
        "$schema": {"version": SCHEMA},
        "event": event.event,
        "install-id": subject.install_id,
        "time": time_.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"serial": subject.serial, "uuid": subject.uuid, "macs": list(subject.macs)},
        "fqdn": subject.fqdn,
    }
    if event.event == "succeeded":
        body["web-console"] = {"url": event.url, "cert-fingerprint": event.fingerprint}
    if event.event in {"phase", "failed"}:
        body |= {"phase": event.phase, "percent": event.percent}
    if event.event == "failed":
        body |= {"reason": event.text, "status": int(event.status)}
    if event.event != "phase":
        body |= {"warnings": list(warnings), "checks": list(checks)}
    return body


def plan_attachment(log: str) -> dict[str, str]:
    """Give the attachment of a failure: the end of the log, from the beginning of a line."""
    data = log.encode(errors="replace")
    if len(data) > LOG_BYTES:
        data = data[-LOG_BYTES:].partition(b"\n")[2]
    return {
        "name": INSTALL_LOG.name,
        "media-type": "text/plain; charset=utf-8",
        "text": data.decode(errors="replace"),
    }


class Sender:
    """Sends posts one after the other, in a thread, again until each of them is taken."""

    def __init__(self, endpoint: Endpoint, send_: Callable[[Request], Response] = send) -> None:
        """Take the server. The thread begins with the first post."""
        # Loaded now: the medium that it is read from may be gone when a failure is to be told.
        from hostlib import http_exchange  # noqa: F401, PLC0415 - see above

        self._request = Request(
            url=endpoint.url,
            method="POST",
            fingerprint=endpoint.cert_fingerprint,
            token=endpoint.auth_token,
            timeout_seconds=REQUEST_SECONDS,
            success=TAKEN,
        )
        self._send = send_
        self._queue: deque[Post] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)
        self.trouble = ""
        """The first failure, for a person; stays when the server comes back."""

    def put(self, post: Post) -> None:
        """Queue a post. Returns at once."""
        with self._changed:
            self._queue.append(post)
            self._changed.notify()
        if self._thread.ident is None:
            self._thread.start()

    def drain(self, limit_seconds: float) -> int:
        """Send what is queued, for at most `limit_seconds`; give how many posts are left. Nothing may follow."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(limit_seconds)
        with self._changed:
            return len(self._queue)

    def abandon(self) -> int:
        """Send nothing any more; give how many posts are lost."""
        with self._changed:
            self._abandoned = True
            self._changed.notify()
            return len(self._queue)

    def _run(self) -> None:
        wait, dead_since = FIRST_WAIT_SECONDS, 0.0
        while post := self._next():
            hurried = self._closing
            error = self._try(post)
            if error is None or error.final:
                with self._changed:
                    self._queue.popleft()
                wait, dead_since = FIRST_WAIT_SECONDS, 0.0
                continue
            dead_since = dead_since or time.monotonic()
            with self._changed:
                if time.monotonic() - dead_since >= DEAD_SECONDS:
                    self._drop_phases()
            self._pause(wait, hurried=hurried)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _pause(self, seconds: float, *, hurried: bool) -> None:
        # The end of the installation is a reason to try again at once, but only the first time.
        pause = seconds * random.uniform(0.5, 1.5)  # noqa: S311 - it spreads load, it hides nothing
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or (self._closing and not hurried), pause)

    def _next(self) -> Post | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            return self._queue[0] if self._queue and not self._abandoned else None

    def _drop_phases(self) -> None:
        newest = self._queue[-1]
        self._queue = deque(post for post in self._queue if not post.droppable or post is newest)

    def _try(self, post: Post) -> HttpError | None:
        error = self._send_one(post.body)
        if error and error.final and post.fallback:
            LOG.warning("report: the failure goes without the log: %s", error.reason)
            error = self._send_one(post.fallback)
        if error is None:
            return None
        if not self.trouble:
            self.trouble = f"report: {error.reason}"
            LOG.warning("the installation does not wait for its report: %s", error.reason)
        else:
            LOG.debug("%s", error.reason)
        return error

    def _send_one(self, body: bytes) -> HttpError | None:
        try:
            self._send(replace(self._request, body=body))
        except HttpError as error:
            return error
        except Exception as error:
            # The medium that the program runs from may be gone; whatever it is, it stays in this thread.
            LOG.debug("a bug in the report", exc_info=True)
            return HttpError(f"{type(error).__name__} while sending")
        return None


class Reporting:
    """The report of one run, as a sink of events. Silent until an answer names a server; never raises."""

    def __init__(self, install_id: str, show: Callable[[str], None], log: Path) -> None:
        """Take the installation's id, what tells a person that the server is in trouble, and the log."""
        self._subject = Subject(install_id)
        self._show = show
        self._log = log
        self._sender: Sender | None = None
        self._events: tuple[str, ...] = ()
        self._secrets: set[str] = set()
        self._warnings: list[str] = []
        self._checks: list[dict[str, Any]] = []
        self._last = Event("phase")
        self._told_trouble = False
        self._ended = False

    @property
    def install_id(self) -> str:
        """The id that all events carry."""
        return self._subject.install_id

    def open(self, target: ReportTarget | None, secrets: set[str]) -> None:
        """Report to `target` from now on; nothing that is sent holds one of `secrets`."""
        self._secrets |= secrets
        if target and self._sender is None:
            self._sender = Sender(target.endpoint)
            self._events = target.events
            LOG.info("events are reported to %s", redact_url(target.endpoint.url))

    def describe(self, inventory: Inventory, fqdn: str) -> None:
        """Take the machine and the name that the node gets."""
        self._subject = plan_subject(self.install_id, inventory, fqdn)

    def note(self, inventory: Inventory, findings: Sequence[Finding]) -> None:
        """Take what the checks of the machine found."""
        self._checks = plan_checks(findings, inventory)

    @property
    def secrets(self) -> set[str]:
        """What is taken out of everything that is sent."""
        return set(self._secrets)

    @property
    def knows_machine(self) -> bool:
        """Whether the machine has been described."""
        return bool(self._subject.macs or self._subject.serial or self._subject.uuid)

    @property
    def lacks_failure(self) -> bool:
        """Whether a failure of this run would be news to the server."""
        return self._sender is not None and "failed" in self._events and not self._ended

    def __call__(self, event: Event) -> None:
        """Take an event."""
        try:
            self._take(event)
        except Exception:
            LOG.exception("a bug in the report")

    def redact(self, text: str) -> str:
        """Give a text without secrets."""
        return redact_all(text, self._secrets)

    def close(self, limit_seconds: float = DRAIN_SECONDS) -> None:
        """Send what is left, for at most `limit_seconds`. Later events are not sent."""
        if self._sender is None:
            return
        sender, self._sender = self._sender, None
        if sender.drain(min(SILENT_SECONDS, limit_seconds)):
            self._show(f"the report is not delivered yet; trying for {limit_seconds:.0f} s")
            sender.drain(limit_seconds)
        left = sender.abandon()
        self._tell_trouble(sender)
        if left:
            LOG.warning("%d events of the report were not delivered", left)
            self._show(f"{left} events of the report were not delivered")

    def _take(self, event: Event) -> None:
        if event.event == "warning":
            self._warnings.append(event.text)
        elif event.event in {"phase", "progress"}:
            self._last = event
        if self._sender is None or self._ended:
            return
        self._tell_trouble(self._sender)
        self._ended = event.event in ENDS
        if event.event in self._events:
            self._sender.put(self._post(event))

    def _post(self, event: Event) -> Post:
        if event.event == "failed":
            event = replace(
                event, phase=self._last.phase, percent=self._last.percent, text=self.redact(event.text)
            )
        warnings = [self.redact(text) for text in self._warnings]
        body = plan_body(self._subject, event, datetime.now(UTC), warnings, self._checks)
        short = _encode(body)
        if event.event != "failed":
            return Post(short, droppable=event.event == "phase")
        # Redacted before it is cut: a cut in the middle of a secret would leave the rest of it.
        body["attachments"] = [plan_attachment(self.redact(read_if_there(self._log) or ""))]
        return Post(_encode(body), short)

    def _tell_trouble(self, sender: Sender) -> None:
        if sender.trouble and not self._told_trouble:
            self._told_trouble = True
            self._show(self.redact(sender.trouble))


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")
