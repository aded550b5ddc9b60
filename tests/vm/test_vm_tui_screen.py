"""A person installs at the machine's own screen and keyboard under UEFI, and keeps the answers for the next machines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tests.vm.judgement import node_problems
from tests.vm.lab.answers import PASSWORD
from tests.vm.lab.bench import Lab
from tests.vm.lab.installs import TARGET_BYTES, Install, Installed, node_spec, watch_install
from tests.vm.lab.media import make_disk, make_overlay, make_volume, read_volume
from tests.vm.lab.person import ScreenPerson, TerminalPerson, enter_keys
from tests.vm.lab.spec import Bus, Disk, DiskFormat, Firmware, GuestProgram, MachineSpec
from tests.vm.waits import NODE_SECONDS
from tests.vm.wizard import choose_sizes, install, save_answer, welcome

SCREEN: Final = Install(name="screen", firmware=Firmware.UEFI, bus=Bus.SATA, target_serial="NODE-DISK-1")
CONFIG: Final = "/var/log/slipway/config.json"


def test_install_at_the_screen(lab: Lab) -> None:
    stick = make_volume(lab.folder / "stick.img", "fat", "SLIPWAY", {})
    spec = MachineSpec(
        name="screen",
        firmware=SCREEN.firmware,
        iso=lab.iso,
        disks=(_blank(lab.folder / "first.qcow2"), Disk(path=stick, bus=Bus.USB, serial="STICK")),
        guest=GuestProgram(module="watch_screen", after="basic.target"),
    )
    with lab.vm(spec) as vm:
        person, beside = ScreenPerson(vm), TerminalPerson(vm.console)
        welcome(person)
        vm.screenshot()
        choose_sizes(person)
        # Both consoles show one installation.
        beside.sees("Country, time zone, keyboard")
        person.sees("Time zone")
        enter_keys(person, "'austria' enter")
        person.sees("The layout is in use")
        # On a German keyboard, Z is where others have Y.
        enter_keys(person, "tab tab tab 'yes'")
        person.sees(r"Try the keyboard +zes")
        beside.sees(r"Keyboard layout +German")
        enter_keys(person, "shift-tab enter 'u.s. english' enter")
        person.sees(r"Keyboard layout +.*en-us")
        enter_keys(person, "tab backspace backspace backspace 'yes'")
        person.sees(r"Try the keyboard +yes")
        enter_keys(person, "tab enter")
        person.sees("Root's password")
        enter_keys(person, f"'{PASSWORD}' tab '{PASSWORD}' tab 'ops@lab.test' tab tab enter")
        person.sees(r"10\.0\.2\.15/24 by DHCP")
        vm.screenshot()
        enter_keys(person, f"tab '{SCREEN.fqdn}' tab tab '10.0.2.2' tab '10.0.2.3' tab tab enter")
        person.sees("It is empty")
        save_answer(person)
        vm.screenshot()
        enter_keys(person, "shift-tab space tab enter")
        person.sees("This disk is empty")
        enter_keys(person, "tab enter")
        install(person, r"Now: copy")
        vm.screenshot()
        install(person, r"is installed, in \d+:\d\d minutes")
        vm.screenshot()
        assert vm.wait_exit(120).reason == "guest-shutdown"
        first = Installed(lab.folder / "first.qcow2", vm.vars_path, {}, (), vm.console.text)
    saved = read_volume(stick, "answer.toml").decode()
    assert PASSWORD not in saved
    second = _install_again(lab, replace(spec, name="again", guest=None, relay=True), stick)
    configs = [_judge(lab, installed, name) for installed, name in ((first, "one"), (second, "two"))]
    assert configs[0] == configs[1]


def _blank(path: Path) -> Disk:
    make_disk(path, TARGET_BYTES, DiskFormat.QCOW2)
    return Disk(path=path, format=DiskFormat.QCOW2, bus=SCREEN.bus, serial=SCREEN.target_serial, boot_index=9)


def _install_again(lab: Lab, spec: MachineSpec, stick: Path) -> Installed:
    """Install the same machine with a new disk, by the file that the person has saved and nothing else."""
    disk = _blank(lab.folder / "second.qcow2")
    again = replace(spec, disks=(disk, Disk(path=stick, bus=Bus.USB, serial="STICK")))
    with lab.vm(again) as vm:
        seconds = watch_install(vm)
        for name, value in seconds.items():
            lab.timings.add(f"by the saved answer: {name}", value)
        return Installed(disk.path, vm.vars_path, seconds, (), vm.console.text)


def _judge(lab: Lab, installed: Installed, name: str) -> dict[str, Any]:
    """Start a node, judge it, log in by the password; give the configuration it was installed with."""
    judge = GuestProgram(module="judge_node", parameters={"files": [CONFIG]})
    overlay = make_overlay(lab.folder / f"{name}.qcow2", installed.disk)
    with lab.vm(replace(node_spec(SCREEN, installed, overlay, judge), name=f"node-{name}")) as vm:
        node: dict[str, Any] = vm.report.wait("node", NODE_SECONDS)
        problems = node_problems(node, SCREEN, installed)
        assert not problems, "\n".join(problems)
        config: dict[str, Any] = json.loads(node["files"][CONFIG])
        return config
