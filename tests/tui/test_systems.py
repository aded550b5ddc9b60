"""What a person recognises a disk by."""

from __future__ import annotations

import pytest

from hostlib.inventory import INSTALLED_TAG, UNREADABLE, Content
from installer.tui.systems import SYSTEMS, TYPES, is_member, system_of
from installer.tui.views import view_contents, view_disks
from tests.tui.harness import machine

GPT = Content(device="sda", type="gpt")
ESP = Content(device="sda1", type="vfat", label="EFI")


def part(**found: str) -> Content:
    return Content(**({"device": "sda2", "type": "LVM2_member" if "vg" in found else "ext4"} | found))  # type: ignore[arg-type]  # words alone


@pytest.mark.parametrize(
    ("content", "held", "told"),
    [
        (part(type="ntfs", label="System"), "Windows", "sda2: ntfs, System (Windows)"),
        (part(type="BitLocker"), "Windows", "sda2: encrypted (BitLocker) (Windows)"),
        (part(type="VMFS_volume_member"), "VMware ESXi", "sda2: VMFS volume (VMware ESXi)"),
        (part(vg="pve"), "Proxmox VE?", "sda2: LVM, volume group pve (Proxmox VE?)"),
        (part(vg="XSLocalEXT-1f2e"), "XCP-ng", "sda2: LVM, volume group XSLocalEXT-1f2e (XCP-ng)"),
        (part(vg="VG_XenStorage-1f2e"), "XCP-ng", "sda2: LVM, volume group VG_XenStorage-1f2e (XCP-ng)"),
        (part(label="HARV_LH_DEFAULT"), "Harvester", "sda2: ext4, HARV_LH_DEFAULT (Harvester)"),
        (part(label="COS_STATE"), "SLE/Harvester", "sda2: ext4, COS_STATE (SLE/Harvester)"),
        (part(type="xfs", label="EPHEMERAL"), "Talos Linux", "sda2: xfs, EPHEMERAL (Talos Linux)"),
        (part(type="zfs_member", label="boot-pool"), "TrueNAS", "sda2: ZFS, boot-pool (TrueNAS)"),
        (part(type="ufs"), "FreeBSD", "sda2: ufs (FreeBSD)"),
        (part(type="ceph_bluestore"), "Ceph OSD", "sda2: Ceph (Ceph OSD)"),
        (part(vg="ubuntu-vg"), "Ubuntu", "sda2: LVM, volume group ubuntu-vg (Ubuntu)"),
        (part(type="zfs_member", label="tank"), "ZFS tank", "sda2: ZFS, tank"),
        (part(type="linux_raid_member", label="host:0"), "RAID host:0", "sda2: RAID, host:0"),
        (part(type="isw_raid_member"), "Intel RAID", "sda2: Intel RAID"),
        (part(vg="ceph"), "VG ceph", "sda2: LVM, volume group ceph"),
        (part(label="PVE"), "PVE", "sda2: ext4, PVE"),
    ],
)  # fmt: skip
def test_what_is_on_a_disk(content: Content, held: str, told: str) -> None:
    server = machine("nvme-server")
    disk = server.disks[0].model_copy(update={"contents": (GPT, ESP, content)})
    shown = view_disks(server.model_copy(update={"disks": (disk,)}))[0]
    assert shown.held == held
    assert view_contents(disk.contents) == ("sda1: vfat, EFI", told)


def test_a_node_is_told_from_the_peer_and_a_system_from_its_data_disk() -> None:
    node = Content(device="sda3", type="LVM2_member", vg="pve", vg_tags=(INSTALLED_TAG,))
    assert system_of([part(type="ntfs"), node]) == "Slipway node"
    assert system_of([part(type="ntfs"), part(type="VMFS")]) == "VMware ESXi"
    assert system_of([GPT, ESP]) == ""


def test_each_name_fits_its_column() -> None:
    assert [system for *_, system in SYSTEMS if len(system) > 14] == []
    assert [name for kind, name in TYPES.items() if is_member(kind) and len(name) > 14] == []


def test_a_disk_that_cannot_be_read_is_not_called_empty() -> None:
    server = machine("nvme-server")
    disk = server.disks[0].model_copy(update={"contents": (Content(device="nvme0n1", type=UNREADABLE),)})
    shown = view_disks(server.model_copy(update={"disks": (disk,)}))[0]
    assert (shown.held, shown.contents) == ("unreadable", ("nvme0n1: unreadable",))
    assert not shown.selectable
