"""SSH to the live system: its parameter, its commands, what is shown, and that the password is nowhere else."""

import logging
import stat
from pathlib import Path

import pytest

from hostlib.errors import ExitStatus, Problem, StepError, UserError
from hostlib.inventory import Nic
from installer.live_ssh import LETTERS, LiveSsh, addresses_of, make_password, parse_ssh
from installer.volumes import Answer
from tests.unit.installer_fakes import FakeRunner
from tests.unit.live_fakes import ANSWER, REPORT, WHERE, Machine

KEYGEN = {"ssh-keygen -l": "256 SHA256:abc no comment (ED25519)\n"}
NICS = [
    Nic(name="eno1", mac="02:00:00:00:00:01", addresses=("2001:db8::1/64", "192.0.2.10/24")),
    Nic(name="eno2", mac="02:00:00:00:00:02", addresses=("198.51.100.7/24",)),
]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    machine = Machine(monkeypatch, tmp_path)
    machine.runner.outputs = dict(KEYGEN)
    # What begins beside the installer is done at once.
    monkeypatch.setattr(LiveSsh, "begin", LiveSsh.start)
    monkeypatch.setattr(LiveSsh, "wait", lambda *_: None)
    return machine


@pytest.mark.parametrize(("parameters", "on"), [({}, False), ({"ssh": "off"}, False), ({"ssh": "on"}, True)])
def test_parameter(parameters: dict[str, str], on: bool) -> None:  # noqa: FBT001 - a row of a table
    assert parse_ssh(parameters) is on


@pytest.mark.parametrize("value", ["", "yes", "ON"])
def test_another_value_is_told(machine: Machine, value: str) -> None:
    status, text, _ = machine.run(f"slipway.ssh={value}")
    assert status == ExitStatus.BAD_INPUT
    assert f"slipway.ssh: '{value}' is unknown; use on or off" in text
    assert machine.installed == 0


def test_passwords_are_new_and_easy_to_read_off() -> None:
    assert len(LETTERS) == len(set(LETTERS)) == 32
    assert not set("01OI") & set(LETTERS)
    made = {make_password() for _ in range(50)}
    assert len(made) == 50
    assert all([len(group) for group in password.split("-")] == [4, 4, 4] for password in made)


def test_start(tmp_path: Path) -> None:
    runner = FakeRunner(dict(KEYGEN))
    folder = tmp_path / "ssh"
    ssh = LiveSsh(runner, folder)
    (password,) = ssh.secrets
    assert ssh.rows([]) == (("SSH", "is being started ..."),)
    ssh.start()
    key = folder / "host_key"
    assert runner.lines == [
        f"ssh-keygen -q -t ed25519 -N  -C  -f {key}",
        f"ssh-keygen -l -E sha256 -f {key}.pub",
        "chpasswd -c YESCRYPT",
        "systemctl restart slipway-ssh.service",
    ]
    assert runner.inputs == [f"root:{password}\n"]
    config = (folder / "sshd_config").read_text().splitlines()
    assert f"HostKey {key}" in config
    assert {"AllowUsers root", "PermitRootLogin yes", "PasswordAuthentication yes"} <= set(config)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert ssh.render(NICS) == (
        f"\nSSH: ssh root@192.0.2.10, password {password}\n"
        "     or at 198.51.100.7, 2001:db8::1\n"
        "     host key SHA256:abc\n\n"
    )
    assert ssh.render([]) == (
        f"\nSSH: user root, password {password}; this machine has no address yet\n"
        "     host key SHA256:abc\n\n"
    )


def test_addresses_each_once() -> None:
    assert addresses_of([*NICS, *NICS]) == ["192.0.2.10", "198.51.100.7", "2001:db8::1"]


@pytest.mark.parametrize("command", ["ssh-keygen", "chpasswd", "systemctl restart"])
def test_what_fails_is_a_warning_without_the_password(
    machine: Machine, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    machine.runner.failures = {command: "no"}
    status, text, lines = machine.run("slipway.ssh=on")
    assert (status, machine.installed) == (ExitStatus.DONE, 1)
    assert "SSH: cannot be started: command failed" in text
    assert lines[-1] == "systemctl --no-block reboot"
    assert not any(line.strip().removeprefix("root:") in caplog.text for line in machine.runner.inputs)


def test_the_password_is_on_the_consoles_alone(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    machine.answer = Answer(ANSWER + REPORT, WHERE)
    status, text, _ = machine.run("slipway.ssh=on")
    assert (status, machine.installed) == (ExitStatus.DONE, 1)
    password = machine.runner.inputs[0].strip().removeprefix("root:")
    assert text.index("everything on this disk") < text.index(password) < text.index("Automatic installation")
    assert password in machine.context.secrets
    assert password not in machine.log.read_text() + caplog.text
    assert not any(password in body for body in machine.report.sent)
    assert not any(password in line for line in machine.runner.lines)


@pytest.mark.parametrize("mode", ["rescue", "inventory"])
def test_in_modes_without_screens_it_is_told_before_the_shells(machine: Machine, mode: str) -> None:
    status, text, lines = machine.run(f"slipway.mode={mode} slipway.ssh=on")
    assert status == ExitStatus.DONE
    assert "SSH: ssh root@" in text
    assert lines[-1] == "systemctl --no-block start slipway-shell@ttyS0.service"


def test_it_is_told_after_a_failure_and_on_the_screens(machine: Machine) -> None:
    machine.find_error = UserError(Problem("answer", "no answer file was found", "give one"))
    status, text, _ = machine.run("slipway.mode=auto slipway.ssh=on")
    assert status == ExitStatus.BAD_INPUT
    assert text.index("Installation failed") < text.index("SSH: ssh root@")
    machine.run("slipway.mode=tui slipway.ssh=on")
    assert machine.ssh
    assert machine.ssh.rows(["192.0.2.1"])[0][1].startswith("ssh root@192.0.2.1, password ")


def test_without_the_parameter_nothing_starts(machine: Machine) -> None:
    machine.install_error = StepError("copy: no")
    for cmdline in ("slipway.mode=rescue", "slipway.mode=tui", "slipway.mode=auto"):
        _, text, lines = machine.run(cmdline)
        assert "SSH" not in text
        assert not any("ssh" in line for line in lines)
