"""Makes the disks of a machine look used before the installer sees them: volume groups named as the node's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.vm.guest.commands import read_output
from tests.vm.guest.port import send


def main(parameters: Mapping[str, Any]) -> None:
    """Make a VG with one volume on each disk; the last one's is active and holds a file system.

    Each VG is made with the other disks hidden from LVM, as if it had come from a machine of its own: LVM refuses
    a second VG of a name that it can see.

    Args:
        parameters: `serials` of the virtio disks; `name` that every VG gets.
    """
    name = str(parameters["name"])
    for number, serial in enumerate(parameters["serials"]):
        disk = read_output("readlink", "-f", f"/dev/disk/by-id/virtio-{serial}").strip()
        # LVM sees this disk alone, so the same name may exist on another.
        only = ("--devices", disk)
        read_output("vgcreate", *only, "-y", name, disk)
        # A VG that is active would stand in the way of the next one's device nodes of the same name.
        active = "y" if number == len(parameters["serials"]) - 1 else "n"
        extra = () if active == "y" else ("-Zn", "-Wn")
        read_output("lvcreate", *only, "-y", f"-a{active}", *extra, "-L1G", "-n", "root", name)
        if active == "y":
            read_output("mkfs.ext4", "-q", f"/dev/{name}/root")
    listing = read_output("pvs", "--noheadings", "--options", "pv_name,vg_name,vg_uuid")
    send("report", {"kind": "old-vgs", "pvs": listing.split("\n")})
