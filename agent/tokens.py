"""The secret of a token: how it is made, written, named and compared. What is kept of it is its scrypt hash."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

from agent.records import Approval, Match, TokenRecord

SECRET_BYTES: Final = 32
SALT_BYTES: Final = 16
# 16 MiB and about 50 ms. The secret has 256 random bits, so nobody finds it by trying; a costlier hash would only
# make it easier to keep a member busy.
COST: Final = {"n": 2**14, "r": 8, "p": 1}


def render_secret(secret: bytes) -> str:
    """Give the secret as it is shown once to a person: base64url without padding."""
    return base64.urlsafe_b64encode(secret).decode().rstrip("=")


def parse_secret(text: str) -> bytes | None:
    """Read a secret; None unless it is one."""
    # b64decode would pass over other characters.
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", text):
        return None
    try:
        return base64.urlsafe_b64decode(text + "=")
    except binascii.Error:
        return None


def token_id(secret: bytes) -> str:
    """Give the name of a token in lists."""
    return hashlib.sha256(secret).hexdigest()[:8]


def hash_secret(secret: bytes, salt: bytes) -> bytes:
    """Give what is kept of a secret. Takes about 50 ms of a core."""
    return hashlib.scrypt(secret, salt=salt, dklen=32, **COST)


def is_secret_of(secret: bytes, token: TokenRecord) -> bool:
    """Tell whether this is the secret of the token. Takes about 50 ms of a core."""
    return hmac.compare_digest(hash_secret(secret, bytes.fromhex(token.salt)), bytes.fromhex(token.hash))


def make_token(
    secret: bytes, salt: bytes, *, now: int, expires: int, uses: int, match: Match, approval: Approval
) -> TokenRecord:
    """Make the record of a new token: `secret` and `salt` are SECRET_BYTES and SALT_BYTES at random."""
    return TokenRecord(
        id=token_id(secret),
        salt=salt.hex(),
        hash=hash_secret(secret, salt).hex(),
        created=now,
        expires=expires,
        uses=uses,
        match=match,
        approval=approval,
    )
