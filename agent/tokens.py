"""Enrolment tokens: what lets a machine that nobody knows ask to become a node. Pure.

The token itself is shown once and stored nowhere; its record, in the store under its id, holds a hash. A use belongs
to a node's id and stands in the record of the token, so that it is taken in one write, and a node that asks again
after a cut takes none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final, Literal

from agent.protocol import Facts, Refusal
from agent.table import render_table
from hostlib.errors import Problem, UserError, printable
from hostlib.record import Record

SECRET_BYTES: Final = 32
SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""SECRET_BYTES in base64url without padding."""
SALT_BYTES: Final = 16
# The parameters of scrypt's author for a log-in (N = 2^14, r = 8, p = 1: 16 MiB). What is hashed is 256 random bits,
# which nobody guesses, so more would only cost time: 26 ms of a processor, some 20 times that under emulation.
# They belong to version 1 of the record.
SCRYPT_N: Final = 2**14
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
SCRYPT_MEMORY_BYTES: Final = 32 * 2**20
MOST_USES: Final = 1000
"""The ids of all that used it stand in its record."""
SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=366)
UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
ANOTHER: Final = "make a new one on a member: slipway token create"

Approval = Literal["auto", "manual"]
State = Literal["valid", "expired", "used-up", "revoked"]


class Match(Record):
    """Which machines a token is for: of each kind that is given, one value must fit. Empty: any machine.

    It compares what a machine says of itself: it keeps a token off the wrong machine, not off a liar.
    """

    serials: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    """Lower case, with colons."""
    subnets: tuple[str, ...] = ()
    """Of the management address."""


class TokenRecord(Record):
    """What is stored of a token (`user.slipway.token.<id>`)."""

    version: Literal[1] = 1
    id: str
    """First 8 hex digits of the SHA-256 of the token's bytes; no secret."""
    salt: str
    """Hex."""
    hash: str
    """Hex, by scrypt."""
    created: int
    """Seconds since 1970, as all times here."""
    expires: int
    uses: int
    """How many nodes may use it."""
    used_by: tuple[str, ...] = ()
    """Ids of the nodes that did."""
    match: Match = Match()
    approval: Approval = "auto"
    revoked: bool = False


class TokenView(Record):
    """A token as `slipway token list` shows it."""

    id: str
    state: State
    created: int
    expires: int
    uses: int
    used_by: tuple[str, ...]
    match: str
    approval: Approval


def make_token(
    random: Callable[[int], bytes],
    now: int,
    *,
    uses: int,
    lifetime: timedelta,
    match: Match,
    approval: Approval,
) -> tuple[str, TokenRecord]:
    """Make a token: the secret, to be shown once, and what is stored of it.

    `random` gives as many unguessable bytes as it is asked for (`secrets.token_bytes`). An id that the store holds
    already, one of four thousand million, is a reason to make another. Raises UserError.
    """
    if not 1 <= uses <= MOST_USES:
        raise UserError(Problem("--uses", f"{uses} is out of range", f"give a number from 1 to {MOST_USES}"))
    _check_lifetime(lifetime)
    secret = base64.urlsafe_b64encode(random(SECRET_BYTES)).decode().rstrip("=")
    salt = random(SALT_BYTES).hex()
    return secret, TokenRecord(
        id=token_id(secret),
        salt=salt,
        hash=_hash(secret, salt),
        created=now,
        expires=now + int(lifetime.total_seconds()),
        uses=uses,
        match=match,
        approval=approval,
    )


def token_id(secret: str) -> str:
    """Give the id under which a token would be stored; what cannot be a token gets one that no token has."""
    return hashlib.sha256(_bytes(secret)).hexdigest()[:8]


def is_secret_of(secret: str, record: TokenRecord) -> bool:
    """Tell whether `secret` is the token of `record`. Takes time (see SCRYPT_N): have it done beside the event loop."""
    return hmac.compare_digest(_hash(secret, record.salt), record.hash)


def unknown_token() -> Refusal:
    """Give the answer to a token that is wrong or unknown."""
    return Refusal(code="token-unknown", reason="the cluster does not know this token", todo=ANOTHER)


def take_use(record: TokenRecord, node_id: str, facts: Facts, now: int) -> TokenRecord | Refusal:
    """Take a use of a token for a node, to be written before the node's own record; or say why it gets none.

    Only for who has shown the secret. A node that has its use already gets the record unchanged, even when the token
    has expired since; a token that was revoked serves nobody.
    """
    if record.revoked:
        return Refusal(code="token-revoked", reason=f"the token {record.id} was revoked", todo=ANOTHER)
    if node_id in record.used_by:
        return record
    if now >= record.expires:
        what = f"the token {record.id} expired on {_time(record.expires)}; the clock of the member says {_time(now)}"
        return Refusal(code="token-expired", reason=what, todo=ANOTHER)
    if wrong := _mismatch(record.match, facts):
        what = f"the token {record.id} is for other machines: {wrong}"
        return Refusal(code="facts-not-allowed", reason=what, todo=ANOTHER)
    if len(record.used_by) >= record.uses:
        return used_up(record)
    return record.model_copy(update={"used_by": (*record.used_by, node_id)})


def used_up(record: TokenRecord) -> Refusal:
    """Give the answer to a node that comes after as many as the token is for."""
    what = f"all {record.uses} uses of the token {record.id} are taken"
    return Refusal(code="token-used-up", reason=what, todo=ANOTHER)


def revoke(record: TokenRecord) -> TokenRecord:
    """Give the record of the token, revoked; nodes that are enrolled already stay so."""
    return record.model_copy(update={"revoked": True})


def view_token(record: TokenRecord, now: int) -> TokenView:
    """Give what people and programs are shown of a token: nothing that helps to use it."""
    state: State = "valid"
    if record.revoked:
        state = "revoked"
    elif len(record.used_by) >= record.uses:
        state = "used-up"
    elif now >= record.expires:
        state = "expired"
    return TokenView(
        id=record.id,
        state=state,
        created=record.created,
        expires=record.expires,
        uses=record.uses,
        used_by=record.used_by,
        match=render_match(record.match),
        approval=record.approval,
    )


def render_tokens(views: Iterable[TokenView], names: Mapping[str, str]) -> str:
    """Give the tokens as a table, the newest first. `names`: id of a node -> what it is called."""
    rows = [("ID", "STATE", "LEFT", "EXPIRES", "APPROVE", "MATCH", "USED BY")]
    rows += [
        (
            view.id,
            view.state,
            f"{max(view.uses - len(view.used_by), 0)}/{view.uses}",
            _time(view.expires),
            view.approval,
            view.match or "any",
            ", ".join(names.get(node, node[:8]) for node in view.used_by) or "-",
        )
        for view in sorted(views, key=lambda view: view.created, reverse=True)
    ]
    return render_table(rows)


def parse_lifetime(text: str) -> timedelta:
    """Read what `--expires` takes: `90m`, `24h`, `7d`. Raises UserError."""
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if not found:
        what = f"'{text[:20]}' is no duration"
        raise UserError(Problem("--expires", what, "give minutes, hours or days: 90m, 24h, 7d"))
    lifetime = int(found[1]) * UNITS[found[2]]
    _check_lifetime(lifetime)
    return lifetime


def parse_match(text: str) -> Match:
    """Read what `--match` takes: `serial=…,mac=…,subnet=…`, each as often as needed. Raises UserError."""
    found: dict[str, list[str]] = {"serial": [], "mac": [], "subnet": []}
    for part in text.split(",") if text else []:
        kind, _, value = (piece.strip() for piece in part.partition("="))
        if kind not in found or not value:
            what = f"'{part[:40]}' is no rule"
            raise UserError(Problem("--match", what, "give serial=…, mac=… or subnet=…, with commas between"))
        try:
            found[kind].append(_READ[kind](value))
        except ValueError as error:
            what, todo = f"'{value[:40]}' is no {kind} ({error})", f"correct it, such as {_EXAMPLES[kind]}"
            raise UserError(Problem("--match", what, todo)) from error
    return Match(serials=tuple(found["serial"]), macs=tuple(found["mac"]), subnets=tuple(found["subnet"]))


def render_match(match: Match) -> str:
    """Give the rules in the form that `parse_match` reads; empty when there is none."""
    kinds = (("serial", match.serials), ("mac", match.macs), ("subnet", match.subnets))
    return ",".join(f"{kind}={value}" for kind, values in kinds for value in values)


def _bytes(secret: str) -> bytes:
    # b64decode would pass over letters that are none of its own.
    return base64.urlsafe_b64decode(secret + "=") if SECRET.fullmatch(secret) else b""


def _hash(secret: str, salt: str) -> str:
    return hashlib.scrypt(
        _bytes(secret),
        salt=bytes.fromhex(salt),
        n=SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        maxmem=SCRYPT_MEMORY_BYTES,
        dklen=32,
    ).hex()


def _check_lifetime(lifetime: timedelta) -> None:
    if not SHORTEST <= lifetime <= LONGEST:
        raise UserError(Problem("--expires", f"{lifetime} is out of range", "give 1m at least, 366d at most"))


def _mismatch(match: Match, facts: Facts) -> str:
    """Say which rule does not fit, with what the machine says; the text ends up on that machine's console."""
    if match.serials and facts.serial.strip() not in match.serials:
        return f"serial {_some(match.serials)}, this one has {printable(facts.serial) or 'none'}"
    if match.macs and not {mac.lower() for mac in facts.macs} & set(match.macs):
        return f"MAC address {_some(match.macs)}, this one has {_some(facts.macs) or 'none'}"
    if match.subnets and not any(_is_in(facts.address, subnet) for subnet in match.subnets):
        return f"subnet {_some(match.subnets)}, this one has {printable(facts.address)}"
    return ""


def _some(values: Sequence[str]) -> str:
    more = f" and {len(values) - 3} more" if len(values) > 3 else ""
    return " or ".join(printable(value) for value in values[:3]) + more


def _is_in(address: str, subnet: str) -> bool:
    try:
        return ip_address(address) in ip_network(subnet)
    except ValueError:
        return False


def _read_mac(text: str) -> str:
    mac = text.lower().replace("-", ":")
    if not MAC.fullmatch(mac):
        raise ValueError("it has six pairs of hex digits")
    return mac


def _read_serial(text: str) -> str:
    if not text.isprintable() or len(text) > 256:
        raise ValueError("it has 256 characters at most, all of them printable")
    return text


_READ: Final[dict[str, Callable[[str], str]]] = {
    "serial": _read_serial,
    "mac": _read_mac,
    "subnet": lambda text: str(ip_network(text)),
}
_EXAMPLES: Final = {"serial": "CZ1234ABCD", "mac": "52:54:00:12:34:56", "subnet": "192.0.2.0/24"}


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
