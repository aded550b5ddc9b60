import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pyudev

from hostlib.errors import CheckBlocksError, ExitStatus, Problem, StepError, UserError
from hostlib.inventory import Inventory, parse_inventory
from hostlib.release import Release
from installer import live
from installer.live import Live, Prepared, parse_parameters, wait_for_lease
from installer.live_consoles import Consoles
from installer.live_text import (
    render_failure,
    render_intent,
    render_machine,
    render_success,
    render_url,
    render_welcome,
)
from installer.volumes import Answer
from tests.unit.installer_fakes import DISK, FakeRunner, config

MACHINES = Path(__file__).parents[1] / "machines"
FOUR_DISKS = parse_inventory((MACHINES / "four-scsi-bios.json").read_text())
WHERE = "answer.toml on /dev/sdc (SLIPWAY)"
SHELL_ON_SCREEN = "systemctl --no-block start slipway-shell@tty1.service"
SHELL_ON_SERIAL = "systemctl --no-block start slipway-shell@ttyS0.service"


class FakeConsoles(Consoles):
    """A screen and a serial line that keep what is written, and a person who may press a key."""

    def __init__(self, *, key: bool = False) -> None:
        super().__init__([])
        self.text = ""
        self.key = key

    @property
    def serial(self) -> list[str]:
        return ["ttyS0"]

    def say(self, text: str) -> None:
        self.text += text

    def countdown(self, seconds: int, text: str) -> bool:
        self.say(text.format(seconds=seconds) + "\n")
        return self.key


class Machine:
    """The live system with everything that touches the machine replaced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.runner = FakeRunner()
        self.answer: Answer | None = Answer("text", WHERE)
        self.config = config()
        self.reboot_on_error = False
        self.prepare_error: Exception | None = None
        self.install_error: Exception | None = None
        self.installed = 0
        self.holds_node = False
        self.waited: list[tuple[str, int]] = []
        self.log = tmp_path / "install.log"
        monkeypatch.setattr(live, "wait_for_answer", self.find)
        monkeypatch.setattr(live, "read_answers", self.parse)
        monkeypatch.setattr(live, "prepare", self.prepare)
        monkeypatch.setattr(live, "install", self.install)
        monkeypatch.setattr(live, "read_inventory", lambda _: FOUR_DISKS)
        monkeypatch.setattr(live, "read_release", lambda: Release(version="1.2.3"))
        monkeypatch.setattr(live, "INSTALL_LOG", self.log)

    def find(self, _: object, wanted: str, seconds: int, __: object) -> Answer | None:
        self.waited.append((wanted, seconds))
        return self.answer

    def parse(self, *_: object) -> Any:
        return SimpleNamespace(global_=SimpleNamespace(reboot_on_error=self.reboot_on_error))

    def prepare(self, *_: object) -> Prepared:
        if self.prepare_error:
            raise self.prepare_error
        return Prepared(self.config, [], "{}", self.holds_node)

    def install(self, *_: object) -> None:
        self.installed += 1
        if self.install_error:
            raise self.install_error

    def run(self, cmdline: str = "boot=live", *, key: bool = False) -> tuple[int, str, list[str]]:
        consoles = FakeConsoles(key=key)
        status = Live(self.runner, consoles, parse_parameters(cmdline)).run()
        return status, consoles.text, self.runner.lines


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


def test_renames_on_other_disks_are_announced() -> None:
    assert "VG pve on another disk (UUID u1) is renamed to pve-OLD-1" in render_intent(
        config(rename_vgs={"u1": "pve-OLD-1"}), WHERE
    )


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
    assert lines == [SHELL_ON_SCREEN, SHELL_ON_SERIAL]


def test_without_an_answer_a_person_is_helped(machine: Machine) -> None:
    machine.answer = None
    status, text, lines = machine.run()
    assert status == ExitStatus.DONE
    assert "Slipway 1.2.3" in text
    assert "scsi-0QEMU_QEMU_HARDDISK_DISKA" in text
    assert lines == [SHELL_ON_SCREEN, SHELL_ON_SERIAL]
    assert machine.waited == [("", live.VOLUME_SECONDS)]


@pytest.mark.parametrize("cmdline", ["slipway.mode=auto", "slipway.answer=label:RACK7"])
def test_an_unattended_machine_without_an_answer_fails(machine: Machine, cmdline: str) -> None:
    machine.answer = None
    status, text, lines = machine.run(cmdline)
    assert status == ExitStatus.BAD_INPUT
    assert "no answer file was found" in text
    assert "Installation failed (exit status 2)" in text
    assert lines == [SHELL_ON_SERIAL]
    assert machine.waited[0][1] == live.UNATTENDED_VOLUME_SECONDS


@pytest.mark.parametrize(
    ("mode", "shown"), [("tui", "installs from an answer file"), ("inventory", '"schema": 1'), ("rescue", "")]
)
def test_modes_for_a_person_do_not_look_for_an_answer(machine: Machine, mode: str, shown: str) -> None:
    status, text, lines = machine.run(f"boot=live slipway.mode={mode}")
    assert status == ExitStatus.DONE
    assert shown in text
    assert not machine.waited
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
    machine.reboot_on_error = True
    setattr(machine, fault, StepError("no"))
    status, text, lines = machine.run()
    assert status == ExitStatus.STEP_FAILED
    assert "The machine restarts in 30 s, press any key to stop" in text
    assert lines == ["systemctl --no-block reboot"]


def test_systemctl_may_be_gone_with_the_medium(machine: Machine) -> None:
    machine.runner.failures = {"systemctl": "Input/output error"}
    machine.install_error = StepError("the medium is gone")
    assert machine.run()[0] == ExitStatus.STEP_FAILED


def networked(**update: Any) -> Inventory:
    nics = tuple(nic.model_copy(update=update) for nic in FOUR_DISKS.nics)
    return FOUR_DISKS.model_copy(update={"nics": nics, "leases": ()})


def test_the_network_is_waited_for_where_there_is_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "read_inventory", lambda _: FOUR_DISKS)
    before = networked(link=True)
    runner = FakeRunner()
    assert wait_for_lease(runner, before, ["--any"]) is FOUR_DISKS
    names = " ".join(f"--interface={nic.name}" for nic in before.nics if nic.physical)
    assert runner.lines == [
        f"{live.WAIT_ONLINE} --quiet --any --operational-state=routable --timeout=30 {names}"
    ]
    broken = FakeRunner(failures={live.WAIT_ONLINE: "no such file"})
    assert wait_for_lease(broken, before, ["--any"]) is FOUR_DISKS


def test_a_machine_without_network_cards_does_not_wait() -> None:
    runner = FakeRunner()
    bare = FOUR_DISKS.model_copy(update={"nics": ()})
    assert wait_for_lease(runner, bare, []) is bare
    assert runner.lines == []


class FakeMonitor:
    """Gives one event for each volume that appears, then time is up."""

    def __init__(self, clock: Callable[[float], None]) -> None:
        self.clock = clock
        self.filters: list[str] = []

    @classmethod
    def from_netlink(cls, made: "FakeMonitor") -> "FakeMonitor":
        return made

    def filter_by(self, subsystem: str) -> None:
        self.filters.append(subsystem)

    def start(self) -> None:
        assert self.filters == ["block"]

    def poll(self, timeout: float) -> None:
        self.clock(timeout)


@pytest.mark.parametrize(("appears_at", "found"), [(1, True), (3, True), (99, False)])
def test_a_volume_may_appear_late(monkeypatch: pytest.MonkeyPatch, appears_at: int, found: bool) -> None:  # noqa: FBT001 - a row of a table
    now = 0.0
    looks = 0

    def advance(_: float) -> None:
        nonlocal now
        now += 10.0

    def find(_: object, __: str, *, warn: Callable[[str], None]) -> Answer | None:
        nonlocal looks
        looks += 1
        warn("no answer.toml")
        return Answer("text", WHERE) if looks >= appears_at else None

    monkeypatch.setattr(pyudev, "Context", lambda: FakeMonitor(advance))
    monkeypatch.setattr(pyudev, "Monitor", FakeMonitor)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(live, "find_answer", find)
    warnings: list[str] = []
    answer = live.wait_for_answer(FakeRunner(), "", 30, warnings.append)
    assert (answer is not None) is found
    assert warnings == ["no answer.toml"]
    assert looks == (appears_at if found else 4)


def test_the_machine_in_short() -> None:
    text = render_machine(FOUR_DISKS)
    assert text.startswith(
        "Machine: QEMU Standard PC (i440FX + PIIX, 1996), BIOS, 3.8 GiB of memory\nDisks:\n"
    )
    assert (
        "  /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_DISKA\n      16.0 GiB, QEMU HARDDISK, serial DISKA, sda\n"
        in text
    )
    assert len([line for line in text.splitlines() if line.startswith("  /dev/")]) == len(FOUR_DISKS.disks)
    for nic in FOUR_DISKS.nics:
        assert nic.mac in text


def test_the_welcome_says_what_to_do() -> None:
    text = render_welcome(FOUR_DISKS, "1.2.3")
    assert "Slipway 1.2.3" in text
    assert "volume labelled SLIPWAY or PROXMOX-AIS" in text
    assert "slipway-install install --auto" in text


def test_the_address_of_the_node() -> None:
    network = config().network
    assert render_url(config()) == "https://192.0.2.10:8006/"
    six = network.model_copy(update={"address": "2001:db8::4/64"})
    assert render_url(config(network=six)) == "https://[2001:db8::4]:8006/"
    assert "Restart the machine" in render_success(config(), restarts=False)


def test_the_intent_names_node_and_disk() -> None:
    text = render_intent(config(), WHERE)
    assert "node1.example.test, 192.0.2.10/24 on ens3 (52:54:00:12:34:56)" in text


def test_a_failure_without_a_log() -> None:
    assert "Last lines" not in render_failure("disk: too small; choose another", 3, [])


def test_verbs_give_status_and_problems(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert live.run_auto() == ExitStatus.DONE
    assert "Restart the machine" in capsys.readouterr().out
    machine.prepare_error = BAD
    assert live.run_auto() == ExitStatus.BAD_INPUT
    assert capsys.readouterr().err == "global.fqdn: missing; add it\ndisk-setup: no such disk; see\n"
    machine.answer = None
    assert live.run_auto() == ExitStatus.BAD_INPUT
    assert "no answer file was found" in capsys.readouterr().err


def test_install_from_a_file(machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "answer.toml").write_text("a = 1")
    assert live.run_install_file(str(tmp_path / "answer.toml")) == ExitStatus.DONE
    machine.install_error = StepError("wipe: busy")
    assert live.run_install_file(str(tmp_path / "answer.toml")) == ExitStatus.STEP_FAILED
    assert "wipe: busy" in capsys.readouterr().err
    assert live.run_install_file(str(tmp_path / "missing.toml")) == ExitStatus.BAD_INPUT
    assert machine.installed == 2


def test_the_verb_for_a_person(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert live.run_tui() == ExitStatus.DONE
    assert "Slipway 1.2.3" in capsys.readouterr().out
    assert machine.installed == 0
