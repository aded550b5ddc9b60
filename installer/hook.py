"""The first-boot hook: a program that the answer names, read and checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hostlib.errors import Problem, UserError
from hostlib.http import HttpError, Request, redact_url, send_patiently
from hostlib.paths import MEDIUM
from hostlib.sizes import MIB, render_size
from installer.config import FirstBootHook

NAMES: Final = ("slipway-first-boot", "proxmox-first-boot")
"""At the root of the medium; the first that is there counts."""
LIMIT_BYTES: Final = MIB
FETCH_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook as it goes to the node. It may hold secrets: nothing prints its content."""

    ordering: str
    source: str
    """Where it is from, for a person."""
    content: bytes | None = field(default=None, repr=False)
    """None while it has not been read: for a plan that is only printed."""


def describe_hook(config: FirstBootHook) -> Hook:
    """Give the hook of a configuration without reading it."""
    where = redact_url(config.endpoint.url) if config.endpoint else "the live medium"
    return Hook(config.ordering, where)


def read_hook(config: FirstBootHook, tell: Callable[[str], None], medium: Path = MEDIUM) -> Hook:
    """Read the hook that the configuration names. Raises UserError.

    `tell` gets what is odd, and what goes wrong with the server while it is asked again for at most 5 minutes.
    """
    content = _fetch(config, tell) if config.source == "from-url" else _read(medium)
    hook = describe_hook(config)
    if not content.startswith((b"#!", b"\x7fELF")):
        what = f"what {hook.source} gives ({len(content)} bytes) is no program: it begins with neither #! nor ELF"
        raise UserError(Problem("first-boot", what, "put `#!/bin/sh` or the like in its first line"))
    return Hook(hook.ordering, hook.source, content)


def _fetch(config: FirstBootHook, tell: Callable[[str], None]) -> bytes:
    if config.endpoint is None:
        raise ValueError("the configuration holds no URL")
    request = Request(
        url=config.endpoint.url,
        fingerprint=config.endpoint.cert_fingerprint,
        token=config.endpoint.auth_token,
        limit_bytes=LIMIT_BYTES,
    )
    if config.endpoint.url.lower().startswith("http:"):
        tell("the hook comes over http: anybody on the way can read and change it")
    try:
        return send_patiently(request, limit_seconds=FETCH_SECONDS, tell=tell).body
    except HttpError as error:
        what, _, todo = error.reason.partition("; ")
        raise UserError(Problem("first-boot.url", what, todo or "correct the URL")) from error


def _read(medium: Path) -> bytes:
    for name in NAMES:
        path = medium / name
        if not path.exists():
            continue
        try:
            with path.open("rb") as stream:
                content = stream.read(LIMIT_BYTES + 1)
        except OSError as error:
            problem = Problem(
                "first-boot", f"{name} cannot be read: {error.strerror}", "write the medium anew"
            )
            raise UserError(problem) from error
        if len(content) > LIMIT_BYTES:
            what = f"{name} has {path.stat().st_size} bytes, more than {render_size(LIMIT_BYTES)}"
            raise UserError(Problem("first-boot", what, "make it smaller; it can fetch the rest itself"))
        return content
    what = f"the live medium holds no {' and no '.join(NAMES)}"
    raise UserError(Problem("first-boot", what, "put the hook at its root, or use source 'from-url'"))
