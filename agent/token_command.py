"""`slipway token`: who may ask to become a node."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from agent.ca import ca_fingerprint
from agent.enroll_policy import plan_prune
from agent.member import Member, parse_ca
from agent.records import parse_nodes, parse_token, parse_tokens, render_record, token_key
from agent.store import Changes, Values
from agent.tokens import (
    Approval,
    TokenRecord,
    make_token,
    parse_lifetime,
    parse_match,
    render_tokens,
    revoke,
    view_token,
)
from hostlib.errors import ExitStatus, Problem, UserError
from hostlib.join_string import MOST_URLS, JoinString, check_ca_fingerprint, render_join_string

SCHEMA: Final = 1


def run_token_create(
    member: Member,
    *,
    uses: int,
    expires: str,
    match: str,
    approval: Approval,
    as_json: bool,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> ExitStatus:
    """Make a token; the string to join by goes to standard output, all else to standard error. Raises UserError."""
    lifetime, rules = parse_lifetime(expires), parse_match(match)

    def make(values: Values) -> tuple[tuple[JoinString, TokenRecord], Changes]:
        fingerprint = check_ca_fingerprint(ca_fingerprint(parse_ca(values)))
        while True:
            secret, record = make_token(
                random, member.seconds, uses=uses, lifetime=lifetime, match=rules, approval=approval
            )
            if token_key(record.id) not in values:
                changes = {**plan_prune(values, member.seconds), **render_record(record)}
                return (JoinString(urls, fingerprint, secret), record), changes

    urls = member.urls()[:MOST_URLS]
    (join, record), _ = member.change(make)
    text = render_join_string(join)
    if as_json:
        sys.stdout.write(_render_json(text, join, record))
        return ExitStatus.DONE
    sys.stderr.write(render_created(join, record))
    sys.stdout.write(f"{text}\n")
    return ExitStatus.DONE


def render_created(join: JoinString, record: TokenRecord) -> str:
    """Give what an administrator is told of a token that was just made: it is shown this once."""
    view = view_token(record, record.created)
    urls = ", ".join(f'"{url}"' for url in join.urls)
    until = f"{datetime.fromtimestamp(record.expires, UTC):%Y-%m-%d %H:%M} UTC"
    nodes = "1 node" if record.uses == 1 else f"{record.uses} nodes"
    after = "at once" if record.approval == "auto" else "after `slipway node approve NAME`"
    return (
        f"Token {record.id}: takes in {nodes} until {until}, {after}; machines: {view.match or 'any'}.\n"
        "Whoever has the line below can use it; it is not shown again. Give it to a node on the screen Cluster, or\n"
        'in its answer file as token = "..." in [enrollment] with mode = "join". In parts, for the same place:\n'
        f'  token = "{join.token}"\n  fingerprint = "{join.fingerprint}"\n  url = [{urls}]\n'
        f"Not needed any more: slipway token revoke {record.id}\n\n"
    )


def _render_json(text: str, join: JoinString, record: TokenRecord) -> str:
    view = view_token(record, record.created).model_dump(mode="json")
    parts = {"token": join.token, "fingerprint": join.fingerprint, "urls": list(join.urls)}
    return json.dumps({"schema": SCHEMA, "join": text, **parts, **view}, indent=2) + "\n"


def run_token_list(member: Member, *, as_json: bool) -> ExitStatus:
    """Print the tokens."""
    values = member.read()
    views = [view_token(record, member.seconds) for record in parse_tokens(values).values()]
    if as_json:
        content = {"schema": SCHEMA, "tokens": [view.model_dump(mode="json") for view in views]}
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    elif views:
        names = {node.id: node.hostname for node in parse_nodes(values).values()}
        sys.stdout.write(render_tokens(views, names))
    else:
        sys.stdout.write("There is no token; make one: slipway token create\n")
    return ExitStatus.DONE


def run_token_revoke(member: Member, ids: Sequence[str]) -> ExitStatus:
    """Revoke tokens, all of them or none. Raises UserError when one is not known."""

    def plan(values: Values) -> tuple[None, Changes]:
        found = {one: parse_token(values, one) for one in ids}
        if unknown := [one for one, record in found.items() if record is None]:
            todo = "take the ids that `slipway token list` shows"
            raise UserError(Problem("ID", f"there is no token {', '.join(unknown)}", todo))
        changes: dict[str, str | None] = {}
        for record in found.values():
            if record and not record.revoked:
                changes |= render_record(revoke(record))
        return None, changes

    member.change(plan)
    for one in dict.fromkeys(ids):
        sys.stdout.write(f"token {one}: revoked; nodes that it has taken in stay\n")
    return ExitStatus.DONE
