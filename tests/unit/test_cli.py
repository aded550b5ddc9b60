"""The verbs of `slipway-install`: what they print, where, and their exit status."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hostlib.errors import Problem, StepError, UserError
from hostlib.inventory import Inventory, parse_inventory
from hostlib.release import Release
from hostlib.sizes import MIB
from installer import cli, live
from installer.answers import parse_answers
from installer.cli import main
from installer.resolve import resolve

TESTS = Path(__file__).parents[1]
MACHINE = TESTS / "machines/one-virtio-uefi.json"
ANSWER = TESTS / "answers/ok/minimal.toml"
INVENTORY = ["--inventory", str(MACHINE)]
ONE = parse_inventory(MACHINE.read_text())
SECRET = "correct horse"

Outcome = tuple[int, str, str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def run_verb(*arguments: object) -> Outcome:
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return run_verb


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.json"
    path.write_text(ONE.model_copy(update={"memory_bytes": 512 * MIB}).model_dump_json(by_alias=True))
    return path


def test_inventory(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostlib.probe.read_inventory", lambda _: ONE)
    status, out, err = run("inventory")
    assert (status, err) == (0, "")
    assert parse_inventory(out) == ONE
    assert out.endswith("}\n")


def test_check(run: Callable[..., Outcome], small: Path) -> None:
    status, out, err = run("check", *INVENTORY)
    assert (status, err) == (0, "")
    assert out.startswith("machine  QEMU ")
    assert "\npurpose  system: to run as a node\n\nok " in out
    assert out.splitlines()[-1].startswith("nothing blocks, no warnings, ")
    status, out, err = run("check", "--inventory", small, "--purpose", "system")
    assert (status, err) == (3, "")
    assert out.splitlines()[3].startswith("BLOCKING  memory-minimum")
    assert out.splitlines()[-1].startswith("1 blocks, no warnings, ")


def test_a_check_that_is_allowed_does_not_count(run: Callable[..., Outcome], small: Path) -> None:
    status, out, err = run("check", "--inventory", small, "--allow", "memory-minimum", "nic-link")
    assert (status, err) == (0, "")
    assert "nothing blocks, no warnings, 1 allowed, " in out.splitlines()[-1]


def test_checks_that_cannot_be_allowed(run: Callable[..., Outcome]) -> None:
    status, out, err = run(
        "check", *INVENTORY, "--allow", "raid", "--allow", "nic-present", "nic-link", "raid"
    )
    assert (status, out) == (2, "")
    assert err == (
        "--allow: no check is called 'raid'; take a name from the second column of the table\n"
        "--allow: 'nic-present' cannot be allowed: no installation is possible like that; leave it out\n"
    )


def test_check_for_programs(run: Callable[..., Outcome], small: Path) -> None:
    status, out, err = run("check", "--inventory", small, "--purpose", "ceph", "--json")
    assert (status, err) == (3, "")
    report = json.loads(out)
    findings = report.pop("findings")
    assert report == {
        "schema": 1,
        "purpose": "ceph",
        # The memory, and its only disk, which the node needs.
        "counts": {"blocking": 2, "warning": 0, "allowed": 0, "ok": len(findings) - 2},
        "unread": [],
    }
    assert {finding["severity"] for finding in findings} == {"ok", "blocking"}
    assert set(findings[0]) == {"id", "severity", "device", "measured", "text", "todo", "allowed"}


def complaining(_: object) -> Inventory:
    logging.getLogger("slipway.probe").warning("disk %s: cannot be read:\n  exit status 2\x1b[2J", "sdb")
    logging.getLogger("slipway.probe").debug("no LLDP")
    return ONE


@pytest.mark.parametrize("verb", [["inventory"], ["check"], ["check", "--json"], ["plan", ANSWER]])
def test_what_cannot_be_read_is_told_beside_the_output(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, verb: list[object]
) -> None:
    monkeypatch.setattr("hostlib.probe.read_inventory", lambda _: ONE)
    status, quiet, err = run(*verb)
    assert (status, err) == (0, "")
    monkeypatch.setattr("hostlib.probe.read_inventory", complaining)
    status, out, err = run(*verb)
    line = "disk sdb: cannot be read: exit status 2\\x1b[2J"
    assert (status, err) == (0, f"WARNING slipway.probe: {line}\n")
    if verb == ["check"]:
        assert out == f"{quiet[:-1]}, 1 could not be read\n"
    elif "--json" in verb:
        assert json.loads(out) == {**json.loads(quiet), "unread": [line]}
    else:
        assert out == quiet


def test_a_record_of_before_is_not_said_to_be_well(run: Callable[..., Outcome], tmp_path: Path) -> None:
    path = tmp_path / "before.json"
    path.write_text(ONE.model_dump_json(by_alias=True, exclude={"controllers"}))
    status, out, err = run("check", "--inventory", path)
    assert (status, out.splitlines()[-1].endswith(", 1 could not be read")) == (0, True)
    assert err.startswith(f"WARNING {path}: the record knows no controllers: RAID volumes ")


@pytest.mark.parametrize("verb", ["inventory", "check"])
def test_an_ordinary_user_is_told_what_is_left_out_for_him(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr("hostlib.probe.read_inventory", lambda _: ONE)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    status, out, err = run(verb)
    assert status == 0
    assert err.startswith("WARNING slipway.probe: not run as root: health of the drives, ")
    assert out.endswith(", 1 could not be read\n" if verb == "check" else "}\n")


def test_check_of_this_machine(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostlib.probe.read_inventory", lambda _: ONE)
    assert run("check") == run("check", *INVENTORY)


def test_validate(run: Callable[..., Outcome]) -> None:
    status, out, err = run("validate", ANSWER, *INVENTORY)
    assert (status, err) == (0, "")
    assert json.loads(out)["schema"] == 1


@pytest.mark.parametrize("arguments", [[], INVENTORY])
def test_validate_refuses_a_file_system_that_the_image_lacks(
    run: Callable[..., Outcome], tmp_path: Path, arguments: list[str]
) -> None:
    path = tmp_path / "answer.toml"
    path.write_text(
        ANSWER.read_text().replace('"ext4"', '"zfs"').replace('["vda"]', '["vda", "vdb"]')
        + 'zfs.raid = "raid1"\n'
    )
    status, out, err = run("validate", path, *arguments)
    assert (status, out) == (2, "")
    assert "does not carry ZFS" in err


def test_validate_without_a_machine_checks_the_file_alone(run: Callable[..., Outcome]) -> None:
    status, out, err = run("validate", ANSWER)
    assert (status, err) == (0, "")
    answers = json.loads(out)
    assert answers["disk-setup"]["disk-list"] == ["vda"]
    assert answers["global"]["root-password"] == "**********"


@pytest.mark.parametrize("arguments", [[], INVENTORY])
def test_validate_prints_no_secret_of_a_url(
    run: Callable[..., Outcome], tmp_path: Path, arguments: list[str]
) -> None:
    path = tmp_path / "answer.toml"
    path.write_text(f'{ANSWER.read_text()}\n[report]\nurl = "https://192.0.2.1/r?token=never-print"\n')
    status, out, err = run("validate", path, *arguments)
    assert (status, "never-print" in out + err) == (0, False)


def test_plan(run: Callable[..., Outcome]) -> None:
    status, out, err = run("plan", ANSWER, *INVENTORY)
    assert (status, err) == (0, "")
    steps = [line for line in out.splitlines() if line[0].isdigit()]
    assert (steps[0], steps[-1]) == ("1. verify", f"{len(steps)}. finish")
    assert "   > /etc/hostname\n     | node1\n" in out
    assert (
        "   $ pvcreate --yes -ff --metadatasize 250k --devices /dev/disk/by-id/virtio-SLIPWAY0-part3 " in out
    )
    assert SECRET not in out
    assert {line[:5] for line in out.splitlines()} - {"   $ ", "   > ", "     "} == {
        line[:5] for line in steps
    }


def test_a_plan_tells_of_hook_and_webhook_but_no_secret(run: Callable[..., Outcome]) -> None:
    answer = TESTS / "answers/ok/report-and-hooks.toml"
    status, out, _ = run("plan", answer, *INVENTORY)
    assert status == 0
    assert (
        "   > /var/lib/slipway/hook/first-boot\n     | <read when it installs, from http://192.0.2.10/" in out
    )
    assert "slipway-hook-before-network.service" in out
    assert "   > /var/log/slipway/webhook.json\n     | <what is posted to http://192.0.2.10/hook after" in out
    assert "never-print" not in out


def test_warnings_of_a_plan_are_told(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = resolve(parse_answers(ANSWER.read_text(), "a")[0], ONE).model_copy(
        update={"warnings": ("it is slow",)}
    )
    monkeypatch.setattr(cli, "resolve", lambda *_: resolved)
    for verb in ("plan", "validate"):
        assert run(verb, ANSWER, *INVENTORY)[2] == "warning: it is slow\n"


def test_a_plan_of_a_wrong_answer_is_no_plan(run: Callable[..., Outcome]) -> None:
    status, out, err = run("plan", TESTS / "answers/fail/disk-suffix.toml", *INVENTORY)
    assert (status, out) == (2, "")
    assert err.startswith("disk-setup.disk-list: this machine has no disk 'a'; ")


@pytest.mark.parametrize(
    ("of", "title"), [([], "Answers"), (["answer"], "Answers"), (["inventory"], "Inventory")]
)
def test_schema(run: Callable[..., Outcome], of: list[str], title: str) -> None:
    status, out, err = run("schema", *of)
    assert (status, err) == (0, "")
    assert json.loads(out)["title"] == title
    assert out.endswith("}\n")


def test_version(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "read_release", lambda: Release(version="0.1.0", commit="3f2a91c"))
    assert run("version") == (0, "Slipway 0.1.0 (3f2a91c)\n", "")


@pytest.mark.parametrize(
    ("arguments", "called", "given"),
    [
        (["install", "answer.toml"], "run_install_file", ("answer.toml",)),
        (["install", "--auto"], "run_auto", ()),
        (["tui"], "run_tui", ()),
        (["live"], "run_live", ()),
    ],
)
def test_verbs_of_the_live_system(
    run: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    called: str,
    given: tuple[str, ...],
) -> None:
    def record(*got: str, **_: bool) -> int:
        assert got == given
        return 4

    monkeypatch.setattr(live, called, record)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert run(*arguments) == (4, "", "")


@pytest.mark.parametrize("arguments", [["tui"], ["tui", "--demo"]])
def test_the_screens_need_a_terminal(run: Callable[..., Outcome], arguments: list[str]) -> None:
    assert run(*arguments) == (2, "", "tui: this is no terminal; start it in one\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["validate"],
        ["install"],
        ["install", "a.toml", "--auto"],
        ["check", "--purpose", "x"],
        ["check", "--allow"],
        ["schema", "x"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_wrong_input(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("usage: slipway-install")


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_answers_that_cannot_be_read(run: Callable[..., Outcome], tmp_path: Path, verb: str) -> None:
    missing, latin, large = tmp_path / "none.toml", tmp_path / "latin.toml", tmp_path / "large.toml"
    latin.write_bytes(b"# \xe4")
    large.write_bytes(b"#" * (MIB + 1))
    for path, reason in (
        (missing, "cannot be read: No such file or directory; check the path and the medium"),
        (tmp_path, "cannot be read: Is a directory; check the path and the medium"),
        (latin, "byte 2 is not UTF-8; save the file as UTF-8"),
        (large, "the file is larger than 1.0 MiB; this is no answer file; put the right one there"),
    ):
        assert run(verb, path, *INVENTORY) == (2, "", f"{path}: {reason}\n")


def test_a_byte_order_mark_is_no_mistake(run: Callable[..., Outcome], tmp_path: Path) -> None:
    path = tmp_path / "answer.toml"
    path.write_bytes(b"\xef\xbb\xbf" + ANSWER.read_bytes().replace(b"\n", b"\r\n"))
    assert run("validate", path, *INVENTORY) == run("validate", ANSWER, *INVENTORY)


def test_inventories_that_cannot_be_read(run: Callable[..., Outcome], tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    todo = "record one with `slipway-install inventory`"
    for text, reason in (
        (None, "it cannot be read (No such file or directory); check the path"),
        (b"\xff", "it is not UTF-8 text; give a text file"),
        (b"{}", f"it is no inventory (firmware: Field required); {todo}"),
        (b'{"schema": 2}', f"it is no inventory (schema: Input should be 1); {todo}"),
    ):
        if text is not None:
            path.write_bytes(text)
        assert run("check", "--inventory", path) == (2, "", f"{path}: {reason}\n")
    path.write_text("machine")
    status, out, err = run("validate", ANSWER, "--inventory", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"{path}: it is no inventory (Invalid JSON: ")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (UserError([Problem("a", "b", "c"), Problem("d", "e", "f")]), 2, "a: b; c\nd: e; f\n"),
        (StepError("it failed"), 4, "it failed\n"),
        (KeyboardInterrupt(), 130, "slipway-install: interrupted\n"),
        (
            RuntimeError("boom\nbang"),
            1,
            "slipway-install: internal error: RuntimeError: boom\\nbang; "
            "please report it; `slipway-install --debug VERB ...` shows where it is\n",
        ),
    ],
)
def test_errors(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, text: str
) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(cli, "render_schema", fail)
    assert run("schema") == (status, "", text)


def test_an_internal_error_with_debug(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "render_schema", lambda: 1 / 0)
    status, out, err = run("--debug", "schema")
    assert (status, out) == (1, "")
    assert "Traceback" in err
    assert "internal error: ZeroDivisionError: division by zero" in err


def test_output_to_a_full_disk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["schema"]) == 4
        monkeypatch.undo()
    assert capsys.readouterr().err == (
        "standard output: there is no space left where it is written to; "
        "free some, and do not use what has been written\n"
    )


def test_a_reader_that_has_seen_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["schema"]) == 141
        monkeypatch.undo()
    assert not capsys.readouterr().err
