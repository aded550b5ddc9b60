"""A person installs over the serial console: with wrong input, on a disk that fails half-way, then on a good one."""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tests.vm.judgement import node_problems
from tests.vm.lab.answers import PASSWORD
from tests.vm.lab.bench import Lab
from tests.vm.lab.installs import OLD_VG, SWAP_GIB, TARGET_BYTES, Install, Installed, node_spec, phase_seconds
from tests.vm.lab.machine import Vm
from tests.vm.lab.media import MIB, make_disk, make_overlay, make_volume, make_write_errors, read_volume
from tests.vm.lab.person import Person, TerminalPerson, enter_keys
from tests.vm.lab.spec import Bus, Disk, DiskFormat, GuestProgram, MachineSpec
from tests.vm.lab.ssh import open_terminal
from tests.vm.waits import EVENT_SECONDS, NODE_SECONDS
from tests.vm.wizard import (
    WRONG_NETWORK,
    WRONG_PASSWORDS,
    WRONG_SIZES,
    back,
    choose_sizes,
    choose_ssh,
    enter_wrong,
    fill_network,
    fill_password,
    install,
    log_in,
    on,
    see_machine,
)

GOOD: Final = Install(name="serial", target_serial="GOODDISK", fqdn="node1.lab.test")
BAD_SERIAL: Final = "FAILING"
SECTORS_A_MIB: Final = MIB // 512
ROOT_MIB: Final = 1538
"""Where the root file system begins: behind the ESP and a swap of 1 GiB."""
BAD_SECTORS: Final = tuple(
    (ROOT_MIB + mib) * SECTORS_A_MIB for mib in range(7 * 1024) if mib % (2 * 1024) >= 160
)
"""One in each MiB of the first 7 GiB, so that files fail wherever ext4 puts them. What it makes by itself is spared: the
inode tables, at the beginning of every 2 GiB, and the journal in the middle."""
CERTIFICATE: Final = "/etc/cockpit/ws-certs.d/50-slipway.cert"
MINE: Final = {"mine.txt": b"stays"}


def test_install_over_the_serial_console(lab: Lab) -> None:
    spec = _machine(lab)
    good, stick = spec.disks[1].path, spec.disks[2].path
    with lab.vm(spec) as vm:
        choose_ssh(vm.console)
        person = TerminalPerson(vm.console)
        see_machine(person)
        lab.timings.add("tui: power-on to the first screen", vm.seconds)
        once = _look_by_ssh(lab, vm)
        began = vm.seconds
        _enter_all(person)
        lab.timings.add("tui: everything typed, wrong and right", vm.seconds - began)
        _fail(person)
        assert "Input/output error" in str(vm.report.wait("event", EVENT_SECONDS, event="failed")["reason"])
        _save_log(person)
        _make_read_only(person, vm)
        _try_again_on_the_good_disk(person)
        vm.report.wait("event", EVENT_SECONDS, event="succeeded")
        lab.timings.add("tui: power-on to installed, in all", vm.seconds)
        fingerprint = _done(person)
        assert vm.wait_exit(120).reason == "guest-shutdown"
        installed = Installed(good, None, phase_seconds(vm), (), vm.console.text)
    log = read_volume(stick, "slipway-install.log").decode()
    assert "Input/output error" in log
    assert [secret for secret in (PASSWORD, once) if secret in log] == []
    assert PASSWORD not in installed.console
    assert read_volume(stick, "mine.txt") == MINE["mine.txt"]
    _judge(lab, installed, fingerprint)


def _machine(lab: Lab) -> MachineSpec:
    """Give a machine with a disk that is not empty and refuses some writes, an empty one, and a stick with files."""
    good = make_disk(lab.folder / "good.qcow2", TARGET_BYTES, DiskFormat.QCOW2)
    bad = make_disk(lab.folder / "bad.qcow2", TARGET_BYTES, DiskFormat.QCOW2)
    errors = make_write_errors(lab.folder / "errors.conf", BAD_SECTORS)
    stick = make_volume(lab.folder / "stick.img", "fat", "KEEP", MINE)
    return MachineSpec(
        name="serial",
        iso=lab.iso,
        disks=(
            Disk(path=bad, format=DiskFormat.QCOW2, serial=BAD_SERIAL, errors=errors),
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


def _look_by_ssh(lab: Lab, vm: Vm) -> str:
    """Log in by the password on the first screen, go on from there; give the password. It is one installation."""
    beside = TerminalPerson(vm.console)
    password = beside.sees(r"SSH +ssh root@10\.0\.2\.15, password ([A-Z2-9]{4}(-[A-Z2-9]{4}){2})")[1]
    with open_terminal(vm.forward(22), password, lab.folder) as terminal:
        person = TerminalPerson(terminal)
        see_machine(person)
        person.press("enter")
        beside.sees("Target disk")
        enter_keys(person, "f10")
        person.sees("The screens go on on the other terminals")
        enter_keys(person, "tab enter")
        person.sees(r"slipway-install tui. comes back to it")
        person.type("slipway-install tui\r")
        person.sees("Target disk")
    beside.sees("Target disk")
    return password


def _enter_all(person: Person) -> None:
    """Go from the screen of the disk to the summary; wrong input comes first on each screen."""
    person.sees(rf"virtio-{BAD_SERIAL} .* Proxmox VE")
    enter_keys(person, "tab enter")
    person.sees("no disk is chosen; choose one with Enter")
    enter_keys(person, "enter tab tab enter")
    person.sees("File system and sizes")
    person.press("tab")
    enter_wrong(person, WRONG_SIZES)
    # From the button of the sizes past that of the details to the list of disks.
    enter_keys(person, "ctrl-c tab tab")
    choose_sizes(person)
    person.sees("Time zone")
    enter_keys(person, "tab tab tab tab enter")
    person.sees("no country is chosen; choose one")
    enter_keys(person, "'austria' enter")
    person.sees(r"Country +Austria \(at\)$")
    # A choice leads on to the next field.
    enter_keys(person, "tab tab tab enter")
    person.sees("Root's password")
    enter_wrong(person, WRONG_PASSWORDS)
    fill_password(person)
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
    person.sees(r"has been$|written to")
    person.sees("holds no working system")


def _save_log(person: Person) -> None:
    enter_keys(person, "tab enter")
    person.sees("Save log")
    person.press("enter")
    person.sees(r"slipway-install\.log is on the stick")
    enter_keys(person, "ctrl-c shift-tab")


def _make_read_only(person: Person, vm: Vm) -> None:
    """Let the failed disk take no write at all from now on, in the shell that F2 gives on this console."""
    person.press("f2")
    person.sees("A root shell takes this console")
    person.press("enter")
    vm.console.wait_for(r"root@\S+:~# ", EVENT_SECONDS)
    disk = f"/dev/disk/by-id/virtio-{BAD_SERIAL}"
    # The quotes keep the typed line itself from being taken for the answer.
    person.type(f"blockdev --setro {disk}*; echo is read-'only' $(blockdev --getro {disk} {disk}-part3)\r")
    vm.console.wait_for(r"is read-only 1 1$", EVENT_SECONDS)
    person.type("exit\r")
    person.sees("The installation has failed")


def _try_again_on_the_good_disk(person: TerminalPerson) -> None:
    """Go back to the first screens; all that was entered is still there."""
    person.press("enter")
    person.sees("Summary")
    person.go_to("[ Back ]")
    person.press("enter")
    for title in (
        "Cluster",
        "Management network",
        "Password, e-mail, ssh key",
        "Country, time zone, keyboard",
    ):
        back(person, title)
    person.sees("Target disk")
    # Disks that cannot be chosen come last.
    person.sees(rf"virtio-{BAD_SERIAL} .* cannot be used")
    person.go_to(f"virtio-{GOOD.target_serial}", "up")
    enter_keys(person, "enter enter")
    for title in (
        "Country, time zone, keyboard",
        "Password, e-mail, ssh key",
        "Management network",
        "Cluster",
    ):
        on(person, title)
    person.sees(rf"virtio-{GOOD.target_serial}$")
    person.sees(rf"Sizes +swap {SWAP_GIB}\.0 GiB")
    person.sees("It is empty")
    person.press("enter")
    person.sees("This disk is empty")
    enter_keys(person, "tab enter")
    install(person, r"is installed, in \d+:\d\d minutes")


def _done(person: Person) -> str:
    """Read the last screen, switch off; give the fingerprint. A warning keeps the machine from doing it itself."""
    person.sees(rf"virtio-{BAD_SERIAL}: the disk takes no writes")
    person.sees("The machine waits for you")
    shown = person.sees(r"SHA-256 ((?:[0-9A-F]{2}:){16})\n +((?:[0-9A-F]{2}:){15}[0-9A-F]{2})$")
    person.press("enter")
    return re.sub(":", "", shown[1] + shown[2]).lower()


def _judge(lab: Lab, installed: Installed, fingerprint: str) -> None:
    """Start the node as far as its files, then to its end; judge it, log in on its console."""
    overlay: Path = make_overlay(lab.folder / "node.qcow2", installed.disk)
    files = GuestProgram(module="read_files", parameters={"files": [CERTIFICATE]}, after="basic.target")
    early: Path = make_overlay(lab.folder / "early.qcow2", installed.disk)
    with lab.vm(replace(node_spec(GOOD, installed, early, files), name="node-early")) as vm:
        # Before the node is in its cluster, whose CA gives it another one.
        report: Any = vm.report.wait("files", NODE_SECONDS)
        der = ssl.PEM_cert_to_DER_cert(report["files"][CERTIFICATE])
        assert sha256(der).hexdigest() == fingerprint
    with lab.vm(node_spec(GOOD, installed, overlay, GuestProgram(module="judge_node"))) as vm:
        node: dict[str, Any] = vm.report.wait("node", NODE_SECONDS)
        problems = node_problems(node, GOOD, installed)
        assert not problems, "\n".join(problems)
        log_in(vm.console)
