"""The controller of the live system, over a recorded machine and without any process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hostlib.errors import CommandError, Problem, StepError, UserError
from hostlib.http import Request, Response
from hostlib.inventory import Content, Inventory, Neighbour
from installer.answers import parse_answers
from installer.live_prepare import Prepared
from installer.live_ssh import LiveSsh
from installer.progress import Event, Sink
from installer.resolve import resolve
from installer.tui import live_controller, sticks, views
from installer.tui.controller import State
from installer.tui.draft import Draft
from installer.tui.live_controller import LOG_BYTES, LOOK_SECONDS, LiveController
from installer.volumes import Answer
from tests.tui.harness import Console, machine
from tests.tui.test_draft import GOOD, HASH, KEY
from tests.unit.installer_fakes import FakeRunner

SERVER = machine("nvme-server")
STICK = SERVER.disks[0].model_copy(
    update={
        "name": "sdz",
        "ids": ("usb-DISK-0:0",),
        "bus": "usb",
        "serial": "77",
        "wwn": "",
        "contents": (
            Content(device="sdz", type="dos"),
            Content(device="sdz1", type="vfat", label="DATA"),
            Content(device="sdz2", type="ntfs"),
        ),
    }
)
WITH_STICK = SERVER.model_copy(update={"disks": (*SERVER.disks, STICK)})
DEVICE = "/dev/disk/by-id/usb-DISK-0:0-part1"


class FakeSession:
    """Stands in for the session that installs."""

    changed: Inventory = WITH_STICK
    error: Exception | None = None
    told: ClassVar[list[str]] = []

    def __init__(self, *_: object, watch: list[Sink], **__: object) -> None:
        self._watch = watch

    def prepare(self, answer: Answer, secrets: set[str]) -> Prepared:
        assert secrets == {GOOD.password}
        answers, _ = parse_answers(answer.text, answer.source)
        return Prepared(resolve(answers, self.changed), [], "", self.changed)

    def install(self, _: Prepared) -> None:
        for sink in self._watch:
            sink(Event("progress", "copy", 42))
            sink(Event("succeeded", fingerprint="AB:" * 31 + "CD"))
        if self.error:
            raise self.error

    def fail(self, reason: str, _status: int) -> None:
        self.told.append(reason)

    def close(self) -> None:
        self.told.append("closed")


class Live(LiveController):
    """What takes its time is done when a test says `work()`."""

    def __init__(self, runner: FakeRunner, log: Path, ssh: LiveSsh | None = None) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.seconds = 1000.0
        super().__init__(runner, spawn=self.waiting.append, clock=lambda: self.seconds, log=log, ssh=ssh)

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.tick()
        self.work()

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def enter(self, draft: Draft) -> None:
        self._draft = draft


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner({"openssl": f"{HASH}\n", "blkid": "vfat\n", "ckbcomp": "keycode 1 = Escape\n"})


@pytest.fixture
def live(runner: FakeRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    monkeypatch.setattr(live_controller, "read_inventory", lambda _: WITH_STICK)
    monkeypatch.setattr(live_controller, "read_network", lambda: (WITH_STICK.nics, WITH_STICK.leases))
    monkeypatch.setattr(live_controller, "apply_resolver", lambda _: None)
    monkeypatch.setattr(live_controller, "Session", FakeSession)
    monkeypatch.setattr(FakeSession, "told", [])
    monkeypatch.setattr(sticks, "MOUNT_POINT", tmp_path / "stick")
    controller = Live(runner, tmp_path / "install.log")
    controller.rescan()
    controller.work()
    controller.enter(GOOD)
    return controller


def test_an_installation(live: Live) -> None:
    assert live.start_install() == ""
    live.work()
    assert (live.state, live.progress().percent) == (State.DONE, 42)
    assert live.outcome().url == "https://192.0.2.2:8006/"
    first, second = live.outcome().certificate
    assert first == f"  Certificate  SHA-256 {'AB:' * 16}"
    assert second.strip() == "AB:" * 15 + "CD"
    assert FakeSession.told == ["closed"]


def test_a_failure_is_told_to_the_report_and_the_screens(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSession, "error", StepError("copy: no space"))
    live.start_install()
    live.work()
    assert (live.state, live.outcome().reason) == (State.FAILED, "copy: no space")
    assert FakeSession.told == ["copy: no space", "closed"]


@pytest.mark.parametrize(
    "change",
    [{"serial": "other"}, {"contents": (Content(device="nvme0n1", type="ext4"),)}, {"size_bytes": 2**40}],
)
def test_a_disk_that_has_changed_since_it_was_shown_is_not_erased(
    live: Live, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    other = WITH_STICK.disks[0].model_copy(update=change)
    now = WITH_STICK.model_copy(update={"disks": (other, *WITH_STICK.disks[1:])})
    monkeypatch.setattr(FakeSession, "changed", now)
    live.start_install()
    live.work()
    assert live.state is State.FAILED
    assert live.progress().percent == 0
    assert "have changed" in live.outcome().reason
    assert live.outcome().reason.endswith("Nothing has been written to a disk.")


def test_a_bug_ends_the_installation_too(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSession, "error", KeyError("x"))
    live.start_install()
    live.work()
    assert live.outcome().reason == (
        "a bug in the installer: KeyError: 'x'\nWhat has been written to the disk is not known; the log tells."
    )


def test_a_machine_that_cannot_be_read_blocks(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> Inventory:
        raise CommandError("lsblk", "exit status 1", "")

    monkeypatch.setattr(live_controller, "read_inventory", fail)
    live.rescan()
    assert live.machine() is None
    live.work()
    found = live.machine()
    assert found is not None
    assert found.blocked
    assert "lsblk" in found.findings[0].text


def test_a_late_lease_changes_only_what_nobody_has_seen(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    without = WITH_STICK.model_copy(update={"leases": ()})
    monkeypatch.setattr(live_controller, "read_inventory", lambda _: without)
    live.enter(Draft(gateway="192.0.2.9", dns=""))
    live.leave(["gateway", "dns"])
    live.rescan()
    live.work()
    assert (live.draft.cidr, live.draft.gateway) == ("", "192.0.2.9")
    live.pass_time(LOOK_SECONDS)
    assert (live.draft.cidr, live.draft.gateway, live.draft.dns) == (
        "192.0.2.41/24",
        "192.0.2.9",
        "192.0.2.53",
    )


def test_a_cable_and_a_switch_show_by_themselves(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    changed = WITH_STICK.nics[1].model_copy(
        update={"link": True, "neighbour": Neighbour(system="sw2", port="3", port_description="u12")}
    )

    def read_network() -> object:
        looks.append(live.seconds)
        return (WITH_STICK.nics[0], changed, *WITH_STICK.nics[2:]), WITH_STICK.leases

    monkeypatch.setattr(live_controller, "read_network", read_network)
    before = live.draft
    live.pass_time(LOOK_SECONDS - 1)
    assert looks == []
    live.pass_time(1)
    live.pass_time(1)
    nic = live.nics()[1]
    assert (looks, nic.link, nic.switch, nic.port_note) == (
        [1000.0 + LOOK_SECONDS],
        "link",
        "sw2 port 3",
        "u12",
    )
    assert (live.draft, live.disks()) == (before, views.view_disks(WITH_STICK))


def test_a_look_at_the_network_fills_no_field_that_has_just_been_emptied(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.set("nic", "ID_NET_NAME_MAC=enxb026289a1040")
    live.set("cidr", "")
    monkeypatch.setattr(live_controller, "read_network", lambda: (WITH_STICK.nics[:2], WITH_STICK.leases))
    live.pass_time(LOOK_SECONDS)
    assert (len(live.nics()), live.draft.cidr, live.draft.gateway) == (2, "", "192.0.2.1")
    other = WITH_STICK.leases[0].model_copy(update={"address": "192.0.2.77/24"})
    monkeypatch.setattr(live_controller, "read_network", lambda: (WITH_STICK.nics, (other,)))
    live.pass_time(LOOK_SECONDS)
    assert live.draft.cidr == "192.0.2.77/24"


def test_the_network_is_not_looked_at_twice_at_once_nor_while_it_installs(live: Live) -> None:
    live.seconds += LOOK_SECONDS
    live.tick()
    live.tick()
    assert len(live.waiting) == 1
    live.work()
    live.start_install()
    live.work()
    live.seconds += LOOK_SECONDS
    live.tick()
    assert live.waiting == []


def test_a_network_that_cannot_be_read_stays_as_it_was(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> object:
        raise OSError(5, "no netlink")

    before = live.nics()
    with monkeypatch.context() as patch:
        patch.setattr(live_controller, "read_network", fail)
        live.pass_time(LOOK_SECONDS)
    assert live.nics() == before
    monkeypatch.setattr(live_controller, "read_network", lambda: ((), ()))
    live.pass_time(LOOK_SECONDS)
    assert live.nics() == ()


def test_a_keyboard_layout_is_used_at_once(live: Live, runner: FakeRunner) -> None:
    live.set("country", "ch")
    live.work()
    assert runner.lines[-2:] == ["ckbcomp -model pc105 ch de_nodeadkeys", "loadkeys --console=/dev/tty1 -"]
    assert runner.inputs[-1] == "keycode 1 = Escape\n"
    assert live.job("keyboard").state == "done"
    runner.failures["loadkeys"] = "no console"
    live.set("keyboard", "fr")
    live.work()
    assert live.job("keyboard").state == "failed"
    assert "no console" in live.job("keyboard").text


def test_the_answer_file_on_a_stick(live: Live, runner: FakeRunner, tmp_path: Path) -> None:
    assert [target.key for target in live.targets()] == [DEVICE]
    assert "vfat DATA" in live.targets()[0].label
    for name in ("answer.toml", "answer-2.toml"):
        live.save_answer(DEVICE)
        live.work()
        assert live.job("save-answer").text == f"{name} is on the stick."
        text = (tmp_path / "stick" / name).read_text()
        assert HASH in text
        assert GOOD.password not in text
    assert runner.inputs[0] == f"{GOOD.password}\n"
    assert not [line for line in runner.lines if GOOD.password in line]
    assert [line.split()[0] for line in runner.lines[:4]] == ["openssl", "blkid", "mount", "umount"]


def test_a_stick_that_cannot_be_written_to(live: Live, runner: FakeRunner) -> None:
    runner.outputs["blkid"] = "ntfs\n"
    live.save_answer(DEVICE)
    live.work()
    assert live.job("save-answer").text == "it holds ntfs and none of vfat, exfat, ext4; take another stick"
    runner.outputs["blkid"] = "vfat\n"
    runner.failures["mount"] = "wrong fs type"
    live.save_answer(DEVICE)
    live.work()
    assert live.job("save-answer").state == "failed"
    assert live.job("save-answer").text.endswith("wrong fs type")


def test_the_log(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert live.log() == [f"{tmp_path / 'install.log'}: No such file or directory"]
    (tmp_path / "install.log").write_text("one\ntwo\n")
    assert live.log() == ["one", "two"]
    (tmp_path / "install.log").write_text(f"{'x' * LOG_BYTES}\nlast\n")
    assert live.log() == ["last"]
    (tmp_path / "install.log").write_text("one\ntwo\n")
    live.save_log(DEVICE)
    live.work()
    assert (tmp_path / "stick/slipway-install.log").read_text() == "one\ntwo\n"
    sent: list[Request] = []

    def send(request: Request) -> Response:
        sent.append(request)
        return Response(200, "", b"")

    monkeypatch.setattr(live_controller, "send", send)
    live.save_log("https://logs.example.test/")
    live.work()
    assert (sent[0].method, sent[0].body) == ("POST", b"one\ntwo\n")
    live.save_log("logs.example.test")
    live.work()
    assert live.job("save-log").text == "this is no URL; give one such as 'https://192.0.2.10/hook'"


@pytest.mark.parametrize(
    ("body", "keys", "text"),
    [
        (f"# mine\n{KEY}\n{KEY}\n".encode(), f"{KEY}\n{KEY}", "Keys that were fetched: 2"),
        (
            b"<html>",
            "",
            "what came back is no list of keys: this is no public ssh key; give the line of a .pub file",
        ),
    ],
)
def test_keys_from_a_url(
    live: Live, monkeypatch: pytest.MonkeyPatch, body: bytes, keys: str, text: str
) -> None:
    live.enter(Draft())
    monkeypatch.setattr(live_controller, "send", lambda _: Response(200, "", body))
    live.fetch_ssh_key("https://example.test/me.keys")
    assert live.job("fetch-key").state == "running"
    live.work()
    assert (live.draft.ssh_keys, live.job("fetch-key").text) == (keys, text)


def test_the_end_is_as_was_asked_for(live: Live, runner: FakeRunner) -> None:
    for mode, command in (("reboot", "reboot"), ("power-off", "poweroff")):
        live.set("reboot_mode", mode)
        live.reboot()
        live.work()
        assert runner.lines[-1] == f"systemctl --no-block {command}"
    runner.failures["systemctl"] = "the medium is gone"
    live.reboot()
    live.work()
    assert live.job("reboot").text.endswith("the medium is gone")


def test_problems_have_one_form() -> None:
    with pytest.raises(UserError) as caught:
        live_controller.check_same_disk(STICK, STICK.model_copy(update={"serial": "78"}))
    assert caught.value.problems[0] == Problem(
        "/dev/disk/by-id/usb-DISK-0:0",
        "this disk is not what it was when the summary was shown: serial number, size or contents have changed",
        "try again and look at the summary",
    )


def test_the_second_screen_is_shown(live: Live, runner: FakeRunner) -> None:
    live.show_shell()
    live.work()
    assert (runner.lines[-1], live.job("shell").state) == ("chvt 2", "done")
    runner.failures = {"chvt": "Couldn't get a file descriptor"}
    live.show_shell()
    live.work()
    assert live.job("shell").text == "chvt 2: Couldn't get a file descriptor"


def test_the_welcome_screen_tells_how_to_log_in(
    runner: FakeRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_controller, "read_inventory", lambda _: SERVER)
    monkeypatch.setattr(live_controller, "read_network", lambda: (SERVER.nics, SERVER.leases))
    monkeypatch.setattr(live_controller, "apply_resolver", lambda _: None)
    runner.outputs["ssh-keygen -l"] = "256 SHA256:abc no comment (ED25519)\n"
    ssh = LiveSsh(runner, tmp_path / "ssh")
    controller = Live(runner, tmp_path / "install.log", ssh)
    console = Console(controller)
    assert "SSH        is being started ..." in console.text
    ssh.start()
    controller.rescan()
    controller.work()
    console.app.refresh()
    (password,) = ssh.secrets
    assert f"SSH        ssh root@192.0.2.41, password {password}" in console.text
    assert "           host key SHA256:abc\n" in console.text
    assert "[ Next ]" in console.text
