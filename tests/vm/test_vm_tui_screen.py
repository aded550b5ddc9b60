"""A person installs at the machine's own screen and keyboard under UEFI, and keeps the answers for the next machines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.vm.judgement import node_problems
from tests.vm.lab.answers import PASSWORD
from tests.vm.lab.bench import Lab
from tests.vm.lab.installs import TARGET_BYTES, Install, Installed, node_spec, watch_install
from tests.vm.lab.machine import Vm
from tests.vm.lab.media import make_disk, make_overlay, make_volume, read_volume
from tests.vm.lab.person import ScreenPerson, TerminalPerson, enter_keys
from tests.vm.lab.spec import Bus, Disk, DiskFormat, Firmware, GuestProgram, MachineSpec, Nic
from tests.vm.lab.switch import NAME, PORT, Switch
from tests.vm.waits import NODE_SECONDS
from tests.vm.wizard import choose_sizes, install, log_in, on, save_answer, welcome

SCREEN: Final = Install(name="screen", firmware=Firmware.UEFI, bus=Bus.SATA, target_serial="NODE-DISK-1")
CONFIG: Final = "/var/log/slipway/config.json"


def test_install_at_the_screen(lab: Lab) -> None:
    with Switch() as switch:
        installed = _install(lab, _machine(lab, switch))
    _judge(lab, installed)


@pytest.mark.matrix
def test_the_saved_answer_installs_the_same(lab: Lab) -> None:
    with Switch() as switch:
        spec = _machine(lab, switch)
        first = _install(lab, spec)
        second = _install_by_the_saved_answer(lab, replace(spec, name="again", guest=None, relay=True))
    assert _read_config(lab, first) == _judge(lab, second)


def _machine(lab: Lab, switch: Switch) -> MachineSpec:
    """Give a machine with an empty disk and a stick to save to."""
    stick = make_volume(lab.folder / "stick.img", "fat", "SLIPWAY", {})
    return MachineSpec(
        name="screen",
        firmware=SCREEN.firmware,
        iso=lab.iso,
        disks=(_blank(lab.folder / "first.qcow2"), Disk(path=stick, bus=Bus.USB, serial="STICK")),
        nics=(Nic(), Nic(wire=(switch.card, switch.peer))),
        guest=GuestProgram(module="watch_screen", after="basic.target"),
    )


def _install(lab: Lab, spec: MachineSpec) -> Installed:
    """Install it by hand; the answer that was saved holds no password."""
    disk, stick = spec.disks
    with lab.vm(spec) as vm:
        _install_by_hand(vm)
        installed = Installed(disk.path, vm.vars_path, {}, (), vm.console.text)
    assert PASSWORD not in read_volume(stick.path, "answer.toml").decode()
    return installed


def _install_by_hand(vm: Vm) -> None:
    person, beside = ScreenPerson(vm), TerminalPerson(vm.console)
    welcome(person)
    person.press("space")
    person.sees("data for guests")
    vm.screenshot()
    choose_sizes(person)
    # Both consoles show one installation.
    beside.sees("Country, time zone, keyboard")
    _change_keyboard(person)
    beside.sees(r"Keyboard layout +English \(US\)")
    enter_keys(person, "tab enter")
    person.sees("Root's password")
    enter_keys(person, f"'{PASSWORD}' tab '{PASSWORD}' tab 'ops@lab.test' tab tab enter")
    person.sees(r"10\.0\.2\.15/24 by DHCP")
    person.sees(f"{NAME} port {PORT}")
    enter_keys(person, f"tab '{SCREEN.fqdn}' tab tab '10.0.2.2' tab '10.0.2.3'")
    person.sees(r"DNS server +10\.0\.2\.3$")
    vm.screenshot()
    enter_keys(person, "tab tab enter")
    on(person, "Cluster")
    person.sees("It is empty")
    enter_keys(person, "shift-tab space tab")
    person.sees(r"\(\*\) switch off")
    save_answer(person)
    vm.screenshot()
    person.press("enter")
    person.sees("This disk is empty")
    enter_keys(person, "tab enter")
    install(person, "Now: copy")
    vm.screenshot()
    install(person, r"is installed, in \d+:\d\d minutes")
    person.sees("SHA-256")
    vm.screenshot()
    person.press("enter")
    assert vm.wait_exit(120).reason == "guest-shutdown"


def _change_keyboard(person: ScreenPerson) -> None:
    """Choose a layout, try it, choose another. On a German keyboard, Z is where others have Y."""
    person.sees("Time zone")
    enter_keys(person, "'austria' enter")
    person.sees("The layout is in use")
    enter_keys(person, "tab tab 'yes'")
    person.sees(r"Try the keyboard +zes")
    enter_keys(person, "shift-tab enter 'english' down enter")
    person.sees(r"Keyboard layout +English \(US\)")
    person.sees("The layout is in use")
    enter_keys(person, "backspace backspace backspace 'yes'")
    person.sees(r"Try the keyboard +yes")


def _blank(path: Path) -> Disk:
    make_disk(path, TARGET_BYTES, DiskFormat.QCOW2)
    return Disk(path=path, format=DiskFormat.QCOW2, bus=SCREEN.bus, serial=SCREEN.target_serial, boot_index=9)


def _install_by_the_saved_answer(lab: Lab, spec: MachineSpec) -> Installed:
    """Install the same machine with a new disk, by the stick that the person has saved to and nothing else."""
    disk = _blank(lab.folder / "second.qcow2")
    with lab.vm(replace(spec, disks=(disk, spec.disks[1]))) as vm:
        seconds = watch_install(vm)
        for name, value in seconds.items():
            lab.timings.add(f"by the saved answer: {name}", value)
        return Installed(disk.path, vm.vars_path, seconds, (), vm.console.text)


def _read_config(lab: Lab, installed: Installed) -> dict[str, Any]:
    """Start the node that was installed by hand, as far as its files; give the configuration."""
    guest = GuestProgram(module="read_files", parameters={"files": [CONFIG]}, after="basic.target")
    with lab.vm(_node(lab, installed, "by-hand", guest)) as vm:
        return _parse_config(vm.report.wait("files", NODE_SECONDS))


def _judge(lab: Lab, installed: Installed) -> dict[str, Any]:
    """Start a node, judge it, log in by the password; give the configuration that it was installed with."""
    guest = GuestProgram(module="judge_node", parameters={"files": [CONFIG]})
    with lab.vm(_node(lab, installed, "judged", guest)) as vm:
        node: dict[str, Any] = vm.report.wait("node", NODE_SECONDS)
        problems = node_problems(node, SCREEN, installed)
        assert not problems, "\n".join(problems)
        log_in(vm.console)
        return _parse_config(node)


def _node(lab: Lab, installed: Installed, name: str, guest: GuestProgram) -> MachineSpec:
    overlay = make_overlay(lab.folder / f"{name}.qcow2", installed.disk)
    return replace(node_spec(SCREEN, installed, overlay, guest), name=f"node-{name}")


def _parse_config(message: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(message["files"][CONFIG])
    # What a person has typed is a password, what the saved answer has is its hash; neither is in the file.
    assert {config.pop("root_password"), config.pop("root_password_hash")} == {None, "**********"}
    return config
