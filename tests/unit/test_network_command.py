"""`slipway network`: a configuration on trial ends with `confirm` or with the return, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent import network_command
from agent.network_command import (
    BUSY,
    GOOD,
    INTERFACES,
    PARTS,
    RETURNED,
    TRIAL,
    Network,
    parse_check,
    run_network_apply,
    run_network_confirm,
    run_network_return,
    run_network_show,
)
from hostlib.errors import CommandError, StepError, UserError
from hostlib.run import Completed
from hostlib.seed import write_seed
from tests.unit.cluster_fakes import SEED
from tests.unit.installer_fakes import FakeRunner

OLD = "auto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.12/24\n"
NEW = OLD + "\tmtu 9000\n"


class Machine(FakeRunner):
    """systemd with its timer, and what ifreload has put into effect."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.timer = False
        self.effect = OLD
        self.waited: list[float] = []
        self.network = Network(self, root, self.waited.append)
        self.put(INTERFACES, NEW)
        self.put(GOOD, OLD)
        write_seed(SEED, root)

    def put(self, path: Path, text: str) -> None:
        self.network.write(path, text)

    def get(self, path: Path) -> str | None:
        return self.network.read(path)

    def run(self, argv: Any, **options: Any) -> Completed:
        done = super().run(argv, **options)
        line = " ".join(argv)
        if "is-active" in line:
            return Completed(0 if self.timer else 3, "", "")
        if "--on-active" in line:
            self.timer = True
        if line.startswith("systemctl stop") and "timer" in line:
            self.timer = False
        if line.endswith("ifreload --all"):
            self.effect = self.get(INTERFACES) or ""
        return done


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_trial_is_confirmed(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    run_network_apply(machine.network, 60)
    assert "slipway network confirm" in capsys.readouterr().out
    changes = [line for line in machine.lines if "is-active" not in line]
    assert changes == [
        "ifreload --all --syntax-check",
        "systemd-run --quiet --collect --unit=slipway-network-return --on-active=60s "
        "--timer-property=AccuracySec=1s /usr/bin/slipway network return",
        "systemd-run --quiet --collect --unit=slipway-network-apply --wait ifreload --all",
    ]
    assert (machine.effect, machine.get(INTERFACES), machine.get(TRIAL)) == (NEW, OLD, NEW)
    run_network_confirm(machine.network)
    assert (machine.get(INTERFACES), machine.get(GOOD), machine.get(TRIAL)) == (NEW, NEW, None)
    assert not machine.timer
    run_network_return(machine.network)
    assert (machine.effect, machine.get(INTERFACES)) == (NEW, NEW)


def test_a_trial_that_nobody_confirms_is_taken_back(machine: Machine) -> None:
    run_network_apply(machine.network, 60)
    run_network_return(machine.network)
    assert (machine.effect, machine.get(INTERFACES), machine.get(RETURNED)) == (OLD, OLD, NEW)
    with pytest.raises(UserError, match="nothing is on trial: never applied, or taken back already"):
        run_network_confirm(machine.network)
    assert machine.effect == OLD


def test_the_return_came_first(machine: Machine) -> None:
    run_network_apply(machine.network, 60)
    machine.network.path(TRIAL).unlink()
    with pytest.raises(UserError, match="taken back already"):
        run_network_confirm(machine.network)
    assert machine.get(INTERFACES) == OLD


def test_the_session_ends_while_it_is_applied(machine: Machine) -> None:
    class Hangup(BaseException):
        pass

    def hang_up(line: str) -> None:
        if "--wait" in line:
            machine.effect = NEW
            raise Hangup

    machine.before = hang_up
    with pytest.raises(Hangup):
        run_network_apply(machine.network, 60)
    assert machine.timer
    machine.before = lambda _: None
    run_network_return(machine.network)
    assert (machine.effect, machine.get(INTERFACES), machine.get(RETURNED)) == (OLD, OLD, NEW)


def test_what_cannot_be_applied_is_taken_back_at_once(machine: Machine) -> None:
    machine.failures = {"systemd-run --quiet --collect --unit=slipway-network-apply": "exit 1"}
    with pytest.raises(StepError, match="the configuration before is back, yours is"):
        run_network_apply(machine.network, 60)
    assert (machine.effect, machine.get(INTERFACES), machine.get(RETURNED)) == (OLD, OLD, NEW)
    assert not machine.timer


def test_what_is_wrong_changes_nothing(machine: Machine) -> None:
    machine.failures = {"ifreload --all --syntax-check": "warning: vmbr0: address: invalid value"}
    with pytest.raises(UserError, match="address: invalid value; correct it; nothing was changed"):
        run_network_apply(machine.network, 60)
    assert (machine.timer, machine.effect, machine.get(INTERFACES), machine.get(TRIAL)) == (
        False,
        OLD,
        NEW,
        None,
    )


def test_a_disk_that_is_full(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(network_command, "write_atomic", full)
    with pytest.raises(StepError, match="cannot be written"):
        run_network_apply(machine.network, 60)
    assert (machine.timer, machine.effect) == (False, OLD)


@pytest.mark.parametrize("seconds", [9, 3601])
def test_too_short_or_too_long(machine: Machine, seconds: int) -> None:
    with pytest.raises(UserError, match=f"--confirm-within: {seconds} s is out of range"):
        run_network_apply(machine.network, seconds)


def test_what_is_refused(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.timer = True
    with pytest.raises(UserError, match="one is on trial already"):
        run_network_apply(machine.network, 60)
    machine.timer = False
    machine.put(INTERFACES, OLD)
    run_network_apply(machine.network, 60)
    assert "is in effect" in capsys.readouterr().out
    machine.network.path(GOOD).unlink()
    with pytest.raises(UserError, match="there is none, so nothing to return to"):
        run_network_apply(machine.network, 60)
    machine.network.path(INTERFACES).unlink()
    with pytest.raises(UserError, match=f"there is none; take the last one: cp {GOOD}"):
        run_network_apply(machine.network, 60)
    assert machine.effect == OLD


def test_other_files_are_not_taken_back(machine: Machine) -> None:
    folder = machine.network.path(PARTS)
    folder.mkdir(parents=True)
    (folder / "vlan").write_text("")
    for path, seconds in ((folder / "vlan", 1000), (folder, 1000), (machine.network.path(GOOD), 2000)):
        os.utime(path, (seconds, seconds))
    machine.put(INTERFACES, OLD)
    run_network_apply(machine.network, 60)
    os.utime(folder / "vlan", (3000, 3000))
    with pytest.raises(UserError, match="vlan changed since the network was started"):
        run_network_apply(machine.network, 60)


def test_a_node_that_loses_its_address_is_told(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.put(INTERFACES, NEW.replace("192.0.2.12", "192.0.2.99"))
    run_network_apply(machine.network, 60)
    assert "this node's address 192.0.2.12 is not in it" in capsys.readouterr().err


def test_an_address_that_only_begins_alike_is_another_one(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.put(INTERFACES, NEW.replace("192.0.2.12", "192.0.2.120"))
    run_network_apply(machine.network, 60)
    assert "this node's address 192.0.2.12 is not in it" in capsys.readouterr().err


def test_confirmed_while_it_is_still_being_applied(machine: Machine) -> None:
    def confirm(line: str) -> None:
        if "--wait" in line:
            machine.before = lambda _: None
            run_network_confirm(machine.network)

    machine.before = confirm
    run_network_apply(machine.network, 60)
    assert (machine.get(INTERFACES), machine.get(GOOD), machine.timer) == (NEW, NEW, False)


def test_the_return_ends_what_is_still_being_applied(machine: Machine) -> None:
    run_network_apply(machine.network, 60)
    machine.lines.clear()
    run_network_return(machine.network)
    stop = machine.lines.index("systemctl stop slipway-network-apply.service")
    assert stop < machine.lines.index("ifreload --all")


def test_the_return_waits_for_another_ifreload(machine: Machine) -> None:
    run_network_apply(machine.network, 60)
    busy = {"ifreload --all": f"error: Another instance of this program is {BUSY}."}
    machine.failures = busy

    def free(seconds: float) -> None:
        machine.waited.append(seconds)
        if len(machine.waited) == 3:
            machine.failures = {}

    run_network_return(Network(machine, machine.root, free))
    assert (len(machine.waited), machine.effect) == (3, OLD)
    machine.put(TRIAL, NEW)
    machine.failures = {"ifreload --all": "error: vmbr0: no such port"}
    with pytest.raises(CommandError):
        run_network_return(machine.network)


def row(name: str, status: str, **settings: tuple[Any, Any]) -> dict[str, Any]:
    config = {key: value for key, (value, _) in settings.items()}
    return {
        "name": name,
        "status": status,
        "config": config,
        "config_status": {key: judged for key, (_, judged) in settings.items()},
    }


def test_what_is_not_in_effect(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        row("lo", "pass"),
        row("vmbr1", "fail"),
        row(
            "vmbr0",
            "fail",
            mtu=("9000", "fail"),
            address=(["192.0.2.12/24", "192.0.2.13/24"], ["pass", "fail"]),
        ),
    ]
    machine.outputs = {"ifquery": json.dumps(rows)}
    run_network_show(machine.network)
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == (
        NEW,
        [
            "vmbr1: is not there, or not up",
            "vmbr0: mtu 9000 is not in effect",
            "vmbr0: address 192.0.2.13/24 is not in effect",
            "/etc/network/interfaces: was changed and not applied; slipway network apply",
        ],
    )
    machine.put(INTERFACES, OLD)
    machine.outputs = {"ifquery": "[]"}
    run_network_show(machine.network)
    assert capsys.readouterr().err == "All of it is in effect.\n"
    machine.timer = True
    run_network_show(machine.network)
    assert "is in effect on trial" in capsys.readouterr().err
    machine.outputs = {"ifquery": "no JSON"}
    with pytest.raises(StepError, match="not understood"):
        run_network_show(machine.network)
    with pytest.raises(ValueError, match="Expecting"):
        parse_check("{")
