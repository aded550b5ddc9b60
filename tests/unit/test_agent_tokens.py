"""Enrolment tokens: who may use one, how often, for how long."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.protocol import EnrollRequest, Facts, Refusal
from agent.tokens import (
    Match,
    TokenRecord,
    is_secret_of,
    make_token,
    parse_lifetime,
    parse_match,
    render_match,
    render_tokens,
    revoke,
    take_use,
    token_id,
    unknown_token,
    view_token,
)
from hostlib.errors import UserError

NOW = int(datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp())
HOUR = 3600
SHORT = timedelta(hours=1)
FACTS = Facts(
    fqdn="node2.example.com",
    address="192.0.2.42",
    serial="CZ1234 ABCD",
    macs=("52:54:00:12:34:56", "52:54:00:12:34:57"),
)
ONE, TWO, THREE = "1" * 32, "2" * 32, "3" * 32


def count(size: int) -> bytes:
    return bytes(range(size))


SECRET, RECORD = make_token(count, NOW, uses=2, lifetime=24 * SHORT, match=Match(), approval="auto")


def record(**change: Any) -> TokenRecord:
    return RECORD.model_copy(update=change)


def used(found: TokenRecord | Refusal) -> TokenRecord:
    assert isinstance(found, TokenRecord), found
    return found


def refused(found: TokenRecord | Refusal) -> tuple[str, str]:
    assert isinstance(found, Refusal)
    assert found.todo == "make a new one on a member: slipway token create"
    return found.code, found.reason


def test_what_is_stored_of_a_token() -> None:
    assert hashlib.sha256(bytes(range(32))).hexdigest().startswith(RECORD.id)
    assert len(RECORD.id) == 8
    assert token_id(SECRET) == RECORD.id
    assert RECORD.expires == NOW + 24 * HOUR
    stored = RECORD.model_dump_json()
    assert SECRET not in stored
    assert bytes(range(32)).hex() not in stored
    assert TokenRecord.model_validate_json(stored) == RECORD
    expected = hashlib.scrypt(bytes(range(32)), salt=bytes(range(16)), n=16384, r=8, p=1, dklen=32)
    assert RECORD.hash == expected.hex()
    assert EnrollRequest(token=SECRET, csr="", facts=FACTS).token == SECRET


def test_two_tokens_have_nothing_in_common() -> None:
    other, found = make_token(
        secrets.token_bytes, NOW, uses=1, lifetime=SHORT, match=Match(), approval="manual"
    )
    assert len({other, found.id, found.salt, found.hash, SECRET, RECORD.id, RECORD.salt, RECORD.hash}) == 8


def test_the_right_secret_and_no_other() -> None:
    assert is_secret_of(SECRET, RECORD)
    assert not is_secret_of("B" + SECRET[1:], RECORD)
    assert not is_secret_of(SECRET, record(salt="00" * 16))


@pytest.mark.parametrize(
    "text",
    ["", "x", SECRET[:-1], SECRET + "A", SECRET + "=", f" {SECRET}", f"{SECRET}\n", SECRET.replace("A", "\u0410", 1),
     SECRET[:20] + "!" + SECRET[21:], "\ud800" * 43, "A" * 100_000],
)  # fmt: skip
def test_a_malformed_token_is_an_unknown_one(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("agent.tokens.SCRYPT_N", 2)
    secret, stored = make_token(count, NOW, uses=1, lifetime=SHORT, match=Match(), approval="auto")
    assert is_secret_of(secret, stored)
    assert token_id(text) != stored.id
    assert not is_secret_of(text, stored)


def test_what_is_no_token_fits_no_record_even_of_its_own_id() -> None:
    zeros = TokenRecord(
        id=token_id(""), salt="00" * 16, hash="00" * 32, created=NOW, expires=NOW + HOUR, uses=1
    )
    assert not is_secret_of("", zeros)


@pytest.mark.parametrize("secret", [SECRET, "A" * 43, "no token"])
def test_what_a_guess_costs(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    calls: list[dict[str, Any]] = []

    def scrypt(_: bytes, **cost: Any) -> bytes:
        calls.append(cost)
        return b"\0" * 32

    monkeypatch.setattr(hashlib, "scrypt", scrypt)
    assert not is_secret_of(secret, RECORD)
    assert [(c["n"], c["r"], c["p"], len(c["salt"])) for c in calls] == [(2**14, 8, 1, 16)]


def test_a_wrong_token_is_told_nothing() -> None:
    answer = unknown_token()
    assert answer.code == "token-unknown"
    assert RECORD.id not in answer.model_dump_json()


def test_uses_are_counted_by_node() -> None:
    first = used(take_use(RECORD, ONE, FACTS, NOW))
    assert first.used_by == (ONE,)
    assert used(take_use(first, ONE, FACTS, NOW)) == first
    both = used(take_use(first, TWO, FACTS, NOW))
    assert both.used_by == (ONE, TWO)
    assert refused(take_use(both, THREE, FACTS, NOW)) == (
        "token-used-up",
        f"all 2 uses of the token {RECORD.id} are taken",
    )
    assert used(take_use(both, ONE, FACTS, NOW)) == both


def test_an_expired_token() -> None:
    last = NOW + 24 * HOUR - 1
    assert used(take_use(RECORD, ONE, FACTS, last)).used_by == (ONE,)
    assert refused(take_use(RECORD, ONE, FACTS, NOW + 24 * HOUR)) == (
        "token-expired",
        f"the token {RECORD.id} expired on 2026-03-02 10:00 UTC; the clock of the member says 2026-03-02 10:00 UTC",
    )
    # It had its use in time, and was cut before it heard so.
    had = record(used_by=(ONE,))
    assert used(take_use(had, ONE, FACTS, NOW + 999 * HOUR)) == had


def test_a_revoked_token_serves_nobody() -> None:
    revoked = revoke(record(used_by=(ONE,)))
    for node in (ONE, TWO):
        assert refused(take_use(revoked, node, FACTS, NOW))[0] == "token-revoked"
    assert revoke(revoked) == revoked


@pytest.mark.parametrize(
    "rules",
    ["", "serial=CZ1234 ABCD", "serial=OTHER,serial=CZ1234 ABCD", "mac=52:54:00:12:34:57", "mac=52-54-00-12-34-57",
     "subnet=192.0.2.0/24", "subnet=192.0.2.42", "subnet=2001:db8::/32, subnet=192.0.2.0/24",
     "serial=CZ1234 ABCD,mac=52:54:00:12:34:56,subnet=192.0.0.0/16"],
)  # fmt: skip
def test_machines_that_a_token_is_for(rules: str) -> None:
    assert used(take_use(record(match=parse_match(rules)), ONE, FACTS, NOW)).used_by == (ONE,)


@pytest.mark.parametrize(
    ("rules", "facts", "why"),
    [
        ("serial=OTHER", FACTS, "serial OTHER, this one has CZ1234 ABCD"),
        ("serial=cz1234 abcd", FACTS, "serial cz1234 abcd, this one has CZ1234 ABCD"),
        ("serial=A,serial=B,serial=C,serial=D", FACTS, "serial A or B or C and 1 more, this one has CZ1234 ABCD"),
        ("serial=A", FACTS.model_copy(update={"serial": ""}), "serial A, this one has none"),
        ("serial=A", FACTS.model_copy(update={"serial": "\x1b[2J"}), "serial A, this one has \\x1b[2J"),
        ("mac=52:54:00:00:00:01", FACTS.model_copy(update={"macs": ()}), "MAC address 52:54:00:00:00:01, this one has none"),
        ("subnet=198.51.100.0/24", FACTS, "subnet 198.51.100.0/24, this one has 192.0.2.42"),
        ("subnet=::/0", FACTS, "subnet ::/0, this one has 192.0.2.42"),
        ("subnet=192.0.2.0/24", FACTS.model_copy(update={"address": "x"}), "subnet 192.0.2.0/24, this one has x"),
        ("serial=CZ1234 ABCD,mac=52:54:00:00:00:01", FACTS,
         "MAC address 52:54:00:00:00:01, this one has 52:54:00:12:34:56 or 52:54:00:12:34:57"),
    ],
)  # fmt: skip
def test_machines_that_a_token_is_not_for(rules: str, facts: Facts, why: str) -> None:
    code, reason = refused(take_use(record(match=parse_match(rules)), ONE, facts, NOW))
    assert code == "facts-not-allowed"
    assert reason == f"the token {RECORD.id} is for other machines: {why}"


def test_rules_are_shown_as_they_are_given() -> None:
    rules = parse_match("mac=52-54-00-AA-bb-01, serial=X 1,subnet=192.0.2.0/24,serial=Y")
    assert render_match(rules) == "serial=X 1,serial=Y,mac=52:54:00:aa:bb:01,subnet=192.0.2.0/24"
    assert parse_match(render_match(rules)) == rules


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (",", "'' is no rule"),
        ("serial", "'serial' is no rule"),
        ("serial=", "'serial=' is no rule"),
        ("uuid=1", "'uuid=1' is no rule; give serial=…, mac=… or subnet=…"),
        ("mac=52:54:00", "'52:54:00' is no mac (it has six pairs of hex digits); correct it, such as"),
        ("mac=52:54:00:12:34:56:78", "is no mac"),
        ("subnet=192.0.2.5/24", "is no subnet (192.0.2.5/24 has host bits set)"),
        ("subnet=everywhere", "is no subnet"),
        ("serial=" + "x" * 300, "is no serial"),
    ],
)
def test_rules_that_are_wrong(text: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_match(text)
    assert str(caught.value).startswith("--match: ")
    assert what in str(caught.value)


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("24h", 24), ("7d", 168), ("1m", 1 / 60)])
def test_durations(text: str, hours: float) -> None:
    assert parse_lifetime(text) == hours * SHORT


@pytest.mark.parametrize(
    "text", ["", "24", "h", "-1h", "1.5h", "0m", "367d", "999999d", "9999999d", "24 h", "٣h", "24h\n"]
)
def test_durations_that_are_wrong(text: str) -> None:
    with pytest.raises(UserError, match="--expires: "):
        parse_lifetime(text)


@pytest.mark.parametrize(
    ("uses", "lifetime"), [(0, SHORT), (-1, SHORT), (1001, SHORT), (1, timedelta(0)), (1, 9000 * SHORT)]
)
def test_tokens_that_cannot_be_made(uses: int, lifetime: timedelta) -> None:
    with pytest.raises(UserError, match="is out of range; give"):
        make_token(count, NOW, uses=uses, lifetime=lifetime, match=Match(), approval="auto")


def test_the_list() -> None:
    tokens = [
        record(id="aaaaaaaa", match=parse_match("subnet=192.0.2.0/24"), approval="manual"),
        record(id="bbbbbbbb", created=NOW + HOUR, used_by=(ONE, TWO)),
        record(id="cccccccc", created=NOW + 2 * HOUR, expires=NOW + 3 * HOUR, used_by=(ONE,)),
        record(id="dddddddd", created=NOW - HOUR, revoked=True),
    ]
    views = [view_token(token, NOW + 4 * HOUR) for token in tokens]
    assert render_tokens(views, {ONE: "node2"}).splitlines() == [
        "ID        STATE    LEFT  EXPIRES               APPROVE  MATCH                USED BY",
        "cccccccc  expired  1/2   2026-03-01 13:00 UTC  auto     any                  node2",
        "bbbbbbbb  used-up  0/2   2026-03-02 10:00 UTC  auto     any                  node2, 22222222",
        "aaaaaaaa  valid    2/2   2026-03-02 10:00 UTC  manual   subnet=192.0.2.0/24  -",
        "dddddddd  revoked  2/2   2026-03-02 10:00 UTC  auto     any                  -",
    ]
    shown = json.dumps([view.model_dump(mode="json") for view in views])
    assert RECORD.hash not in shown
    assert RECORD.salt not in shown


def test_a_record_of_another_version_is_not_guessed_at() -> None:
    stored = {**json.loads(RECORD.model_dump_json()), "version": 2}
    with pytest.raises(ValueError, match="version"):
        TokenRecord.model_validate_json(json.dumps(stored))
