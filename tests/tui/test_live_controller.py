"""The controller of the live system, over a recorded machine and without any process."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest

from hostlib.errors import CommandError, StepError
from hostlib.http import Request, Response
from hostlib.inventory import Content, Inventory, Neighbour
from installer import execute
from installer.live_ssh import LiveSsh
from installer.tui import live_controller, views
from installer.tui.controller import State
from installer.tui.draft import Draft
from installer.tui.live_controller import LOG_BYTES, LOOK_SECONDS
from tests.tui.harness import Console
from tests.tui.live_fakes import DEVICE, SERVER, WITH_STICK, FakeSession, Live
from tests.tui.test_draft import GOOD, HASH, KEY
from tests.unit.installer_fakes import FakeRunner


def test_an_installation(live: Live) -> None:
    assert live.start() == ""
    live.work()
    assert (live.state, live.progress().percent) == (State.DONE, 42)
    assert live.outcome().url == "https://192.0.2.2:8006/"
    first, second = live.outcome().certificate
    assert first == f"  Certificate  SHA-256 {'AB:' * 16}"
    assert second.strip() == "AB:" * 15 + "CD"
    assert FakeSession.told == ["closed"]


def test_a_failure_is_told_to_the_report_and_the_screens(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSession, "error", StepError("copy: no space"))
    live.start()
    live.work()
    assert (live.state, live.outcome().reason) == (State.FAILED, "copy: no space")
    assert FakeSession.told == ["copy: no space", "closed"]


def test_a_bug_ends_the_installation_too(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSession, "error", KeyError("x"))
    live.start()
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
    assert found.blocked("")
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
    live.start()
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


def test_a_layout_that_is_chosen_while_another_is_loaded_has_its_turn(live: Live, runner: FakeRunner) -> None:
    def choose_another(line: str) -> None:
        if line.startswith("loadkeys") and live.draft.keyboard == "fr":
            live.set("keyboard", "de")

    runner.before = choose_another
    live.set("keyboard", "fr")
    live.work()
    live.tick()
    live.work()
    live.tick()
    assert live.waiting == []
    assert [line for line in runner.lines if line.startswith("ckbcomp")] == [
        "ckbcomp -model pc105 fr nodeadkeys",
        "ckbcomp -model pc105 de nodeadkeys",
    ]


def test_what_a_killed_installer_has_left_mounted_does_not_count_as_in_use(
    live: Live, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = Content(device="nvme0n1p3", type="ext4", mountpoints=("/run/slipway/target",))
    left = [held]

    def read(_: object) -> Inventory:
        disk = WITH_STICK.disks[0].model_copy(update={"contents": tuple(left)})
        return WITH_STICK.model_copy(update={"disks": (disk, *WITH_STICK.disks[1:])})

    monkeypatch.setattr(live_controller, "read_inventory", read)
    with monkeypatch.context() as patch:
        patch.setattr(live_controller, "unmount_leftovers", lambda _: left.clear())
        live.rescan()
        live.work()
    assert live.problems(["disk"]) == {}
    with execute._lock(tmp_path / "run/install.lock"):
        left.append(held)
        live.rescan()
        live.work()
    assert "another installation is running" in caplog.text
    assert live.problems(["disk"])["disk"].startswith("is in use (nvme0n1p3 on /run/slipway/target)")


def test_a_bug_leaves_nothing_running_for_ever(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise KeyError("x")

    monkeypatch.setattr(live_controller, "write_to_stick", fail)
    live.save_answer(DEVICE)
    live.work()
    job = live.job("save-answer")
    assert (job.state, job.text) == ("failed", "a bug in the installer: KeyError: 'x'; F3 shows the log")
    monkeypatch.setattr(live_controller, "apply_resolver", fail)
    live.rescan()
    live.work()
    found = live.machine()
    assert found is not None
    assert found.findings[0].text == "it cannot be read: a bug in the installer: KeyError: 'x'"
    live.seconds += LOOK_SECONDS
    live.tick()
    assert len(live.waiting) == 1, "the network is looked at again"


@pytest.mark.parametrize("place", [1, 4])
def test_a_device_that_goes_between_two_looks_disturbs_no_screen(live: Live, place: int) -> None:
    console = Console(live)
    console.flow._place = place
    console.app.refresh()
    # Only the running screen has the table.
    screen: Any = console.app.screen
    table = screen._table
    title, refresh = console.title, table.refresh

    def refresh_and_lose() -> None:
        refresh()
        live._inventory = WITH_STICK.model_copy(
            update={"disks": WITH_STICK.disks[1:], "nics": WITH_STICK.nics[1:]}
        )

    table.refresh = refresh_and_lose
    console.app.refresh()
    assert "An error of the installer itself" not in console.text
    table.refresh = refresh
    console.app.refresh()
    assert (console.title, table.row.key) == (
        title,
        [live.disks()[0].path, live.nics()[0].key][place == 4],
    )


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
