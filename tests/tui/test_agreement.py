"""What a person saw on the summary and agreed to is what is installed, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from hostlib.errors import CheckBlocksError, CommandError
from hostlib.inventory import Content, Disk, Health, Inventory
from installer.live_prepare import Prepared
from installer.tui import live_controller
from installer.tui.agreement import check_agreed, make_agreement
from installer.tui.base import OTHER
from installer.tui.controller import State
from tests.tui.harness import TO_SUMMARY, Console, Demo, machine
from tests.tui.live_fakes import SERVER, STICK, WITH_STICK, FakeSession, Live, with_disks
from tests.tui.test_draft import GOOD

FIRST = SERVER.disks[0]
REST = WITH_STICK.disks[1:]
SUMMARY = 6
OTHER_PVE = FIRST.model_copy(
    update={
        "name": "sdq",
        "path": "/dev/sdq",
        "ids": ("scsi-SAN_1",),
        "serial": "SAN1",
        "wwn": "",
        "contents": (Content(device="sdq1", type="LVM2_member", vg="pve", vg_uuid="u-1"),),
    }
)


def first(**update: Any) -> Disk:
    return FIRST.model_copy(update=update)


def plain(**update: Any) -> Disk:
    """A disk that has no name but the kernel's, which another may have tomorrow."""
    return first(**{"name": "sdb", "path": "/dev/sdb", "ids": (), "serial": "", "wwn": ""} | update)


def turn_into(monkeypatch: pytest.MonkeyPatch, now: Inventory) -> None:
    """Let the machine be another one from now on."""
    monkeypatch.setattr(live_controller, "read_inventory", lambda _: now)
    monkeypatch.setattr(FakeSession, "changed", now)


def summary(live: Live) -> Console:
    console = Console(live)
    console.flow._place = SUMMARY
    console.app.refresh()
    return console


# The last look, before the first write.

CHANGES = [
    (first(serial="other"), "disk serial was 'S4GENX0N100101' and is 'other'"),
    (first(size_bytes=2**40), "disk size bytes was '500107862016' and is '1099511627776'"),
    (first(wwn="eui.1"), "disk wwn was 'eui.002538b191b33a01' and is 'eui.1'"),
    (
        first(contents=(Content(device="nvme0n1", type="ext4", label="backup", uuid="7"),)),
        "disk contents was nothing and is 'nvme0n1: ext4 backup 7'",
    ),
    (
        first(ids=("ata-BETTER", *FIRST.ids)),
        f"disk path was '{FIRST.stable_path}' and is '/dev/disk/by-id/ata-BETTER'",
    ),
]


@pytest.mark.parametrize(("disk", "told"), CHANGES)
def test_a_disk_that_has_changed_since_it_was_shown_is_not_erased(
    live: Live, monkeypatch: pytest.MonkeyPatch, disk: Disk, told: str
) -> None:
    turn_into(monkeypatch, with_disks(disk, *REST))
    assert live.start() == ""
    live.work()
    assert (live.state, live.progress().percent) == (State.FAILED, 0)
    reason = live.outcome().reason
    assert f"this is not what the summary showed: {told}" in reason
    assert reason.endswith("try again and look at the summary\nNothing has been written to a disk.")
    live.retry()
    live.work()
    intent = live.intent()
    assert intent is not None
    live.set("confirmation", intent.confirmation)
    assert live.start() == ""
    live.work()
    assert live.state is State.DONE


def test_no_volume_group_is_renamed_that_the_summary_did_not_name(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed: list[dict[str, str]] = []

    def install(_: FakeSession, prepared: Prepared) -> None:
        renamed.append(prepared.config.rename_vgs)

    monkeypatch.setattr(FakeSession, "install", install)
    turn_into(monkeypatch, with_disks(*WITH_STICK.disks, OTHER_PVE))
    live.start()
    live.work()
    assert (live.state, renamed) == (State.FAILED, [])
    assert "new name of volume group u-1 was nothing and is 'pve-OLD-" in live.outcome().reason
    live.retry()
    live.work()
    intent = live.intent()
    assert intent is not None
    assert "volume group pve on another disk is renamed to pve-OLD-" in intent.also[0]
    live.start()
    live.work()
    assert (live.state, [list(names) for names in renamed]) == (State.DONE, [["u-1"]])


def test_many_differences_are_counted() -> None:
    agreed = make_agreement(GOOD, SERVER)
    other = {"fqdn": "b.example.test", "mailto": "b@example.test", "country": "de", "timezone": "UTC+1"}
    config = agreed.config.model_copy(update=other)
    check_agreed(agreed, make_agreement(GOOD, SERVER).config, SERVER)
    with pytest.raises(CheckBlocksError) as caught:
        check_agreed(agreed, config, SERVER)
    what = caught.value.problems[0].what
    assert what.endswith("country was 'at' and is 'de', and 1 more")


# What has been typed or is asked stands for one disk as it was.


def test_what_was_typed_does_not_outlive_its_disk(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    old = plain(model="OLD", contents=(Content(device="sdb", type="ext4", label="old"),))
    live._inventory = with_disks(old)
    live.set("disk", "/dev/sdb")
    live.set("confirmation", "/sdb")
    turn_into(monkeypatch, with_disks(old))
    live.rescan()
    live.work()
    assert live.draft.confirmation == "/sdb", "it is the same disk"
    payroll = Content(device="sdb", type="xfs", label="payroll")
    turn_into(monkeypatch, with_disks(plain(model="PAYROLL", size_bytes=2**42, contents=(payroll,))))
    live.rescan()
    live.work()
    assert live.draft.confirmation == ""
    assert live.start() == ("the disk is not empty; type the last 4 characters of its name to erase it")


def test_a_disk_that_gets_warmer_is_the_same_disk(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    held = (Content(device="sdb", type="ext4"),)
    warm = Health(source="smartctl", passed=True, temperature_celsius=40)
    live._inventory = with_disks(plain(contents=held, health=warm))
    live.set("disk", "/dev/sdb")
    live.set("confirmation", "/sdb")
    shown = live.intent()
    for health in (warm.model_copy(update={"temperature_celsius": 41}), None):
        turn_into(monkeypatch, with_disks(plain(contents=held, health=health)))
        live.rescan()
        live.work()
        assert (live.draft.confirmation, live.intent()) == ("/sdb", shown)


def test_what_was_allowed_does_not_outlive_its_disk(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Health(source="smartctl", passed=False)
    live._inventory = with_disks(plain(health=failing))
    live.set("disk", "/dev/sdb")
    live.set("allow", "target-failing")
    turn_into(monkeypatch, with_disks(plain(health=failing)))
    live.rescan()
    live.work()
    assert live.draft.allow == "target-failing", "it is the same disk"
    turn_into(monkeypatch, with_disks(plain(health=failing, serial="OTHER")))
    live.rescan()
    live.work()
    assert live.draft.allow == ""
    assert "is failing" in live.problems(["disk"])["disk"]


def test_a_failing_disk_that_answers_only_sometimes_is_installed_on_where_that_is_allowed(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = first(health=Health(source="smartctl", passed=False))
    live._inventory = with_disks(failing, *REST)
    live.set("allow", "target-failing")
    assert live.start() == ""
    turn_into(monkeypatch, with_disks(first(), *REST))
    live.work()
    assert live.state is State.DONE


def test_a_disk_that_breaks_after_the_summary_is_not_installed_on_unasked(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn_into(monkeypatch, with_disks(first(health=Health(source="smartctl", passed=False)), *REST))
    assert live.start() == ""
    live.work()
    assert live.state is State.FAILED
    assert "says that it is failing" in live.outcome().reason
    live.retry()
    live.work()
    assert live.intent() is None
    assert "is failing" in live.open_problems()[0]


def test_one_reading_at_a_time(live: Live) -> None:
    for _ in range(30):
        live.rescan()
    assert len(live.waiting) == 1, "a key that is held down"
    live.work()
    live.rescan()
    assert len(live.waiting) == 1


@pytest.mark.parametrize("change", [{"model": "OTHER", "size_bytes": 2**42}, {"udev": {"ID_PATH": "other"}}])
def test_the_question_for_an_empty_disk_is_no_answer_for_another(
    live: Live, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    live._inventory = with_disks(plain(contents=()))
    live.set("disk", "/dev/sdb")
    console = summary(live).keys("enter")
    assert "This disk is empty" in console.text
    turn_into(monkeypatch, with_disks(plain(contents=(), **change)))
    live.rescan()
    live.work()
    console.app.refresh()
    console.keys("tab enter")
    assert (console.state, live.waiting) == ("editing", [])
    assert OTHER in console.words
    assert console.keys("enter tab enter").state == "confirmed"


def test_a_change_that_shows_nowhere_does_not_stop_what_is_asked_for_after_it(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    live._inventory = with_disks(plain(contents=()))
    live.set("disk", "/dev/sdb")
    before = summary(live)
    picture = before.text
    # As a terminal does: urwid draws nothing anew that looks the same while its picture is kept.
    kept = before._canvas()
    turn_into(monkeypatch, with_disks(plain(contents=(), udev={"ID_PATH": "other"})))
    live.rescan()
    live.work()
    before.app.refresh()
    assert (before.text, kept.rows()) == (picture, 24)
    assert before.keys("enter tab enter").state == "confirmed"


def test_what_has_not_been_drawn_yet_is_not_agreed_to(live: Live) -> None:
    console = summary(live)
    assert "nvme0n1" not in console.text
    live.set("fqdn", "late.example.test")
    console.app.refresh()
    # A key that was pressed before the change could be seen.
    console.app.keypress(console.size, "enter")
    console.app.keypress(console.size, "tab")
    console.app.keypress(console.size, "enter")
    assert console.state == "editing"
    assert OTHER in console.words
    assert "late.example.test" in console.text


def test_a_name_that_another_console_has_changed_is_not_installed_unseen(live: Live) -> None:
    shown = live.intent()
    live.set("fqdn", "other.example.test")
    assert live.start_install(shown) == OTHER
    assert live.start_install(None) == OTHER
    assert live.start() == ""


# While the machine is being read, and when it cannot be.


def test_nothing_is_agreed_to_while_the_machine_is_read(live: Live) -> None:
    console = summary(live)
    shown = live.intent()
    live.rescan()
    console.app.refresh()
    assert "the machine is being read; wait a moment" in console.text
    assert live.start_install(shown) == "the machine is being read; wait a moment"
    console.keys("enter tab enter")
    assert console.state == "editing"
    console.work()
    assert "the machine is being read" not in console.text
    assert live.start_install(shown) == ""


def test_a_machine_that_cannot_be_read_any_more_is_not_installed_on(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Inventory:
        raise CommandError("lsblk", "exit status 1", "")

    shown = live.intent()
    monkeypatch.setattr(live_controller, "read_inventory", fail)
    live.rescan()
    live.work()
    assert live.start_install(shown).startswith("the machine cannot be read: command failed: lsblk")


def test_another_try_shows_the_summary_with_the_machine_as_it_is_then() -> None:
    demo = Demo(machine("nvme-server"), fail_at="copy")
    demo.rescan()
    console = Console(demo).work().keys(TO_SUMMARY + "enter tab enter").work()
    assert console.state == "failed"
    held = SERVER.disks[0].model_copy(update={"contents": (Content(device="nvme0n1", type="ext4"),)})
    demo._machine = SERVER.model_copy(update={"disks": (held, *SERVER.disks[1:])})
    console.keys("enter")
    assert (console.title, demo.intent()) == ("Summary", None)
    assert console.keys("enter enter").state == "editing"
    console.work()
    assert "Everything on it will be lost: nvme0n1: ext4" in console.text
    demo.retry()
    assert demo.waiting == [], "nothing is left to try again"


def test_the_chosen_disk_stays_chosen_by_its_better_name(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    turn_into(monkeypatch, with_disks(first(ids=("ata-BETTER", *FIRST.ids)), *REST))
    live.rescan()
    live.work()
    assert live.draft.disk == "/dev/disk/by-id/ata-BETTER"
    assert live.layout().parts


def test_a_gone_disk_is_told(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    turn_into(monkeypatch, with_disks(SERVER.disks[1], STICK))
    live.rescan()
    live.work()
    assert live.start().startswith("disk-setup.disk-list: this machine has no disk")
