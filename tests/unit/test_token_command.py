"""`slipway token`, and what every verb asks of the node first."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest

from agent import cli
from agent import member as member_module
from agent.ca import ca_fingerprint
from agent.cli import main
from agent.member import open_member, plan_urls
from agent.records import parse_nodes, parse_tokens, render_record
from agent.tokens import is_secret_of
from hostlib.errors import UserError
from hostlib.incus import Member as IncusMember
from hostlib.join_string import parse_join_string
from hostlib.seed import SeedEnrollment, write_seed
from tests.unit import enroll_fakes
from tests.unit.cluster_fakes import SEED
from tests.unit.enroll_fakes import Node, new_token
from tests.unit.member_fakes import SECONDS, FakeIncus, Site

_cheap_hashes = enroll_fakes.cheap_hashes
Run = Callable[[Sequence[str]], tuple[int, str, str]]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def run(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(arguments: Sequence[str]) -> tuple[int, str, str]:
        status = main(arguments)
        return status, *capsys.readouterr()

    monkeypatch.setattr(member_module, "open_member", lambda _: site.member)
    return run


def test_the_line_to_join_by_stands_alone_on_standard_output(run: Run, site: Site) -> None:
    record = site.add_ca()
    status, out, err = run(
        ["token", "create", "--uses", "2", "--expires", "7d", "--match", "subnet=192.0.2.0/24"]
    )
    assert (status, out.count("\n")) == (0, 1)
    join = parse_join_string(out.strip())
    assert join.urls == ("https://192.0.2.11:8007", "https://192.0.2.12:8007", "https://192.0.2.13:8007")
    assert join.fingerprint == ca_fingerprint(record).replace(":", "").lower()
    (token,) = parse_tokens(site.member.read()).values()
    assert is_secret_of(join.token, token)
    assert (token.uses, token.expires, token.approval) == (2, SECONDS + 7 * 86400, "auto")
    told = f"Token {token.id}: takes in 2 nodes until 2026-03-08 10:00 UTC, at once; machines: subnet=192.0.2.0/24.\n"
    assert err.startswith(told)
    assert (
        f'  token = "{join.token}"\n  fingerprint = "{join.fingerprint}"\n  url = ["https://192.0.2.11:8007", '
        in err
    )
    assert f"slipway token revoke {token.id}" in err


def test_what_is_long_over_leaves_with_the_next_token(run: Run, site: Site) -> None:
    site.add_ca()
    old, late = 100 * 86400, 29 * 86400
    site.add_token(new_token(SECONDS - old)[1].model_copy(update={"id": "0" * 8}))
    site.add_token(new_token(SECONDS - late)[1].model_copy(update={"id": "1" * 8}))
    gone = [site.add(Node("a.example.com"), "removed", token) for token in ("", "0" * 8, "f" * 8)]
    kept = [site.add(Node("b.example.com"), "removed", "1" * 8), site.add(Node("c.example.com"))]
    for node in [*gone, *kept]:
        site.write(render_record(site.node(node).model_copy(update={"changed": SECONDS - old})))
    kept.append(site.add(Node("d.example.com"), "removed"))
    assert run(["token", "create"])[0] == 0
    values = site.member.read()
    assert {*parse_nodes(values)} == {*kept}
    assert len(parse_tokens(values)) == 2
    assert "1" * 8 in parse_tokens(values)


def test_a_token_for_programs(run: Run, site: Site) -> None:
    site.add_ca()
    status, out, err = run(["token", "create", "--approve", "manual", "--json"])
    found = json.loads(out)
    assert (status, err, found["schema"], found["approval"], found["uses"]) == (0, "", 1, "manual", 1)
    assert parse_join_string(found["join"]).token == found["token"]
    assert not {"hash", "salt"} & set(found)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [(["--uses", "0"], "--uses: "), (["--expires", "soon"], "--expires: "), (["--match", "cpu=1"], "--match: ")],
)  # fmt: skip
def test_a_token_that_cannot_be(run: Run, site: Site, arguments: list[str], where: str) -> None:
    site.add_ca()
    status, out, err = run(["token", "create", *arguments])
    assert (status, out, err.startswith(where)) == (2, "", True)
    assert not parse_tokens(site.member.read())


def test_no_token_without_a_ca(run: Run) -> None:
    status, out, err = run(["token", "create"])
    assert (status, out) == (2, "")
    assert err.startswith("the cluster's CA: there is none yet; ")


def test_tokens_are_listed_with_who_used_them(run: Run, site: Site) -> None:
    assert run(["token", "list"])[1] == "There is no token; make one: slipway token create\n"
    node = Node("node2.example.com")
    token = new_token(SECONDS, uses=2)[1].model_copy(update={"used_by": (node.id, "f" * 32)})
    site.add_token(token)
    site.add(node, token=token.id)
    _, out, _ = run(["token", "list"])
    assert out.splitlines()[1].split() == [
        token.id, "used-up", "0/2", "2026-03-01", "10:01", "UTC", "auto", "any", "node2,", "ffffffff",
    ]  # fmt: skip
    (shown,) = json.loads(run(["token", "list", "--json"])[1])["tokens"]
    assert (shown["state"], shown["used_by"]) == ("used-up", [node.id, "f" * 32])


def test_tokens_are_revoked_all_or_none(run: Run, site: Site) -> None:
    token = new_token(SECONDS)[1]
    site.add_token(token)
    status, out, err = run(["token", "revoke", token.id, "00000000", "x"])
    assert (status, out) == (2, "")
    assert err == "ID: there is no token 00000000, x; take the ids that `slipway token list` shows\n"
    assert not parse_tokens(site.member.read())[token.id].revoked
    for _ in range(2):
        assert run(["token", "revoke", token.id])[:2] == (
            0,
            f"token {token.id}: revoked; nodes that it has taken in stay\n",
        )
        assert parse_tokens(site.member.read())[token.id].revoked


def test_urls_of_members() -> None:
    def one(name: str, host: str, status: str) -> IncusMember:
        return IncusMember(server_name=name, url=f"https://{host}:8443", status=status)

    members = [
        one("a", "192.0.2.1", "Offline"),
        one("b", "[2001:db8::2]", "Online"),
        one("c", "h3", "Online"),
    ]
    assert plan_urls(members, "c") == (
        "https://h3:8007",
        "https://[2001:db8::2]:8007",
        "https://192.0.2.1:8007",
    )


def test_only_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for verb in (["token", "list"], ["node", "list"], ["ca", "show"], ["network", "apply"]):
        assert main(verb) == 2
        assert capsys.readouterr().err == "slipway: only root may do this; run it as root, or with sudo\n"


def alone(
    root: Path, mode: Literal["bootstrap", "join", "none"], enrollment: str = "", *, booted: bool = True
) -> str:
    write_seed(SEED.model_copy(update={"enrollment": SeedEnrollment(mode=mode)}), root)
    state = root / "var/lib/slipway"
    state.mkdir(parents=True, exist_ok=True)
    if booted:
        (state / "firstboot-done").touch()
    if enrollment:
        (state / "enrollment.json").write_text(enrollment)
    with pytest.raises(UserError) as told:
        open_member(FakeIncus(clustered=False), root)
    return str(told.value)


def test_a_node_that_is_no_member_is_told_where_it_stands(tmp_path: Path) -> None:
    name = "node2.example.com: "
    assert alone(tmp_path, "none", booted=False).startswith(f"{name}its first boot is not complete; wait")
    assert alone(tmp_path, "none").startswith(
        f"{name}it is in no cluster, and is not meant to be (mode 'none'); "
    )
    assert alone(tmp_path, "bootstrap").startswith(f"{name}its cluster is not made yet; wait")
    kept = '{"schema": 1, "state": "requested", "id": "", "reason": "waits to be approved by a member"}'
    assert alone(tmp_path, "join", kept) == (
        f"{name}it is in no cluster yet, its enrolment is at 'requested': waits to be approved by a member; "
        "run this on a member of the cluster; look here: slipway status, journalctl -u slipway-agent"
    )


def test_a_machine_that_is_no_node(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"seed.json: it cannot be read \(No such file or directory\); run this on"
    ):
        open_member(FakeIncus(), tmp_path)
    (tmp_path / "etc/slipway").mkdir(parents=True)
    (tmp_path / "etc/slipway/seed.json").write_text("{")
    with pytest.raises(UserError, match=r"seed.json: it cannot be read \(not in its form\)"):
        open_member(FakeIncus(), tmp_path)


def test_a_member(tmp_path: Path) -> None:
    write_seed(SEED, tmp_path)
    (tmp_path / "var/lib/slipway").mkdir(parents=True)
    (tmp_path / "var/lib/slipway/firstboot-done").touch()
    member = open_member(FakeIncus(), tmp_path)
    assert (member.name, member.urls()) == ("node1", ("https://192.0.2.11:8007",))


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("token", "node", "ca", "network"):
        with pytest.raises(SystemExit, match="0"):
            cli.main([verb, "--help"])
        assert "ACTION" in capsys.readouterr().out
