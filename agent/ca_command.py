"""`slipway ca`: the cluster's certificate authority."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from agent.authority import RECORD
from agent.ca import (
    FOLDER,
    CaRecord,
    drop_outdated,
    read_ca_key,
    remove_retired_keys,
    rotate_ca,
    trusted_until,
    write_ca_key,
)
from agent.member import Member, parse_ca
from agent.store import Changes, Values
from hostlib.errors import ExitStatus, Problem, StepError, UserError
from hostlib.tls import fingerprint

SCHEMA: Final = 1


def run_ca_show(member: Member, *, as_json: bool) -> ExitStatus:
    """Print the CAs that nodes trust, and whether this member can sign."""
    record = drop_outdated(parse_ca(member.read()), member.now())
    try:
        read_ca_key(record, member.path(FOLDER))
        trouble = ""
    except StepError as error:
        trouble = str(error)
    rows: list[dict[str, Any]] = [
        {
            "fingerprint": fingerprint(authority.certificate.encode()),
            "signs": number == 0,
            "trusted_until": trusted_until(authority).isoformat(timespec="seconds"),
        }
        for number, authority in enumerate(record.authorities)
    ]
    if as_json:
        content = {"schema": SCHEMA, "authorities": rows, "holds_key": not trouble, "trouble": trouble}
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return ExitStatus.DONE
    for row, authority in zip(rows, record.authorities, strict=True):
        role = "signs" if row["signs"] else "replaced"
        sys.stdout.write(f"{row['fingerprint']}\n  {role}, trusted until {_day(trusted_until(authority))}\n")
    sys.stdout.write(f"This member cannot sign: {trouble}\n" if trouble else "This member has the key.\n")
    return ExitStatus.DONE


def run_ca_rotate(member: Member, *, key_lost: bool) -> ExitStatus:
    """Make a new CA that signs from now on, and say what follows.

    Raises UserError, StepError when this member does not have the key of the one that has signed so far (`key_lost`:
    nobody has it). The new key is on disk before the record names it: a power cut leaves the old CA in force.
    """
    begun: list[tuple[str, CaRecord]] = []

    def plan(values: Values) -> tuple[CaRecord, Changes]:
        record = parse_ca(values)
        if not begun:
            begun.append((values[RECORD], _begin(member, record, key_lost=key_lost)))
        before, new = begun[0]
        # Anything in the store may have changed since; a CA that another has just made must not be lost.
        if values[RECORD] != before:
            raise UserError(
                Problem("ca rotate", "another rotated it at this moment", "look: slipway ca show")
            )
        return new, {RECORD: new.model_dump_json()}

    record, _ = member.change(plan)
    remove_retired_keys(record, member.path(FOLDER))
    new, *old = record.authorities
    sys.stdout.write(
        f"From now on signs {fingerprint(new.certificate.encode())}\n"
        f"The one before is trusted until {_day(trusted_until(old[0]))}; tokens that were made with it work until then,\n"
        "and whoever has its key can still pass for a member. Members fetch the new key, and nodes get certificates by the\n"
        "new CA, by themselves within some minutes; one that is off does when it is back. A browser that trusts the old CA\n"
        "needs the new one by then.\n"
    )
    if key_lost:
        sys.stdout.write(
            "A node that is off now may have to be enrolled anew: nothing vouches for the new CA to it.\n"
        )
    return ExitStatus.DONE


def _begin(member: Member, record: CaRecord, *, key_lost: bool) -> CaRecord:
    folder = member.path(FOLDER)
    old_key: ec.EllipticCurvePrivateKey | None = None
    try:
        old_key = read_ca_key(record, folder)
    except StepError:
        if not key_lost:
            raise
    key, new = rotate_ca(record, old_key, member.now())
    try:
        write_ca_key(key, folder)
    except OSError as error:
        where, what = error.filename or str(FOLDER), f"cannot be written ({error.strerror})"
        raise StepError(str(Problem(where, what, "free some space in /var"))) from error
    return new


def _day(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
