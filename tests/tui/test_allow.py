"""What blocks, and a person who allows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostlib import checks
from hostlib.inventory import Disk, Inventory
from installer.answers import parse_answers
from installer.resolve import resolve
from installer.tui.agreement import check_agreed, make_agreement
from installer.tui.check import problems_of, resolve_draft
from installer.tui.draft import render_answer
from tests.tui.harness import TO_DISK, Console, Demo, check_screens, machine
from tests.tui.test_draft import GOOD, HASH

ODD = machine("odd-disks-bios")
FOURK = next(disk for disk in ODD.disks if disk.serial == "FOURK")
DRAFT = replace(
    GOOD, disk=FOURK.stable_path, hdsize="", swapsize="", nic=f"INTERFACE={ODD.nics[0].name}", pin_names=False
)
ALLOWED = "target-4kn-bios"
LITTLE_MEMORY = ODD.model_copy(update={"memory_bytes": 512 * 2**20})


def start(recorded: Inventory = ODD) -> Console:
    demo = Demo(recorded)
    demo.rescan()
    return Console(demo).work()


def to_fourk(recorded: Inventory = ODD) -> Console:
    """A console with the cursor on the disk that blocks."""
    return start(recorded).keys(TO_DISK + "home down down")


def test_a_disk_is_chosen_after_a_question() -> None:
    console = to_fourk()
    assert "blocked" in console.focus
    console.keys("enter")
    assert f"have the answer file allow {ALLOWED}?" in console.words
    draft = console.keys("enter").controller.draft
    assert (draft.disk, draft.allow) == ("", ""), "Enter alone does not allow it"
    draft = console.keys("enter tab enter").controller.draft
    assert (draft.disk, draft.allow) == (FOURK.stable_path, ALLOWED)
    assert console.keys("enter").focus == "[ Next ]", "chosen again, it stays allowed"
    assert console.controller.draft == draft
    assert "allowed: it" in console.words
    assert console.controller.problems(["disk"]) == {}


def test_another_disk_takes_it_back() -> None:
    console = to_fourk().keys("enter tab enter home enter")
    draft = console.controller.draft
    assert (draft.disk != FOURK.stable_path, draft.allow) == (True, "")
    assert "blocked" in console.keys("shift-tab home down down").focus


def test_a_machine_is_gone_on_with_after_a_question_and_stays_allowed() -> None:
    console = start(LITTLE_MEMORY).keys("enter tab enter")
    assert (console.title, console.controller.draft.allow) == ("Welcome", "memory-minimum")
    assert "- allowed" in console.words
    assert console.keys("enter").title == "Target disk"
    console.keys("home down down enter tab enter")
    assert console.controller.draft.allow == f"memory-minimum {ALLOWED}"
    assert console.keys("home enter").controller.draft.allow == "memory-minimum"


@pytest.mark.parametrize("serial", ["MOUNTED", "SMALL", "READONLY"])
def test_what_no_answer_can_allow_is_not_asked(serial: str) -> None:
    number = [disk.serial for disk in start().controller.disks()].index(serial)
    console = start().keys(TO_DISK + "home " + "down " * number + "enter")
    assert "STOP" in console.words
    assert "allow" not in console.words
    assert console.keys("enter").controller.draft.disk == ""


def test_summary_and_saved_file_have_it() -> None:
    draft = replace(DRAFT, allow=ALLOWED)
    assert "disk" in problems_of(DRAFT, ODD)
    assert problems_of(draft, ODD) == {}
    saved = render_answer(draft, password_hash=HASH)
    assert "take it out for others" in saved
    answers, _ = parse_answers(saved, "saved")
    assert answers.checks is not None
    assert answers.checks.allow == (ALLOWED,)
    assert resolve(answers, ODD).allowed_checks == (ALLOWED,)
    intent = make_agreement(draft, ODD).intent
    assert [text for text in intent.also if text.startswith(f"allowed by the answer: {ALLOWED}: ")]
    assert "checks" not in render_answer(GOOD, password_hash=HASH)


def test_a_value_that_is_measured_anew_is_no_reason_to_stop() -> None:
    draft = replace(DRAFT, allow=f"memory-minimum {ALLOWED}")
    agreed = make_agreement(draft, LITTLE_MEMORY)
    later = resolve_draft(draft, LITTLE_MEMORY)
    told = tuple(text.replace("512.0 MiB", "511.9 MiB") for text in later.warnings)
    assert told != later.warnings
    check_agreed(agreed, later.model_copy(update={"warnings": told}), LITTLE_MEMORY)


ADVICE = (
    " ".join(["iDRAC: Storage > Controllers > switch to HBA mode, or one RAID-0 per drive;"] * 4) + " end."
)


def finding(number: int, device: str, severity: checks.Severity = "warning") -> checks.Finding:
    return checks.Finding(
        id=f"check-{number}",
        severity=severity,
        device=device,
        measured=f"measured {number}",
        text=f"is not well, number {number}",
        todo=ADVICE,
    )


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A machine with 30 findings of its own and 30 of each disk, with long advice."""

    def of_disk(_: Inventory, disk: Disk) -> list[checks.Finding]:
        return [finding(number, disk.stable_path) for number in range(30)]

    monkeypatch.setattr(checks, "run_checks", lambda *_: [finding(n, f"0000:{n:02}:00.0") for n in range(30)])
    monkeypatch.setattr(checks, "check_target", of_disk)
    return start(machine("nvme-server"))


def test_many_findings_of_the_machine_scroll(many: Console, update: bool) -> None:  # noqa: FBT001 - a fixture
    check_screens(many, "findings-welcome", update=update)
    many.keys("shift-tab")
    seen = " ".join(many.keys("down").words for _ in range(300))
    assert [number for number in range(30) if f"is not well, number {number} " not in seen] == []
    assert many.focus == "[ Next ]"
    assert many.keys("enter").title == "Target disk"


def test_many_findings_of_a_disk_leave_the_keys_usable(many: Console, update: bool) -> None:  # noqa: FBT001 - a fixture
    many.keys(TO_DISK + "enter")
    check_screens(many, "findings-disk", update=update)
    many.keys("tab tab tab")
    assert many.focus == "[ Details ]"
    many.keys("enter")
    check_screens(many, "findings-details", update=update)
    seen = " ".join([many.words, *(many.keys("page-down").words for _ in range(40))])
    assert [number for number in range(30) if f"is not well, number {number} " not in seen] == []
    seen = " ".join([many.words, *(many.keys("page-up").words for _ in range(40))])
    assert [number for number in range(30) if f"is not well, number {number} " not in seen] == []
    assert "end." in seen


def test_all_that_a_yes_allows_is_in_sight_and_a_held_key_is_no_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_disk(_: Inventory, disk: Disk) -> list[checks.Finding]:
        return [finding(number, disk.stable_path, "blocking") for number in range(5)]

    monkeypatch.setattr(checks, "check_target", of_disk)
    console = start(machine("nvme-server")).keys(TO_DISK + "enter")
    assert [number for number in range(5) if f"check-{number}" not in console.text] == []
    for key in ("enter", "space"):
        console.keys(f"{key} " * 30)
        assert (console.controller.draft.disk, console.controller.draft.allow) == ("", "")
