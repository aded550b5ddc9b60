"""The rules over what kernel and udev show of controllers and disks."""

import pytest

from hostlib.controllers import (
    FAKE_RAID,
    FAMILIES,
    Signs,
    find_family,
    find_paths,
    judge_controller,
    judge_disk,
)
from hostlib.inventory import Content, Controller, Disk, RaidLevel
from hostlib.sizes import GIB

DRIVERS = [driver for family in FAMILIES for driver in family.drivers]


def disk(name: str = "sda", **update: object) -> Disk:
    found = Disk(name=name, path=f"/dev/{name}", size_bytes=64 * GIB, bus="scsi", model="HDD", serial="S1")
    return found.model_copy(update=update)


def test_each_driver_has_one_row_with_a_source() -> None:
    assert len(set(DRIVERS)) == len(DRIVERS)
    assert all(family.source for family in FAMILIES)


@pytest.mark.parametrize(
    ("driver", "signs", "level"),
    [
        ("megaraid_sas", Signs("QEMU", "QEMU HARDDISK", channel=2), ""),
        ("megaraid_sas", Signs("AVAGO", "MR9361-8i", channel=3), ""),
        ("mpt3sas", Signs("LSI", "Logical Volume", channel=1, told="raid1e"), "RAID10"),
        ("mptsas", Signs("LSILOGIC", "Logical Volume", channel=1), ""),
        ("mptspi", Signs("LSILOGIC", "1030 IM", channel=0), ""),
        ("mpi3mr", Signs("BROADCOM", "MR9660-16i", channel=0), ""),
        ("smartpqi", Signs("HPE", "LOGICAL VOLUME", channel=1, told="RAID-1(Triple)"), "RAID1"),
        ("smartpqi", Signs("HPE", "LOGICAL VOLUME", channel=1, told="RAID-5+1"), ""),
        ("smartpqi", Signs("HPE", "LOGICAL VOLUME", channel=1), ""),
        ("hpsa", Signs("HP", "LOGICAL VOLUME", channel=1, told="RAID 0"), "RAID0"),
        ("hpsa", Signs("HP", "LOGICAL VOLUME", channel=1, told="RAID 1(ADM)"), "RAID1"),
        ("aacraid", Signs("ASR8885", "vol", channel=0, told="Mirror"), "RAID1"),
        ("arcmsr", Signs("Areca", "backup", channel=0), ""),
    ],
)
def test_a_volume_is_told_from_a_drive(driver: str, signs: Signs, level: RaidLevel) -> None:
    found = judge_disk(disk(), find_family(driver, "0104"), signs)
    assert found.kind == "virtual-disk"
    assert found.kind_source
    assert found.raid
    assert found.raid.level == level


@pytest.mark.parametrize(
    ("driver", "signs"),
    [
        ("megaraid_sas", Signs("QEMU", "QEMU HARDDISK", channel=0)),
        ("megaraid_sas", Signs("ATA", "INTEL SSDSC2KB96", channel=1)),
        ("mpt3sas", Signs("SEAGATE", "ST1200MM0099", channel=0)),
        ("mpt3sas", Signs("NVMe", "INTEL SSDPE2KX01", channel=2)),
        ("mptspi", Signs("VMware", "Virtual disk", channel=0)),
        ("mpi3mr", Signs("SEAGATE", "ST1200MM0099", channel=0, told="0x5000c500a1b2c301")),
        ("mpi3mr", Signs("NVMe", "Dell DC NVMe PS1", channel=1)),
        ("smartpqi", Signs("ATA", "SAMSUNG", channel=0, told="N/A")),
        ("hpsa", Signs("ATA", "SAMSUNG", channel=0)),
        ("aacraid", Signs("ATA", "ST2000", channel=1, told="JBOD")),
        ("aacraid", Signs("ATA", "ST2000", channel=1)),
        ("arcmsr", Signs("WDC", "WD4000F9YZ", channel=0)),
        ("ahci", Signs("ATA", "QEMU HARDDISK", channel=0)),
        ("sym53c8xx", Signs("QEMU", "QEMU HARDDISK", channel=2)),
        ("some_new_driver", Signs("QEMU", "QEMU HARDDISK", channel=2)),
    ],
)
def test_a_drive_stays_a_drive(driver: str, signs: Signs) -> None:
    assert judge_disk(disk(), find_family(driver, "0104"), signs) == disk()


@pytest.mark.parametrize("model", ["DELLBOSS VD", "Dell BOSS-N1", "HPE NS204i-p Gen10+ Boot Controller"])
def test_a_boot_card_shows_a_volume(model: str) -> None:
    found = judge_disk(disk(model=model), find_family("nvme", "0108"), Signs())
    assert found.kind == "virtual-disk"


@pytest.mark.parametrize("member", sorted(FAKE_RAID))
def test_a_member_of_firmware_raid_is_found(member: str) -> None:
    found = judge_disk(
        disk(contents=(Content(device="sda", type=member),)),
        find_family("megaraid_sas", "0104"),
        Signs(channel=0),
    )
    assert (found.kind, found.kind_source) == ("fake-raid-member", f"its signature: {member}")


@pytest.mark.parametrize(
    "content",
    [Content(device="sda", type="linux_raid_member"), Content(device="sda1", type="isw_raid_member")],
)
def test_linux_raid_and_signatures_in_a_partition_are_no_firmware_raid(content: Content) -> None:
    assert judge_disk(disk(contents=(content,)), find_family("ahci", "0106"), Signs()).kind == "physical"


@pytest.mark.parametrize(
    ("vendor", "model", "kind"),
    [
        ("iDRAC", "Virtual Floppy", "bmc-virtual"),
        ("AMI", "Virtual HDisk0", "bmc-virtual"),
        ("HPE", "iLO Internal SD-CARD", "bmc-virtual"),
        ("CiscoVD", "KVM-Mapped_vHDD", "bmc-virtual"),
        ("Msft", "Virtual Disk", "physical"),
        ("SanDisk", "Ultra", "physical"),
    ],
)
def test_media_of_a_bmc(vendor: str, model: str, kind: str) -> None:
    usb = disk(model=model, bus="usb", udev={"ID_VENDOR": vendor})
    assert judge_disk(usb, find_family("xhci_hcd", "0c03"), Signs()).kind == kind


def test_two_paths_to_a_disk_are_marked() -> None:
    wwn = {"wwn": "0x5000c500a1b2c300"}
    found = find_paths([disk("sda", **wwn), disk("sdb", **wwn), disk("sdc", serial="S2")])
    assert [one.kind for one in found] == ["multipath-path", "multipath-path", "physical"]
    assert found[0].kind_source == "another disk has its WWN 0x5000c500a1b2c300 too"
    assert [one.kind for one in find_paths([disk("sda"), disk("sdb")])] == ["multipath-path"] * 2
    known = find_paths([disk(udev={"DM_MULTIPATH_DEVICE_PATH": "1"})])
    assert known[0].kind == "multipath-path"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"bus": "usb"}, {"bus": "usb"}),  # bridges of a kind
        ({}, {"size_bytes": GIB}),
        ({"serial": ""}, {"serial": ""}),
        (
            {"bus": "ata", "wwn": "0x5000000000000000"},
            {"bus": "ata", "wwn": "0x5000000000000000", "serial": "S2"},
        ),
        ({"wwn": "0x5000c500a1b2c300"}, {"wwn": "0x5000c500a1b2c301"}),
        ({"kind": "virtual-disk"}, {"kind": "virtual-disk"}),  # a controller's serial number on each volume
    ],
)
def test_alike_is_not_the_same(first: dict[str, object], second: dict[str, object]) -> None:
    pair = (disk("sda", **first), disk("sdb", **second))
    assert find_paths(pair) == pair


def mode(driver: str, pci_class: str, *kinds: str) -> tuple[str, str]:
    family = find_family(driver, pci_class)
    disks = [disk(f"sd{number}", kind=kind, controller="c") for number, kind in enumerate(kinds)]
    other = disk("other", kind="virtual-disk", controller="d")
    found = judge_controller(
        Controller(address="c", driver=driver, kind=family.kind), family, pci_class, [*disks, other]
    )
    assert bool(found.mode) == bool(found.mode_source)
    return found.kind, found.mode


def test_the_mode_is_told_by_what_a_controller_shows() -> None:
    assert mode("megaraid_sas", "0104", "virtual-disk", "virtual-disk") == ("raid", "raid")
    assert mode("megaraid_sas", "0104", "physical", "multipath-path") == ("raid", "hba")
    assert mode("megaraid_sas", "0104", "physical", "virtual-disk") == ("raid", "mixed")
    assert mode("megaraid_sas", "0104") == ("raid", "raid")
    # A 3ware card: its disks are volumes, but nothing here tells.
    assert mode("3w-9xxx", "0104", "physical") == ("raid", "")
    assert mode("mpt3sas", "0107") == ("hba", "")
    assert mode("mvsas", "0107") == ("hba", "hba")
    assert mode("ahci", "0106", "physical") == ("ahci", "hba")
    assert mode("ahci", "0104", "fake-raid-member") == ("ahci", "raid")
    assert mode("", "0104") == ("raid", "")
    assert mode("virtio-pci", "0100", "physical") == ("virtual", "")
