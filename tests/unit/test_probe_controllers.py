"""Machines of tests/machines/sysfs as the probe of controllers sees them."""

import dataclasses
import json
from pathlib import Path

import pytest

from hostlib.inventory import Controller, Disk
from hostlib.probe.controllers import read_controllers
from hostlib.probe.disks import read_disks
from hostlib.probe.source import Source
from hostlib.probe.udev import Device
from tests.unit.recorded import RECORDED, load_source

# For each machine its controllers (address, driver, kind, mode, firmware) and its disks (controller, kind, RAID level).
MACHINES = {
    "smartpqi-raid": (
        {"0000:12:00.0": ("smartpqi", "raid", "raid", "7.11")},
        {"sda": ("0000:12:00.0", "virtual-disk", "RAID1"), "sdb": ("0000:12:00.0", "virtual-disk", "RAID5")},
    ),
    "smartpqi-mixed": (
        {"0000:12:00.0": ("smartpqi", "raid", "mixed", "7.11")},
        {"sda": ("0000:12:00.0", "virtual-disk", "RAID0"), "sdb": ("0000:12:00.0", "physical", None)},
    ),
    "smartpqi-hba": (
        {"0000:12:00.0": ("smartpqi", "raid", "hba", "7.11")},
        {"sda": ("0000:12:00.0", "physical", None), "sdb": ("0000:12:00.0", "physical", None)},
    ),
    "hpsa": (
        {"0000:03:00.0": ("hpsa", "raid", "raid", "7.20")},
        {"sda": ("0000:03:00.0", "virtual-disk", "RAID1"), "sdb": ("0000:03:00.0", "virtual-disk", "RAID6")},
    ),
    "mpt3sas-it": (
        {"0000:02:00.0": ("mpt3sas", "hba", "hba", "16.00.12.00")},
        {"sda": ("0000:02:00.0", "physical", None), "sdb": ("0000:02:00.0", "physical", None)},
    ),
    "mpt3sas-ir": (
        {"0000:02:00.0": ("mpt3sas", "hba", "mixed", "16.00.12.00")},
        {"sda": ("0000:02:00.0", "virtual-disk", "RAID1"), "sdb": ("0000:02:00.0", "physical", None)},
    ),
    "megaraid-perc": (
        {
            "0000:00:1f.2": ("ahci", "ahci", "hba", ""),
            "0000:03:00.0": ("megaraid_sas", "raid", "mixed", ""),
            "0000:00:14.0": ("xhci_hcd", "usb", "", ""),
        },
        {
            "sda": ("0000:03:00.0", "virtual-disk", ""),
            "sdb": ("0000:03:00.0", "virtual-disk", ""),
            "sdc": ("0000:03:00.0", "physical", None),
            "sdd": ("0000:03:00.0", "physical", None),
            "sde": ("0000:00:14.0", "bmc-virtual", None),
        },
    ),
    "vmd": (
        {
            "0000:00:0e.0": ("vmd", "vmd", "", ""),
            "10000:e1:00.0": ("nvme", "nvme", "", "GDC5302Q"),
            "10000:e2:00.0": ("nvme", "nvme", "", "GDC5302Q"),
        },
        {
            "nvme0n1": ("10000:e1:00.0", "physical", None),
            "nvme1n1": ("10000:e2:00.0", "fake-raid-member", None),
        },
    ),
    "vmd-no-driver": ({"0000:64:00.5": ("", "vmd", "", "")}, {}),
    "ahci-rst": (
        {"0000:00:17.0": ("ahci", "ahci", "raid", "")},
        {
            "sda": ("0000:00:17.0", "fake-raid-member", None),
            "sdb": ("0000:00:17.0", "fake-raid-member", None),
        },
    ),
    "aacraid": (
        {"0000:04:00.0": ("aacraid", "raid", "mixed", "7.18-0[33556]")},
        {
            "sda": ("0000:04:00.0", "virtual-disk", "RAID6"),
            "sdb": ("0000:04:00.0", "virtual-disk", "RAID0"),
            "sdc": ("0000:04:00.0", "physical", None),
        },
    ),
    "arcmsr": (
        {"0000:05:00.0": ("arcmsr", "raid", "raid", "V1.52 2014-10-15")},
        {"sda": ("0000:05:00.0", "virtual-disk", "")},
    ),
    "boss": (
        {"0000:a1:00.0": ("ahci", "raid", "raid", ""), "0000:b1:00.0": ("nvme", "raid", "raid", "2.1.13.2")},
        {"nvme0n1": ("0000:b1:00.0", "virtual-disk", ""), "sda": ("0000:a1:00.0", "virtual-disk", "")},
    ),
    "mpi3mr": (
        {"0000:17:00.0": ("mpi3mr", "raid", "mixed", "8.8.0.0.18-26")},
        {
            "sda": ("0000:17:00.0", "virtual-disk", ""),
            "sdb": ("0000:17:00.0", "physical", None),
            "sdc": ("0000:17:00.0", "physical", None),
        },
    ),
    "nvme-subsystem": (
        {"0000:41:00.0": ("nvme", "nvme", "", "2.3.0")},
        {"nvme0n1": ("0000:41:00.0", "physical", None)},
    ),
    "hyper-v": (
        {"f8b3781a-1e82-4818-a1c3-63d806ec15bb": ("hv_storvsc", "virtual", "", "")},
        {"sda": ("f8b3781a-1e82-4818-a1c3-63d806ec15bb", "physical", None)},
    ),
}


def read(source: Source) -> tuple[tuple[Controller, ...], tuple[Disk, ...]]:
    block = source.devices("block")
    return read_controllers(source, read_disks(block, {}, {}), block)


@pytest.mark.parametrize("name", MACHINES)
def test_controllers_and_kinds_of_disks(name: str, tmp_path: Path) -> None:
    controllers, disks = read(load_source(RECORDED / f"{name}.json", tmp_path))
    wanted = MACHINES[name]
    assert {one.address: (one.driver, one.kind, one.mode, one.firmware) for one in controllers} == wanted[0]
    found = {one.name: (one.controller, one.kind, one.raid.level if one.raid else None) for one in disks}
    assert found == wanted[1]


def test_each_machine_made_by_hand_names_its_source() -> None:
    for name in MACHINES:
        assert json.loads((RECORDED / f"{name}.json").read_text())["source"]


def test_a_controller_has_ids_and_names(tmp_path: Path) -> None:
    controllers, disks = read(load_source(RECORDED / "megaraid-perc.json", tmp_path))
    perc = next(one for one in controllers if one.driver == "megaraid_sas")
    assert (perc.pci_id, perc.subsystem_id, perc.vendor) == ("1000:005d", "1028:1f49", "Broadcom / LSI")
    assert perc.model == "MegaRAID SAS-3 3108 [Invader] (PERC H730 Mini)"
    assert perc.mode_source == "it shows 2 volumes and 2 drives"
    assert "calls itself DELL PERC H730 Mini" in disks[0].kind_source


def test_the_kernel_tells_of_a_volume(tmp_path: Path) -> None:
    _, disks = read(load_source(RECORDED / "mpt3sas-ir.json", tmp_path))
    assert disks[0].raid
    assert disks[0].raid.state == "degraded"
    assert disks[0].raid.source == "sysfs level: raid1"


def test_hidden_nvme_drives_are_counted_where_the_kernel_counts(tmp_path: Path) -> None:
    rst, _ = read(load_source(RECORDED / "ahci-rst.json", tmp_path / "rst"))
    vmd, _ = read(load_source(RECORDED / "vmd-no-driver.json", tmp_path / "vmd"))
    assert [one.hidden_disks for one in (*rst, *vmd)] == [1, None]


def test_a_drive_of_aacraid_is_not_removable(tmp_path: Path) -> None:
    source = load_source(RECORDED / "aacraid.json", tmp_path)
    assert [disk.removable for disk in read_disks(source.devices("block"), {}, {})] == [False, False, True]
    assert [disk.removable for disk in read(source)[1]] == [False, False, False]


def test_disks_are_known_where_udev_tells_nothing_of_pci(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = load_source(RECORDED / "ahci-rst.json", tmp_path)
    block = source.devices("block")

    def broken(_: str) -> list[Device]:
        raise OSError("udev is not there")

    controllers, disks = read_controllers(
        dataclasses.replace(source, devices=broken), read_disks(block, {}, {}), block
    )
    assert [disk.kind for disk in disks] == ["fake-raid-member", "fake-raid-member"]
    assert [one.address for one in controllers] == ["0000:00:17.0"]
    assert "PCI devices: cannot be read: OSError: udev is not there" in caplog.text


def test_one_broken_controller_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = load_source(RECORDED / "boss.json", tmp_path)

    def readlink(link: Path) -> Path:
        if "0000:a1:00.0" in link.parts and link.parent.name == "0000:a1:00.0":
            raise OSError("input/output error")
        return Path("/sys/bus/pci/drivers/nvme")

    monkeypatch.setattr(Path, "readlink", readlink)
    controllers, disks = read(source)
    assert [one.address for one in controllers] == ["0000:b1:00.0"]
    assert [disk.controller for disk in disks] == ["0000:b1:00.0", ""]
    assert disks[1].kind == "virtual-disk"
    assert "controller 0000:a1:00.0: cannot be read" in caplog.text
