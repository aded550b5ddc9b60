"""From what was typed to an answer file, and to what is wrong with it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from installer.answers import parse_answers
from installer.cli import main
from installer.progress import Event
from installer.resolve import resolve
from installer.tui.check import RIGHT, problems_of, resolve_draft
from installer.tui.controller import Outcome, State
from installer.tui.draft import PLACES, SIZES, Draft, render_answer, render_tables, to_tables
from installer.tui.flow import Flow, Stop
from installer.tui.installation import Installation
from installer.tui.views import propose, view_disks, view_layout, view_nics
from tests.tui.harness import MACHINES, machine

SERVER = machine("nvme-server")
HASH = "$6$exampleSalt$I/WluFfRLum4lMaP822hYN81KYMi6ybHeINNe9E5tFW55zSt9C4oNTJkoSBMqfE3vZMP3eKGxv1YtThBiUkGC1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFuIGV4YW1wbGUgYW5kIG5vYm9keSdzIHJlYWwga2V5 ops@desk"
GOOD = replace(
    RIGHT,
    disk=SERVER.disks[0].stable_path,
    nic="ID_NET_NAME_MAC=enxb026289a1040",
    password="correct horse",
    password_again="correct horse",
    hdsize="100",
    swapsize="7,5",
    ssh_keys=f"{KEY}\n",
    pin_names=True,
)


def test_a_good_draft_has_no_problems() -> None:
    assert problems_of(GOOD, SERVER) == {}


@pytest.mark.parametrize("filesystem", ["ext4", "xfs"])
def test_the_saved_answer_file_leads_to_the_same_installation(filesystem: Literal["ext4", "xfs"]) -> None:
    draft = replace(GOOD, filesystem=filesystem, reboot_mode="power-off")
    text = render_answer(draft, password_hash=HASH)
    answers, warnings = parse_answers(text, "saved")
    saved, shown = resolve(answers, SERVER), resolve_draft(draft, SERVER)
    without = {"root_password", "root_password_hash"}
    assert saved.model_dump(exclude=without) == shown.model_dump(exclude=without)
    assert warnings == []


@pytest.mark.parametrize("path", sorted(MACHINES.glob("*.json")), ids=lambda path: path.stem)
def test_validate_has_nothing_against_the_saved_answer_file(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory = machine(path.stem)
    disk = next(disk.path for disk in view_disks(inventory) if disk.selectable)
    saved = tmp_path / "answer.toml"
    for nic in view_nics(inventory):
        draft = replace(GOOD, disk=disk, hdsize="", swapsize="", nic=nic.key)
        saved.write_text(render_answer(draft, password_hash=HASH))
        status = main(["validate", str(saved), "--inventory", str(path)])
        out, err = capsys.readouterr()
        network = json.loads(out)["network"]
        assert (status, err) == (0, "")
        assert (network["mac"], network["nic"]) == (nic.mac, nic.pinned)
        assert json.loads(out)["target"]["path"] == disk


def test_no_saved_file_and_no_repr_holds_the_password() -> None:
    for password_hash in ("", HASH):
        text = render_answer(GOOD, password_hash=password_hash)
        assert GOOD.password not in text
        assert ("mkpasswd" in text) is (password_hash == "")
    assert GOOD.password not in repr(GOOD)


def test_any_text_is_a_toml_string() -> None:
    text = 'a "quoted" \\ \t\x7f\x01 ä \N{SNOWMAN} \N{GRINNING FACE}'
    assert tomllib.loads(render_tables({"x": {"y": text, "z": [text], "t": {"u": text}}})) == {
        "x": {"y": text, "z": [text], "t": {"u": text}}
    }


@pytest.mark.parametrize(
    ("typed", "size"),
    [("64", 64), ("64.5", 64.5), ("7,25", 7.25), ("", None), ("1..", "1.."), ("9" * 12, "9" * 12)],
)
def test_sizes(typed: str, size: float | str | None) -> None:
    assert to_tables(replace(GOOD, maxroot=typed))["disk-setup"]["lvm"].get("maxroot") == size


WRONG = {
    "disk": ("/dev/disk/by-id/gone", "this machine has no disk 'gone'; "),
    "hdsize": ("4", "4 is out of range; give a number greater than"),
    "swapsize": ("60", "60 GiB is more than half of hdsize (100 GiB); make it smaller"),
    "maxroot": ("1", "1 GiB do not hold the root, 2 are needed; "),
    "minfree": (".", "it is no number; give a size in GiB"),
    "maxvz": ("1.2.3", "it is no number; give a size in GiB"),
    "country": ("xx", "'xx' is no country; "),
    "timezone": ("Mars/Olympus", "'Mars/Olympus' is no time zone; "),
    "keyboard": ("xx", "'xx' is not allowed; "),
    "password": ("short", "the password is shorter than 8 bytes; choose a longer one"),
    "password_again": ("another", "the two entries differ; type the password again"),
    "mailto": ("nobody", "'nobody' is no e-mail address; give user@domain.tld"),
    "ssh_keys": ("https://example.test/me.keys", "this is a URL; choose Fetch key"),
    "nic": ("INTERFACE=eth9", "no network card fits INTERFACE"),
    "fqdn": ("node1", "'node1' is no fully qualified domain name; "),
    "cidr": ("192.0.2.300/24", "'192.0.2.300/24' is no address with prefix length; "),
    "gateway": ("2001:db8::1", "2001:db8::1 is IPv6 and cidr is IPv4"),
    "dns": ("one.example.test", "'one.example.test' is no machine's IP address; "),
}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cidr", "192.0.2.9", "'192.0.2.9' has no prefix length; give one such as 192.0.2.9/24"),
        (
            "hdsize",
            "99999",
            "99999 GiB are more than the disk has (465.8 GiB); make it smaller, or nothing for all",
        ),
    ],
)
def test_slips_of_a_person_are_told(field: str, value: str, message: str) -> None:
    changed: dict[str, Any] = {field: value}
    assert problems_of(replace(GOOD, **changed), SERVER) == {field: message}


@pytest.mark.parametrize("field", WRONG)
def test_what_is_wrong_is_told_at_its_field_alone(field: str) -> None:
    value, message = WRONG[field]
    changed: dict[str, Any] = {field: value}
    problems = problems_of(replace(GOOD, **changed), SERVER)
    assert list(problems) == [field]
    assert problems[field].startswith(message)


def test_an_empty_draft_misses_every_field_that_has_no_default() -> None:
    problems = problems_of(Draft(), SERVER)
    may_be_empty = {*SIZES, "filesystem", "ssh_keys", "pin_names", "reboot_mode", "allow"}
    may_be_empty |= {"cluster", "cluster_name", "token"}
    assert set(problems) == set(PLACES) - may_be_empty
    assert {text.split(";")[0] for text in problems.values()} <= {
        "no address is given", "no name is given", "there is no password for root", "no disk is chosen", "no network card is chosen",
        "no country is chosen", "no time zone is chosen", "no layout is chosen",
    }  # fmt: skip


def test_what_only_the_machine_tells_is_not_hidden_by_what_is_missing() -> None:
    draft = Draft(disk="/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_MOUNTED", swapsize="31")
    problems = problems_of(draft, machine("odd-disks-bios"))
    assert problems["disk"].startswith("is in use")
    assert problems["swapsize"].startswith("swap and maxroot leave")
    assert problems["fqdn"] == "no name is given; give one such as node1.example.test"


@pytest.mark.parametrize("path", sorted(MACHINES.glob("*.json")), ids=lambda path: path.stem)
def test_each_card_is_named_by_what_no_other_has(path: Path) -> None:
    inventory = machine(path.stem)
    disk = next(disk.path for disk in view_disks(inventory) if disk.selectable)
    for nic in view_nics(inventory):
        config = resolve_draft(replace(GOOD, disk=disk, hdsize="", swapsize="", nic=nic.key), inventory)
        assert config.network.mac == nic.mac


def test_proposals() -> None:
    assert propose(SERVER, "ID_NET_NAME_MAC=enxb026289a1040") == {
        "cidr": "192.0.2.41/24", "gateway": "192.0.2.1", "dns": "192.0.2.53", "fqdn": "node7.example.test",
    }  # fmt: skip
    assert propose(SERVER, "ID_NET_NAME_MAC=enxb026289a1041") == {"cidr": "", "gateway": "", "dns": ""}


@pytest.mark.parametrize("sizes", [{}, {"hdsize": "64"}, {"maxvz": "0"}, {"swapsize": "0", "minfree": "100"}])
def test_the_parts_of_the_layout_make_up_the_disk(sizes: dict[str, str]) -> None:
    changed: dict[str, Any] = {"hdsize": "", "swapsize": ""} | sizes
    draft = replace(GOOD, **changed)
    parts = view_layout(draft, SERVER).parts
    missing = SERVER.disks[0].size_bytes - sum(part.size_bytes for part in parts)
    assert 0 <= missing < 3 * 2**20


def test_an_installation_goes_its_way_and_no_other() -> None:
    told: list[State] = []
    now = [0.0]
    installation = Installation(lambda: told.append(installation.state), lambda: now[0])
    assert installation.confirm()
    assert not installation.confirm()
    with pytest.raises(ValueError, match="from confirmed to done"):
        installation.succeed(Outcome())
    installation.begin()
    installation.take(Event("warning", text="a"))
    installation.take(Event("progress", "copy", 42))
    now[0] = 65.0
    progress = installation.progress
    assert (progress.percent, progress.elapsed_seconds, progress.warnings) == (42, 65, ("a",))
    installation.fail("why")
    now[0] = 100.0
    assert (installation.progress.elapsed_seconds, installation.outcome.reason) == (65, "why")
    installation.retry()
    installation.retry()
    assert installation.state is State.EDITING
    assert told[-1] is State.EDITING


def test_the_flow_follows_what_is_wanted() -> None:
    wanted = {"a": True, "b": False, "c": True, "d": False}
    moves: list[str] = []
    stops = [Stop(name, partial(wanted.__getitem__, name)) for name in wanted]
    flow = Flow(stops, lambda: moves.append("moved"))
    assert (flow.current, flow.number) == ("a", (1, 2))
    flow.back()
    assert flow.current == "a"
    flow.forward()
    assert flow.current == "c"
    flow.forward()
    assert flow.current == "c"
    wanted.update(c=False, d=True)
    assert flow.current == "d"
    wanted.update(d=False, b=True)
    assert (flow.current, moves) == ("b", ["moved"] * 3)


def test_every_field_has_its_place_or_is_said_not_to() -> None:
    assert set(asdict(Draft())) - set(PLACES) == {"password_again", "confirmation"}


def test_an_installation_that_ends_between_two_looks_disturbs_no_screen() -> None:
    wanted = {"running": True}
    stops = [Stop("progress", lambda: wanted["running"]), Stop("done", lambda: not wanted["running"])]
    flow = Flow(stops, lambda: None)
    assert (flow.current, flow.number) == ("progress", (1, 1))
    wanted["running"] = False
    assert (flow.number, flow.current) == ((1, 1), "done")
