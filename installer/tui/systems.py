"""Which system a disk was used by, from what libblkid and LVM say of it: names that a person recognises. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, Literal

from hostlib.inventory import INSTALLED_TAG, Content

Key = Literal["type", "label", "vg"]
NODE: Final = "Slipway node"
SYSTEMS: Final[tuple[tuple[Key, str, str], ...]] = (
    # The VG of the peer's installer. A node whose installation did not end has it too, without the tag.
    ("vg", "pve", "Proxmox VE?"),
    ("vg", "pve-OLD-*", "Proxmox VE?"),  # what both installers rename it to when it is on another disk
    ("type", "VMFS", "VMware ESXi"),  # libblkid, superblocks/vmfs.c
    ("type", "VMFS_volume_member", "VMware ESXi"),  # the same
    ("vg", "XSLocalEXT-*", "XCP-ng"),  # XenServer's storage manager, EXTSR.py: EXT_PREFIX
    ("vg", "VG_XenStorage-*", "XCP-ng"),  # the same, lvhdutil.py: VG_PREFIX
    ("label", "HARV_LH_DEFAULT", "Harvester"),  # harvester-installer: the disk of its storage
    ("label", "COS_*", "SLE/Harvester"),  # elemental-toolkit, constants: COS_STATE, COS_PERSISTENT, COS_OEM
    ("label", "EPHEMERAL", "Talos Linux"),  # Talos, machinery/constants: EphemeralPartitionLabel
    ("type", "ceph_bluestore", "Ceph OSD"),  # libblkid, superblocks/bluestore.c
    ("vg", "ceph-????????-*", "Ceph OSD"),  # ceph-volume, api/lvm.py: `ceph-` and a UUID
    ("label", "boot-pool", "TrueNAS"),  # its middleware: the names of the boot pool
    ("label", "freenas-boot", "TrueNAS"),  # the same
    ("label", "zroot", "FreeBSD"),  # bsdinstall, zfsboot: ZFSBOOT_POOL_NAME
    ("type", "ufs", "FreeBSD"),  # libblkid, superblocks/ufs.c
    ("vg", "ubuntu-vg", "Ubuntu"),  # subiquity's default
    ("type", "BitLocker", "Windows"),  # libblkid, superblocks/bitlocker.c
    ("type", "ReFS", "Windows"),  # libblkid, superblocks/refs.c
    ("type", "ntfs", "Windows"),  # libblkid, superblocks/ntfs.c
)
"""What is compared, a pattern of fnmatch, and the system. The first row that fits counts: ntfs may be a mere data disk."""


TYPES: Final = {
    "LVM2_member": "LVM",
    "LVM1_member": "LVM",
    "linux_raid_member": "RAID",
    "ddf_raid_member": "RAID (DDF)",
    "isw_raid_member": "Intel RAID",
    "adaptec_raid_member": "Adaptec RAID",
    "hpt37x_raid_member": "HighPoint RAID",
    "hpt45x_raid_member": "HighPoint RAID",
    "jmicron_raid_member": "JMicron RAID",
    "lsi_mega_raid_member": "LSI RAID",
    "nvidia_raid_member": "NVIDIA RAID",
    "promise_fasttrack_raid_member": "Promise RAID",
    "silicon_medley_raid_member": "Silicon RAID",
    "via_raid_member": "VIA RAID",
    "crypto_LUKS": "encrypted (LUKS)",
    "BitLocker": "encrypted (BitLocker)",
    "zfs_member": "ZFS",
    "ceph_bluestore": "Ceph",
    "bcache": "bcache",
    "drbd": "DRBD",
    "stratis": "Stratis",
    "VMFS_volume_member": "VMFS volume",
    "gpt": "partition table",
    "dos": "partition table",
}
"""Types of libblkid (superblocks/*.c) by the names that people know."""


def is_member(kind: str) -> bool:
    """Tell whether this type of libblkid is a part of something that spans disks and has a name: an array, a pool."""
    return kind.endswith("_raid_member") or kind == "zfs_member"


def system_of(contents: Iterable[Content]) -> str:
    """Give the system that a disk or a part of one belongs to; empty when nothing tells."""
    found = list(contents)
    if any(INSTALLED_TAG in content.vg_tags for content in found):
        return NODE
    fitting = (
        system
        for key, pattern, system in SYSTEMS
        for content in found
        if fnmatchcase(getattr(content, key), pattern)
    )
    return next(fitting, "")
