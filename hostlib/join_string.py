"""The one string that takes a node into a cluster: where its members are, whom to trust, and the token. Pure.

`slipway1.` and the base64url of JSON: `u` the URLs of members, `f` the fingerprint of the cluster's CA certificate,
`t` the token. No message repeats what may hold the token; each ValueError reads `what is wrong; what to do`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from hostlib.ports import ENROLLMENT

PREFIX: Final = "slipway1."
LIMIT: Final = 8192
"""Characters of the string; with 16 long URLs it has about 6,000."""
MOST_URLS: Final = 16
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{32,256}")
"""32 random bytes in base64url or hex, and more; the upper limit is that of `agent.protocol`."""
TODO: Final = "paste all of the line that `slipway token create` prints"


@dataclass(frozen=True, slots=True)
class JoinString:
    """What a node needs to ask a cluster to take it in."""

    urls: tuple[str, ...]
    """Of members, `https://host:port`."""
    fingerprint: str
    """SHA-256 of the CA certificate, 64 hex digits in lower case."""
    token: str = field(repr=False)


def is_join_string(text: str) -> bool:
    """Tell whether this is meant as one, of whatever version; a bare token holds no dot."""
    return re.match(r"slipway\d*\.", text) is not None


def render_join_string(join: JoinString) -> str:
    """Give the string."""
    data = {"u": list(join.urls), "f": join.fingerprint, "t": join.token}
    encoded = base64.urlsafe_b64encode(json.dumps(data, separators=(",", ":")).encode())
    return PREFIX + encoded.decode().rstrip("=")


def parse_join_string(text: str) -> JoinString:
    """Read the string, whole or with the padding left out; URLs and fingerprint come in their usual form.

    Raises ValueError.
    """
    if not text.startswith(PREFIX):
        if is_join_string(text):
            raise ValueError(f"it is not of the version that is known here ({PREFIX}…); use a newer image")
        raise ValueError(f"it does not begin with {PREFIX}; {TODO}")
    if len(text) > LIMIT:
        raise ValueError(f"it has {len(text)} characters, {LIMIT} are the limit; {TODO}")
    data = _decode(text.removeprefix(PREFIX).rstrip("="))
    urls = data.get("u")
    if not isinstance(urls, list) or not 1 <= len(urls) <= MOST_URLS:
        raise ValueError(f"it does not hold 1 to {MOST_URLS} URLs of members; {TODO}")
    try:
        return JoinString(
            tuple(check_join_url(str(url)) for url in urls),
            check_ca_fingerprint(str(data.get("f"))),
            check_join_token(str(data.get("t"))),
        )
    except ValueError as error:
        what = str(error).rpartition("; ")[0]
        raise ValueError(f"what it holds is not right ({what}); {TODO}") from None


def _decode(encoded: str) -> Mapping[str, Any]:
    broken = f"it is cut off or changed; {TODO}"
    # b64decode passes over other characters, such as blanks in the middle.
    if not re.fullmatch(r"[A-Za-z0-9_-]+", encoded):
        raise ValueError(broken)
    try:
        data = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise ValueError(broken) from None
    if not isinstance(data, dict):
        raise ValueError(broken)  # noqa: TRY004 - it is a text that is wrong, not a type
    return data


def check_join_url(url: str) -> str:
    """Give the URL of a member as `https://host:port`, with the enrolment port where none is given.

    Raises ValueError, which does not repeat the URL: it may hold a password.
    """
    example = f"give one such as 'https://192.0.2.10:{ENROLLMENT}'"
    wrong = f"this is no URL of a member; {example}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(wrong) from None
    if not host or port == 0 or not re.fullmatch(r"[a-z0-9.:_-]+", host) or not re.fullmatch(r"[!-~]+", url):
        raise ValueError(wrong)
    if parts.scheme != "https":
        raise ValueError(f"a node joins over https alone, not {parts.scheme}; {example}")
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"the URL of a member has host and port alone; {example}")
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}:{port or ENROLLMENT}"


def check_ca_fingerprint(text: str) -> str:
    """Give a SHA-256 fingerprint as 64 hex digits in lower case. Raises ValueError unless it is one."""
    digits = text.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError(
            "this is no SHA-256 fingerprint of 64 hex digits; give that of the cluster's CA certificate"
        )
    return digits


def check_join_token(token: str) -> str:
    """Raise ValueError unless this can be a token; it is not repeated."""
    if not TOKEN.fullmatch(token):
        raise ValueError(f"this is no token of 32 to 256 letters, digits, '-' and '_'; {TODO}")
    return token
