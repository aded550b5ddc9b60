"""Findings as reports and the webhook tell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostlib.checks import Finding
from hostlib.inventory import Disk, parse_inventory
from installer.report_checks import name_disks, plan_checks

MACHINES = Path(__file__).parents[1] / "machines"
MACHINE = parse_inventory((MACHINES / "odd-disks-bios.json").read_text())
NVME = parse_inventory((MACHINES / "nvme-server.json").read_text())
MOUNTED = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_MOUNTED"
FOUND = Finding(
    id="target-in-use",
    severity="blocking",
    device=MOUNTED,
    measured="sdc1 on /mnt",
    text="is in use",
    todo="unmount it",
    allowed=True,
)


def test_only_what_is_not_well_is_told() -> None:
    assert plan_checks([FOUND, FOUND.model_copy(update={"severity": "ok"})], MACHINE) == [
        {
            "id": "target-in-use",
            "severity": "blocking",
            "device": MOUNTED,
            "measured": f"{MOUNTED}-part1 on /mnt",
            "allowed": True,
        }
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seen as sdc and /dev/sdc", f"seen as {MOUNTED} and {MOUNTED}"),
        ("sdc12", f"{MOUNTED}-part12"),
        ("sdca, xsdc, /mnt/sdc, ata-sdc, sdc-x", "sdca, xsdc, /mnt/sdc, ata-sdc, sdc-x"),
    ],
)
def test_kernel_names_become_lasting_ones(text: str, expected: str) -> None:
    assert name_disks(text, MACHINE) == expected


def test_a_name_that_ends_with_a_digit() -> None:
    disk = next(disk for disk in NVME.disks if disk.name == "nvme0n1")
    assert name_disks("nvme0n1p3, nvme0n12", NVME) == f"{disk.stable_path}-part3, nvme0n12"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("pci-0000:00:04.0",), "/dev/disk/by-path/pci-0000:00:04.0-part1"),
        ((), "partition 1 of a disk without name (no model, serial S1)"),
    ],
)
def test_a_disk_that_udev_has_no_id_for(paths: tuple[str, ...], expected: str) -> None:
    disk = Disk(name="vda", path="/dev/vda", paths=paths, size_bytes=1, serial="S1")
    assert name_disks("/dev/vda1", MACHINE.model_copy(update={"disks": (disk,)})) == expected
