"""Machines that QEMU emulated: what their live system read gives the same inventory again, and the findings it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostlib.checks import Finding, run_checks
from hostlib.errors import CommandError
from hostlib.inventory import Inventory, parse_inventory, render_inventory
from hostlib.probe import read_inventory
from hostlib.run import Completed
from tests.unit.recorded import load_source

FOLDER = Path(__file__).parents[1] / "machines/qemu"
QEMU = sorted(path for path in FOLDER.iterdir() if path.is_dir())


class RecordedRunner:
    """Gives what each command gave on the machine."""

    def __init__(self, commands: list[dict[str, Any]]) -> None:
        self.commands = {tuple(command["argv"]): command for command in commands}

    def run(self, argv: Any, **_: Any) -> Completed:
        command = self.commands[tuple(argv)]
        if "error" in command:
            raise CommandError(argv[0], command["error"], "")
        return Completed(command["status"], command["stdout"], "")


def read_again(folder: Path, tmp_path: Path) -> Inventory:
    raw = folder / "raw.json"
    return read_inventory(RecordedRunner(json.loads(raw.read_text())["commands"]), load_source(raw, tmp_path))


@pytest.mark.parametrize("folder", QEMU, ids=lambda path: path.name)
def test_what_was_read_gives_the_same_inventory(folder: Path, tmp_path: Path) -> None:
    assert render_inventory(read_again(folder, tmp_path)) + "\n" == (folder / "inventory.json").read_text()


def read_machine(name: str) -> Inventory:
    return parse_inventory((FOLDER / name / "inventory.json").read_text())


KINDS = {
    "megaraid": {"MR0": "virtual-disk", "MR1": "virtual-disk"},
    # The second drive is behind a number that this controller's driver does not show.
    "megaraid-jbod": {"JBOD0": "physical"},
    "megaraid-gen2": {"GEN2-0": "virtual-disk", "GEN2-1": "virtual-disk"},
    "mptsas": {"SAS0": "physical", "SAS1": "physical"},
    "pvscsi": {"PV0": "physical", "PV1": "physical"},
    "lsi": {"LSI0": "physical"},
    "virtio-scsi": {"VS0": "physical", "VS1": "physical"},
    "virtio-blk-uefi": {"VB0": "physical"},
    "ahci": {"SATA0": "physical", "SATA1": "physical", "SATA2": "physical"},
    "nvme-uefi": {"NVME0": "physical", "NVME1": "physical"},
    "usb": {"USB0": "physical", "VB0": "physical"},
    "4kn-bios": {"FOURK0": "physical", "FOURK1": "physical"},
    "two-paths": {"LUN0": "multipath-path"},
    "md-and-pve": {"MD0": "physical", "MD1": "physical", "PVE": "physical", "OTHER": "physical"},
    "ddf": {"DDF0": "fake-raid-member", "DDF1": "fake-raid-member"},
    "mixed": {
        "AHCI-SSD": "physical",
        "AHCI-HDD": "physical",
        "MR-VOLUME-0": "virtual-disk",
        "MR-VOLUME-1": "virtual-disk",
        "MR-JBOD-0": "physical",
        "NVME-0": "physical",
        "UNREADABLE": "physical",
    },
}
DRIVERS = {
    "megaraid": {("megaraid_sas", "raid", "raid")},
    "megaraid-jbod": {("megaraid_sas", "raid", "hba")},
    "megaraid-gen2": {("megaraid_sas", "raid", "raid")},
    "mptsas": {("mptsas", "hba", "hba")},
    "pvscsi": {("vmw_pvscsi", "virtual", "")},
    "lsi": {("sym53c8xx", "hba", "hba")},
    "virtio-scsi": {("virtio-pci", "virtual", "")},
    "virtio-blk-uefi": {("virtio-pci", "virtual", "")},
    "ahci": {("ahci", "ahci", "hba")},
    "nvme-uefi": {("nvme", "nvme", "")},
    "usb": {("xhci_hcd", "usb", ""), ("virtio-pci", "virtual", "")},
    "4kn-bios": {("virtio-pci", "virtual", ""), ("nvme", "nvme", "")},
    "two-paths": {("virtio-pci", "virtual", "")},
    "md-and-pve": {("virtio-pci", "virtual", ""), ("ahci", "ahci", "hba"), ("nvme", "nvme", "")},
    "ddf": {("virtio-pci", "virtual", "")},
    "mixed": {
        ("ahci", "ahci", "hba"),
        ("megaraid_sas", "raid", "raid"),
        ("megaraid_sas", "raid", "hba"),
        ("nvme", "nvme", ""),
        ("virtio-pci", "virtual", ""),
    },
}
"""Driver, kind and mode of the controllers that disks hang on."""
MEMORY = "memory-guests"
"""All of them have 1.5 GiB."""
WARNED = {
    "megaraid-jbod": {"drives-unconfigured"},
    "4kn-bios": {"firmware-bios"},
    "md-and-pve": {"duplicate-vg"},
    "mixed": {"firmware-bios", "clock-differs", "disk-unreadable"},
}
ONE_DISK = {"data-present"}
"""The node itself needs it."""
BLOCKED_FOR_CEPH = {
    "megaraid-jbod": ONE_DISK,
    "lsi": ONE_DISK,
    "virtio-blk-uefi": ONE_DISK,
    "megaraid": {"raid-unknown"},
    "megaraid-gen2": {"raid-unknown"},
    "two-paths": {"data-seen-twice"},
    "md-and-pve": {"data-in-use"},
    "ddf": {"data-fake-raid", "data-in-use"},
    "mixed": {"raid-unknown", "disk-unreadable"},
}


def ids(findings: list[Finding], severity: str) -> set[str]:
    return {finding.id for finding in findings if finding.severity == severity}


@pytest.mark.parametrize("name", KINDS)
def test_each_disk_and_controller_is_what_it_is(name: str) -> None:
    machine = read_machine(name)
    assert {disk.serial: disk.kind for disk in machine.disks} == KINDS[name]
    used = {disk.controller for disk in machine.disks}
    found = {(c.driver, c.kind, c.mode) for c in machine.controllers if c.address in used}
    assert found == DRIVERS[name]
    assert machine.firmware.mode == ("uefi" if name.endswith("uefi") else "bios")


@pytest.mark.parametrize("name", KINDS)
def test_each_machine_is_found_what_it_should(name: str) -> None:
    machine = read_machine(name)
    assert ids(run_checks(machine), "warning") - {MEMORY} == WARNED.get(name, set())
    assert ids(run_checks(machine), "blocking") == set()
    assert ids(run_checks(machine, "ceph"), "blocking") == BLOCKED_FOR_CEPH.get(name, set())


def test_every_recorded_machine_is_looked_at() -> None:
    assert {folder.name for folder in QEMU} == set(KINDS)
