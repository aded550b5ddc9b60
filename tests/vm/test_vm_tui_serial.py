"""A person installs over the serial console: with wrong input, on a disk that fails half-way, then on a good one."""

from __future__ import annotations

from typing import Any, Final

from tests.vm.judgement import node_problems
from tests.vm.lab.answers import PASSWORD
from tests.vm.lab.bench import Lab
from tests.vm.lab.installs import OLD_VG, TARGET_BYTES, Install, Installed, node_spec, phase_seconds
from tests.vm.lab.media import GIB, make_disk, make_overlay, make_volume, read_volume
from tests.vm.lab.person import Person, TerminalPerson, enter_keys
from tests.vm.lab.spec import Bus, Disk, DiskFormat, GuestProgram, MachineSpec
from tests.vm.waits import EVENT_SECONDS, NODE_SECONDS
from tests.vm.wizard import (
    WRONG_NETWORK,
    WRONG_PASSWORDS,
    WRONG_SIZES,
    back,
    choose_sizes,
    enter_wrong,
    fill_network,
    fill_password,
    install,
    on,
    welcome,
)

GOOD: Final = Install(name="serial", target_serial="GOODDISK", fqdn="node1.lab.test")
BAD_SERIAL: Final = "FAILING"
SECTORS_A_GIB: Final = GIB // 512
BAD_SECTORS: Final = tuple(range(3 * SECTORS_A_GIB, 7 * SECTORS_A_GIB, SECTORS_A_GIB // 8))
"""Behind the swap, where the root file system has its files."""
HALF_WAY: Final = "copy"


def test_install_over_the_serial_console(lab: Lab) -> None:
    good = make_disk(lab.folder / "good.qcow2", TARGET_BYTES, DiskFormat.QCOW2)
    bad = make_disk(lab.folder / "bad.qcow2", TARGET_BYTES, DiskFormat.QCOW2)
    stick = make_volume(lab.folder / "stick.img", "fat", "KEEP", {"mine.txt": b"stays"})
    spec = MachineSpec(
        name="serial",
        iso=lab.iso,
        disks=(
            Disk(path=bad, format=DiskFormat.QCOW2, serial=BAD_SERIAL, bad_sectors=BAD_SECTORS),
            Disk(path=good, format=DiskFormat.QCOW2, serial=GOOD.target_serial, boot_index=9),
            Disk(path=stick, bus=Bus.USB, serial="STICK"),
        ),
        guest=GuestProgram(
            module="old_vgs",
            parameters={"serials": [BAD_SERIAL], "name": OLD_VG},
            after="basic.target",
            before="slipway-installer.service",
        ),
        relay=True,
    )
    with lab.vm(spec) as vm:
        person = TerminalPerson(vm.console)
        welcome(person)
        lab.timings.add("tui: power-on to the first screen left", vm.seconds)
        began = vm.seconds
        _enter_all(person)
        lab.timings.add("tui: everything typed, wrong and right", vm.seconds - began)
        _fail(person)
        vm.screenshot()
        assert vm.report.wait("event", EVENT_SECONDS, event="failed")["phase"] == HALF_WAY
        _save_log(person)
        _try_again_on_the_good_disk(person)
        vm.report.wait("event", EVENT_SECONDS, event="succeeded")
        lab.timings.add("tui: power-on to installed, in all", vm.seconds)
        assert vm.wait_exit(120).reason == "guest-shutdown"
        seconds = phase_seconds(vm)
        said = vm.console.text
    assert PASSWORD not in said
    log = read_volume(stick, "slipway-install.log").decode()
    assert "Input/output error" in log
    assert PASSWORD not in log
    assert read_volume(stick, "mine.txt") == b"stays"
    _judge(lab, Installed(good, None, seconds, (), said))


def _enter_all(person: Person) -> None:
    """Go from the first screen to the summary; each screen is left by wrong input first."""
    person.sees(rf"virtio-{BAD_SERIAL} .* VG {OLD_VG}|virtio-{BAD_SERIAL} .* Proxmox")
    enter_keys(person, "tab enter")
    person.sees("no disk is chosen; choose one with Enter")
    enter_keys(person, "enter tab tab enter")
    person.sees("File system and sizes")
    person.press("tab")
    enter_wrong(person, WRONG_SIZES)
    enter_keys(person, "ctrl-c tab")
    choose_sizes(person)
    person.sees("Time zone")
    enter_keys(person, "tab tab tab tab enter")
    person.sees("no country is chosen; choose one")
    enter_keys(person, "'austria' enter")
    person.sees(r"Country +Austria[^|]*$")
    on(person, "Country, time zone, keyboard")
    person.sees("Root's password")
    enter_wrong(person, WRONG_PASSWORDS)
    fill_password(person)
    person.sees("Management network")
    person.sees(r"10\.0\.2\.15/24 by DHCP")
    person.press("enter")
    enter_wrong(person, WRONG_NETWORK)
    fill_network(person)


def _fail(person: Person) -> None:
    """Erase the bad disk, which is not empty: first with the wrong confirmation."""
    person.sees(rf"Everything on it will be lost: .*{OLD_VG}")
    enter_keys(person, "'0000' tab space tab enter")
    person.sees("'0000' is not the last 4 characters")
    enter_keys(person, f"backspace backspace backspace backspace '{BAD_SERIAL[-4:]}' tab tab enter")
    install(person, "The installation has failed")
    person.sees("The node is not installed")
    person.sees("written to")


def _save_log(person: Person) -> None:
    enter_keys(person, "tab enter")
    person.sees("Save log")
    person.press("enter")
    person.sees(r"slipway-install\.log is on the stick")
    enter_keys(person, "ctrl-c shift-tab enter")


def _try_again_on_the_good_disk(person: Person) -> None:
    """Go back to the first screens; all that was entered is still there."""
    person.sees("Summary")
    enter_keys(person, "tab tab tab enter")
    for title in ("Management network", "Password, e-mail, ssh key", "Country, time zone, keyboard"):
        back(person, title)
    person.sees("Target disk")
    enter_keys(person, "down")
    choose_sizes(person)
    for title in ("Country, time zone, keyboard", "Password, e-mail, ssh key", "Management network"):
        on(person, title)
    person.sees(rf"virtio-{GOOD.target_serial}$")
    person.sees("It is empty")
    person.press("enter")
    person.sees("This disk is empty")
    enter_keys(person, "tab enter")
    install(person, r"is installed, in \d+:\d\d minutes")


def _judge(lab: Lab, installed: Installed) -> None:
    judge = GuestProgram(module="judge_node")
    overlay = make_overlay(lab.folder / "node.qcow2", installed.disk)
    with lab.vm(node_spec(GOOD, installed, overlay, judge)) as vm:
        node: dict[str, Any] = vm.report.wait("node", NODE_SECONDS)
        problems = node_problems(node, GOOD, installed)
        assert not problems, "\n".join(problems)
        vm.console.wait_for("login: ", NODE_SECONDS)
        vm.console.send("root\r")
        vm.console.wait_for("Password: ", EVENT_SECONDS)
        vm.console.send(f"{PASSWORD}\r")
        vm.console.wait_for(r"root@node1:~# ", EVENT_SECONDS)
