"""Answer files: the fixtures in tests/answers, and what a file in TOML cannot express.

To add a case add NAME.toml; its first line names the machine. What it must lead to is a file beside it: in `ok`
NAME.json, printed by `python3 -m installer validate NAME.toml --inventory ../../machines/MACHINE.json`, and
NAME.warnings.txt if it warns; in `fail` NAME.error.txt, the exit status and what went to standard error.
"""

from __future__ import annotations

import json
import re
import tomllib
import zoneinfo
from pathlib import Path

import pytest
from pydantic import SecretStr

from hostlib.checks import NEVER_ALLOWED
from hostlib.errors import UserError
from installer.answers import parse_answers, values
from installer.answers.tables import known_timezones
from installer.cli import main
from tests.unit.answer_data import MINIMAL

TESTS = Path(__file__).parents[1]
CASES = sorted((TESTS / "answers").glob("*/*.toml"))
OK = [path for path in CASES if path.parent.name == "ok"]
FAIL = [path for path in CASES if path.parent.name == "fail"]
SECRET = re.compile(r'(?:password|token(?!-file)|subscription.key)[a-z_-]*"? *= *"([^"\n]+)')
LINE = re.compile(r"\S.*: \S.*; \S.*")


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def beside(path: Path, suffix: str) -> str:
    return path.with_suffix(suffix).read_text(encoding="utf-8")


def machine_of(path: Path) -> Path:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return TESTS / "machines" / f"{first.removeprefix('# machine: ')}.json"


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_fixture(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(path.parent)
    status = main(["validate", path.name, "--inventory", str(machine_of(path))])
    out, err = capsys.readouterr()
    if path in OK:
        assert (status, out) == (0, beside(path, ".json"))
        warnings = path.with_suffix(".warnings.txt")
        assert err == (warnings.read_text(encoding="utf-8") if warnings.exists() else "")
    else:
        assert f"{int(status)}\n{err}" == beside(path, ".error.txt")
        assert not out


def test_both_folders_hold_cases_and_nothing_else() -> None:
    assert OK
    assert FAIL
    expected = {path.with_suffix(suffix) for path in OK for suffix in (".toml", ".json", ".warnings.txt")}
    expected |= {path.with_suffix(suffix) for path in FAIL for suffix in (".toml", ".error.txt")}
    assert {path for path in (TESTS / "answers").rglob("*") if path.is_file()} <= expected


@pytest.mark.parametrize("path", FAIL, ids=name_of)
def test_an_error_is_one_line_that_says_where_and_what_to_do(path: Path) -> None:
    status, *lines = beside(path, ".error.txt").splitlines()
    assert status in {"2", "3"}
    assert lines
    assert [line for line in lines if not (LINE.fullmatch(line) and line.isprintable())] == []


HOLD_A_SECRET = [path for path in FAIL if SECRET.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", HOLD_A_SECRET, ids=name_of)
def test_no_message_holds_a_secret(path: Path) -> None:
    secrets = SECRET.findall(path.read_text(encoding="utf-8"))
    text = beside(path, ".error.txt")
    assert [secret for secret in secrets if secret in text] == []


def test_no_file_of_what_is_printed_holds_a_token() -> None:
    printed = [path for path in (TESTS / "answers").rglob("*") if path.suffix in {".json", ".txt"}]
    assert [path.name for path in printed if "never-print" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("path", OK, ids=name_of)
def test_no_configuration_holds_a_secret(path: Path) -> None:
    secrets = SECRET.findall(path.read_text(encoding="utf-8"))
    assert secrets
    # A hash that is one asterisk is no secret.
    assert [secret for secret in secrets if secret != "*" and secret in beside(path, ".json")] == []


@pytest.mark.parametrize("path", OK, ids=name_of)
def test_the_same_answer_in_json(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    as_json = "\n " + json.dumps(tomllib.loads(text))
    assert parse_answers(as_json, "answer.json") == parse_answers(text, "answer.toml")


def complain(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse_answers(text, "answer")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"global": {"fqdn": 1, "a": 1, "fqdn": 2}}', "the key 'fqdn' is there twice"),
        ("[1, 2]", "Expected ']' at the end of a table declaration (at line 1, column 3)"),
    ],
)
def test_neither_toml_nor_json(text: str, reason: str) -> None:
    what = f"answer: this is neither TOML nor JSON ({reason}); correct the syntax at that place"
    assert complain(text) == what


@pytest.mark.parametrize("text", ["x = " + "[" * 9999, '{"x": ' + "[" * 99999, '{"x": ' + '{"x": ' * 99999])
def test_endless_nesting(text: str) -> None:
    assert complain(text).startswith("answer: this is neither TOML nor JSON (")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"\\ud800"', "global.fqdn: it holds half of a surrogate pair; correct it"),
        ('["a", {"b": "\\udfff"}]', "global.fqdn[1].b: it holds half of a surrogate pair; correct it"),
        ('{"\\udabc": 1}', "global.fqdn.\\udabc: it holds half of a surrogate pair; correct it"),
        ("1" * 40, "global.fqdn: it is a number of more than 64 bits; correct it"),
    ],
)
def test_values_that_only_python_takes(value: str, problem: str) -> None:
    assert complain(f'{{"global": {{"fqdn": {value}}}}}') == problem


def test_null_in_json_is_a_key_that_is_left_out() -> None:
    data = json.loads(json.dumps(MINIMAL))
    data["network"] |= {"cidr": None, "filter": None, "interface-name-pinning": None}
    data["global"] |= {"root-password-hashed": None}
    data["disk-setup"] |= {"filter": None, "filter-match": None, "on-existing": None}
    data["global"] |= {"root-ssh-keys": None, "reboot-mode": None}
    data["enrollment"] = None
    assert parse_answers(json.dumps(data), "a") == parse_answers(json.dumps(MINIMAL), "a")
    data["global"]["mailto"] = None
    assert complain(json.dumps(data)) == "global.mailto: it is null; give a text in quotes"


def test_warnings_do_not_hide_problems() -> None:
    data = json.loads(json.dumps(MINIMAL))
    data["global"] |= {"root_ssh_keys": [], "keyboard": "xx"}
    assert complain(json.dumps(data)).startswith("global.keyboard: 'xx' is not allowed; use one of: de, ")


def test_zones_are_those_of_the_table_that_a_node_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = "# code\tcoordinates\tzone\tcomment\nAT\t+4813+01620\tEurope/Vienna\nDE\t+4742+00841\tEurope/Busingen\tB\n"
    (tmp_path / "zone.tab").write_text(table)
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path / "none"), str(tmp_path)))
    zones = known_timezones.__wrapped__()
    assert zones == {"Europe/Vienna", "Europe/Busingen", "UTC"}
    monkeypatch.setattr(values, "known_timezones", lambda: zones)
    assert values.check_timezone("UTC") == "UTC"
    for wrong in ("europe/vienna", "Europe/Vienn"):
        with pytest.raises(ValueError, match="did you mean 'Europe/Vienna'"):
            values.check_timezone(wrong)
    for wrong in ("Etc/UTC", "US/Pacific"):
        with pytest.raises(ValueError, match="is no time zone; give one such as"):
            values.check_timezone(wrong)


def test_without_a_table_any_plausible_zone_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    assert known_timezones.__wrapped__() == frozenset()
    monkeypatch.setattr(values, "known_timezones", frozenset)
    assert values.check_timezone("Asia/Kolkata") == "Asia/Kolkata"
    with pytest.raises(ValueError, match="is no time zone"):
        values.check_timezone("../../etc/shadow")


HASHES = [
    "$y$j9T$WySRt6cxwH4dQk3yJ1Ys7.$gVwD9sVCpk5xzSxpPM2Gl/LBqPhT4BjlPGBzIaxyB9A",
    "$6$rounds=10000$my-salt$" + "a" * 86,
    "$6$abcdefghijkl$" + "a" * 86,
    "$5$abcdefghijkl$" + "a" * 43,
    "$2b$12$" + "a" * 53,
    "$1$abcdefgh$" + "a" * 22,
]


@pytest.mark.parametrize("value", HASHES)
def test_hashes_of_crypt(value: str) -> None:
    assert values.check_hash(SecretStr(value)).get_secret_value() == value


@pytest.mark.parametrize(
    "value",
    [
        *("", "!!!", "$6$", "$6$salt$<hash>", "abcdefghijklm", f"{HASHES[0]}\n", f"{HASHES[0]}:"),
        # Cut off: nobody could log in.
        *(value[:-1] for value in HASHES),
    ],
)
def test_what_is_no_hash(value: str) -> None:
    with pytest.raises(ValueError, match="no password hash"):
        values.check_hash(SecretStr(value))


@pytest.mark.parametrize(
    "name", ["a.b", "n1.example.test", "1n.2.3", "n" * 63 + ".test", ".".join(["n" * 50] * 4)]
)
def test_names_of_hosts(name: str) -> None:
    assert values.check_fqdn(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "a", "a.", ".a", "a..b", "-a.b", "a-.b", "ä.test", "12.test", "a b.test"]
)
def test_what_is_no_name_of_a_host(name: str) -> None:
    with pytest.raises(ValueError, match="no fully qualified"):
        values.check_fqdn(name)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("192.0.2.10/24", "192.0.2.10/24"),
        ("192.0.2.10/255.255.255.0", "192.0.2.10/24"),
        ("192.0.2.0/31", "192.0.2.0/31"),
        ("192.0.2.10", "192.0.2.10/32"),
        ("2001:db8::10", "2001:db8::10/128"),
        ("192.0.2.0/32", "192.0.2.0/32"),
        ("2001:DB8::A/64", "2001:db8::a/64"),
        ("2001:db8::ffff:ffff:ffff:ffff/64", "2001:db8::ffff:ffff:ffff:ffff/64"),
        ("2001:db8::/127", "2001:db8::/127"),
    ],
)
def test_addresses_with_prefix_length(text: str, given: str) -> None:
    assert values.check_cidr(text) == given


@pytest.mark.parametrize("name", ["target_4kn_bios", "Target-4kn-BIOS", "target-4kn"])
def test_an_id_that_is_almost_one(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no check; did you mean 'target-4kn-bios'"):
        values.check_allowable(name)


@pytest.mark.parametrize("name", sorted(NEVER_ALLOWED))
def test_checks_that_no_answer_can_allow(name: str) -> None:
    with pytest.raises(ValueError, match="no installation is possible with it"):
        values.check_allowable(name)
