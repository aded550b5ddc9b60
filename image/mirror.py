"""Where Debian comes from: the build host's own apt configuration, or DEBIAN_MIRROR."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hostlib.errors import CommandError, Problem, UserError
from hostlib.run import Runner

RELEASE: Final = "trixie"
KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
REACH_TIMEOUT_SECONDS: Final = 20
TARGETS_FORMAT: Final = "$(REPO_URI) $(COMPONENT) $(LABEL)"
WHAT_TO_DO: Final = "set DEBIAN_MIRROR= to the URL of a Debian mirror"


@dataclass(frozen=True, slots=True)
class Mirrors:
    """URLs of the Debian archive and of its security archive, without a slash at the end."""

    main: str
    security: str


def parse_targets(text: str) -> Mirrors | None:
    """Find Debian's archives in what `apt-get indextargets` prints in TARGETS_FORMAT.

    A host that never ran `apt-get update` knows no labels; the usual names of the folders serve then.
    """
    main = security = ""
    for line in text.splitlines():
        url, component, *label = line.split(" ", 2)
        url = url.rstrip("/")
        if component != "main" or not url.startswith(("http://", "https://")):
            continue
        if label == ["Debian-Security"] or url.endswith("/debian-security"):
            security = security or url
        elif label == ["Debian"] or url.endswith("/debian"):
            main = main or url
    if not main:
        return None
    return Mirrors(main, security or f"{main}-security")


def read_mirrors(runner: Runner, environment: Mapping[str, str] = os.environ) -> Mirrors:
    """Give the mirrors to build from. Raises UserError when the host names none."""
    if given := environment.get("DEBIAN_MIRROR", "").rstrip("/"):
        return Mirrors(given, environment.get("DEBIAN_SECURITY_MIRROR", f"{given}-security").rstrip("/"))
    argv = ["apt-get", "indextargets", "--format", TARGETS_FORMAT, "Created-By: Packages"]
    try:
        found = parse_targets(runner.run(argv).stdout)
    except CommandError as error:
        raise UserError(
            Problem("mirror", f"apt does not tell its sources ({error.reason})", WHAT_TO_DO)
        ) from error
    if found is None:
        raise UserError(
            Problem("mirror", "the apt configuration of this host names no Debian archive", WHAT_TO_DO)
        )
    return found


def render_sources(mirrors: Mirrors) -> str:
    """Give the deb822 sources that mkosi builds from."""
    return "\n".join(
        f"Types: deb\nURIs: {url}\nSuites: {suites}\nComponents: main non-free-firmware\nSigned-By: {KEYRING}\n"
        for url, suites in (
            (mirrors.main, f"{RELEASE} {RELEASE}-updates"),
            (mirrors.security, f"{RELEASE}-security"),
        )
    )


def check_reachable(mirrors: Mirrors) -> None:
    """Raise UserError when the archive does not answer, before a long build finds out."""
    url = f"{mirrors.main}/dists/{RELEASE}/InRelease"
    try:
        with urllib.request.urlopen(url, timeout=REACH_TIMEOUT_SECONDS) as answer:  # noqa: S310 - http(s) only, above
            answer.read(1)
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        problem = Problem("mirror", f"{url} cannot be read ({reason})", f"check the network, or {WHAT_TO_DO}")
        raise UserError(problem) from error
