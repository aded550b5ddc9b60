from pathlib import Path

import pytest

from hostlib.checks import Finding
from hostlib.errors import CheckBlocksError, ExitStatus, Problem, StepError, UserError
from installer import execute, live, live_session
from installer.config import Endpoint
from installer.live import parse_parameters
from installer.volumes import Answer
from tests.unit.installer_fakes import DISK, PASSWORD, config
from tests.unit.live_fakes import ANSWER, FOUR_DISKS, REPORT, WHERE, Machine

SHELL_ON_SCREEN = "systemctl --no-block start slipway-shell@tty1.service"
SHELL_ON_SERIAL = "systemctl --no-block start slipway-shell@ttyS0.service"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("cmdline", "status", "installed"),
    [("boot=live", ExitStatus.CHECK_BLOCKS, 0), ("boot=live slipway.mode=auto", ExitStatus.DONE, 1)],
)
def test_a_finished_node_is_erased_only_where_that_is_asked_for(
    machine: Machine, cmdline: str, status: ExitStatus, installed: int
) -> None:
    """A medium that is left in the machine must not start the installation over and over."""
    machine.holds_node = True
    found, text, _ = machine.run(cmdline)
    assert (found, machine.installed) == (status, installed)
    assert ("this disk holds a node that Slipway has installed" in text) is (not installed)
    assert ("Automatic installation starts" in text) is bool(installed)


def test_parameters() -> None:
    cmdline = "boot=live slipway.mode=auto slipway.answer=label:A=B quiet slipway.x xslipway.mode=tui"
    assert parse_parameters(cmdline) == {"mode": "auto", "answer": "label:A=B", "x": ""}


def test_an_answer_is_installed_after_the_countdown(machine: Machine) -> None:
    status, text, lines = machine.run()
    assert status == ExitStatus.DONE
    assert machine.installed == 1
    shown = [
        f"{WHERE} was found",
        f"disk   {DISK} (32.0 GiB, model QEMU HARDDISK, serial DISKA",
        "everything on this disk will be erased",
        "Automatic installation starts in 10 s, press any key to stop",
        "The machine restarts now",
        "https://192.0.2.10:8006/",
    ]
    places = [text.index(part) for part in shown]
    assert places == sorted(places)
    assert lines == ["systemctl --no-block reboot"]


def test_power_off_is_obeyed(machine: Machine) -> None:
    machine.config = config(reboot_mode="power-off")
    _, text, lines = machine.run()
    assert "The machine is switched off now" in text
    assert lines == ["systemctl --no-block poweroff"]


def test_a_key_stops_it_and_gives_shells(machine: Machine) -> None:
    status, text, lines = machine.run(key=True)
    assert (status, machine.installed) == (ExitStatus.DONE, 0)
    assert "Nothing has been changed" in text
    assert machine.screens == ["tty1", "ttyS0"]
    assert lines == [SHELL_ON_SCREEN, SHELL_ON_SERIAL]


def test_without_an_answer_a_person_is_helped(machine: Machine) -> None:
    machine.answer = None
    status, text, lines = machine.run()
    assert status == ExitStatus.DONE
    assert text == ""
    assert machine.screens == ["tty1", "ttyS0"]
    assert lines == [SHELL_ON_SCREEN, SHELL_ON_SERIAL]
    assert not machine.searched[0].required


def test_a_bug_in_the_screens_leaves_shells(machine: Machine) -> None:
    machine.answer, machine.screens_error = None, ValueError("broken")
    status, _, lines = machine.run()
    assert status == ExitStatus.BUG
    assert lines[:2] == [SHELL_ON_SCREEN, SHELL_ON_SERIAL]


def test_an_unattended_machine_without_an_answer_fails(machine: Machine) -> None:
    machine.find_error = UserError(Problem("answer", "no answer file was found", "give one"))
    status, text, lines = machine.run("slipway.mode=auto")
    assert status == ExitStatus.BAD_INPUT
    assert "no answer file was found" in text
    assert "Installation failed (exit status 2)" in text
    assert lines == [SHELL_ON_SERIAL]
    assert machine.searched[0].required


def test_a_wrong_command_line_is_told(machine: Machine) -> None:
    status, text, _ = machine.run("slipway.answer=lable:X")
    assert status == ExitStatus.BAD_INPUT
    assert "slipway.answer: " in text
    assert not machine.searched


@pytest.mark.parametrize(
    ("mode", "shown", "screens"),
    [("tui", "", ["tty1", "ttyS0"]), ("inventory", '"schema": 1', []), ("rescue", "", [])],
)
def test_modes_for_a_person_do_not_look_for_an_answer(
    machine: Machine, mode: str, shown: str, screens: list[str]
) -> None:
    status, text, lines = machine.run(f"boot=live slipway.mode={mode}")
    assert status == ExitStatus.DONE
    assert shown in text
    assert machine.screens == screens
    assert not machine.searched
    assert lines == [SHELL_ON_SCREEN, SHELL_ON_SERIAL]


def test_an_unknown_mode_is_told(machine: Machine) -> None:
    status, text, _ = machine.run("slipway.mode=atuo")
    assert status == ExitStatus.BAD_INPUT
    assert "slipway.mode: 'atuo' is unknown; use one of auto, tui, inventory, rescue" in text


BAD = UserError([Problem("global.fqdn", "missing", "add it"), Problem("disk-setup", "no such disk", "see")])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BAD, 2),
        (CheckBlocksError(Problem("memory", "512.0 MiB", "add some")), 3),
        (ValueError("broken"), 1),
    ],
)
def test_a_refusal_shows_all_problems_and_installs_nothing(
    machine: Machine, error: Exception, status: int
) -> None:
    machine.prepare_error = error
    found, text, lines = machine.run()
    assert (found, machine.installed) == (status, 0)
    for line in str(error).splitlines():
        assert line in text
    assert f"Installation failed (exit status {status})" in text
    assert "press any key" not in text
    assert ("Nothing has been written to a disk" in text) is (status in {2, 3})
    assert str(error) in machine.log.read_text()
    assert lines == [SHELL_ON_SERIAL]


def test_a_failed_step_shows_the_log_and_does_not_restart(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.log.write_text("".join(f"line {number}\n" for number in range(100)))
    machine.install_error = StepError("copy: the medium does not answer")
    status, text, lines = machine.run()
    assert status == ExitStatus.STEP_FAILED
    assert "copy: the medium does not answer" in text
    assert "line 99" in text
    assert "line 50" not in text
    assert "Alt+F2" in text
    assert lines == [SHELL_ON_SERIAL]
    assert "Installation failed (exit status 4)" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["prepare_error", "install_error"])
def test_restart_after_an_error_where_the_answer_says_so(machine: Machine, fault: str) -> None:
    machine.answer = Answer(ANSWER.replace("[network]", "reboot-on-error = true\n[network]"), WHERE)
    setattr(machine, fault, StepError("no"))
    status, text, lines = machine.run()
    assert status == ExitStatus.STEP_FAILED
    assert "The machine restarts in 30 s, press any key to stop" in text
    assert lines == ["systemctl --no-block reboot"]


def test_systemctl_may_be_gone_with_the_medium(machine: Machine) -> None:
    machine.runner.failures = {"systemctl": "Input/output error"}
    machine.install_error = StepError("the medium is gone")
    assert machine.run()[0] == ExitStatus.STEP_FAILED


WRONG = ANSWER.replace('"ext4"', '"ext5"').replace("[network]", "reboot-on-error = true\n[network]")


@pytest.mark.parametrize(
    ("text", "status", "restarts"),
    [
        (ANSWER + REPORT, 3, False),
        (WRONG + REPORT, 2, True),
        (WRONG, 2, True),
    ],
)
def test_a_refusal_is_reported_although_the_answer_is_wrong(
    machine: Machine,
    text: str,
    status: int,
    restarts: bool,  # noqa: FBT001 - a row of a table
) -> None:
    machine.answer = Answer(text, WHERE)
    machine.holds_node = True
    found, shown, lines = machine.run()
    assert (found, machine.installed) == (status, 0)
    assert lines == (["systemctl --no-block reboot"] if restarts else [SHELL_ON_SERIAL])
    assert ("The machine restarts in 30 s" in shown) is restarts
    if REPORT in text:
        (event,) = machine.report.events
        assert (event["event"], event["status"]) == ("failed", status)
        assert event["reason"] in shown
        assert event["machine"]["macs"] == [nic.mac for nic in FOUR_DISKS.nics if nic.physical]
        assert event["fqdn"] == ("node1.example.test" if status == 3 else "")
        assert event["reason"].splitlines()[0] in event["attachments"][0]["text"]


def test_who_is_told_of_a_refusal_sees_what_the_checks_found(machine: Machine) -> None:
    found = Finding(
        id="memory-minimum", severity="blocking", device="memory", measured="1 GiB", text="too little"
    )
    machine.answer, machine.findings = Answer(ANSWER + REPORT, WHERE), [found]
    machine.prepare_error = CheckBlocksError(found.problem)
    assert machine.run()[0] == ExitStatus.CHECK_BLOCKS
    (event,) = machine.report.events
    assert [(check["id"], check["allowed"]) for check in event["checks"]] == [("memory-minimum", False)]


def test_a_machine_that_starts_from_the_network_first_does_not_restart_for_good(machine: Machine) -> None:
    machine.answer = Answer(ANSWER.replace("[network]", "reboot-on-error = true\n[network]"), WHERE)
    machine.holds_node = True
    status, shown, lines = machine.run()
    assert (status, machine.installed, lines) == (3, 0, [SHELL_ON_SERIAL])
    assert "let the firmware start from the disk" in shown


def test_events_and_webhook_of_an_installation(machine: Machine) -> None:
    machine.answer = Answer(ANSWER + REPORT, WHERE)
    machine.config = config(webhook=Endpoint(url="https://192.0.2.1/"))
    assert machine.run()[0] == ExitStatus.DONE
    assert [event["event"] for event in machine.report.events] == ["started", "succeeded"]
    assert {event["install-id"] for event in machine.report.events} == {machine.context.install_id}
    assert machine.posted == [machine.config.webhook]
    assert machine.context.secrets == {PASSWORD, "r4ck-t0ken"}


def test_a_failure_is_told_once_and_has_no_webhook(machine: Machine) -> None:
    machine.answer = Answer(ANSWER + REPORT, WHERE)
    machine.config = config(webhook=Endpoint(url="https://192.0.2.1/"))
    machine.install_error = StepError(f"accounts: {PASSWORD} r4ck-t0ken")
    assert machine.run("slipway.answer=https://192.0.2.1/ slipway.answer-token=c0mmand")[0] == 4
    assert [event["event"] for event in machine.report.events] == ["started", "failed"]
    assert machine.report.events[1]["reason"] == "accounts: <redacted> <redacted>"
    assert not machine.posted
    assert "c0mmand" in machine.context.secrets
    assert not any(secret in body for body in machine.report.sent for secret in machine.context.secrets)


def test_on_existing_wipe_erases_a_finished_node(machine: Machine) -> None:
    machine.holds_node = True
    machine.config = config(on_existing="wipe")
    assert machine.run()[0] == ExitStatus.DONE
    assert machine.installed == 1


def test_verbs_give_status_and_problems(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert live.run_auto() == ExitStatus.DONE
    assert "Restart the machine" in capsys.readouterr().out
    machine.prepare_error = BAD
    assert live.run_auto() == ExitStatus.BAD_INPUT
    assert capsys.readouterr().err == "global.fqdn: missing; add it\ndisk-setup: no such disk; see\n"
    machine.find_error = UserError(Problem("answer", "no answer file was found", "give one"))
    assert live.run_auto() == ExitStatus.BAD_INPUT
    assert "no answer file was found" in capsys.readouterr().err
    assert all(search.required for search in machine.searched)


def test_install_from_a_file(machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "answer.toml").write_text(ANSWER)
    assert live.run_install_file(str(tmp_path / "answer.toml")) == ExitStatus.DONE
    machine.install_error = StepError("wipe: busy")
    assert live.run_install_file(str(tmp_path / "answer.toml")) == ExitStatus.STEP_FAILED
    assert "wipe: busy" in capsys.readouterr().err
    assert live.run_install_file(str(tmp_path / "missing.toml")) == ExitStatus.BAD_INPUT
    assert machine.installed == 2


def test_who_may_not_write_the_log_is_told(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    machine.log = tmp_path / "file/install.log"
    with pytest.raises(
        UserError, match=r"install.log: the log cannot be written: File exists; run it as root"
    ):
        machine.run()


def test_a_shell_that_a_console_has_from_the_screens_stays(machine: Machine) -> None:
    machine.lent = {"ttyS0"}
    assert machine.run("slipway.mode=tui")[2] == [SHELL_ON_SCREEN]


BUSY = (
    "install: this machine looks for its answer file, or installs by one that it has found; wait for its end"
)


@pytest.mark.parametrize(("module", "name"), [(live, "find_answer"), (live_session, "prepare")])
def test_no_second_installer_beside_an_unattended_one(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    module: object,
    name: str,
) -> None:
    """`install` and `tui`, typed while the service looks for its answer, reads the machine, counts down or installs."""
    told: list[object] = []
    then = getattr(module, name)

    def try_verbs(*arguments: object, **named: object) -> object:
        told.append(live.run_install_file(str(tmp_path / "any.toml")))
        with pytest.raises(CheckBlocksError, match=BUSY):
            live.run_tui()
        return then(*arguments, **named)

    monkeypatch.setattr(live, "join", lambda **_: None)
    monkeypatch.setattr(module, name, try_verbs)
    assert machine.run("slipway.mode=auto")[0] == ExitStatus.DONE
    assert told == [ExitStatus.CHECK_BLOCKS]
    assert BUSY in capsys.readouterr().err
    assert machine.installed == 1


def test_a_lock_that_somebody_holds_stops_nothing_unattended(machine: Machine) -> None:
    with execute.unattended():
        assert machine.run("slipway.mode=auto")[0] == ExitStatus.DONE


def test_a_person_after_a_key_is_not_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "run_screens", lambda *_: execute.check_alone())
    assert machine.run(key=True)[0] == ExitStatus.DONE


def test_the_verb_for_a_person_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "join", lambda *, ascii_only: ExitStatus.STEP_FAILED if ascii_only else None)
    assert live.run_tui(ascii_only=True) == ExitStatus.STEP_FAILED
