"""Makes the kernel forget a disk until the machine is restarted or its bus is scanned. Nothing on it changes."""

from __future__ import annotations

import logging
from pathlib import Path

from hostlib.errors import StepError
from installer.steps.base import Context
from installer.steps.udev import settle

LOG = logging.getLogger("slipway.detach")
BY_HAND = "take it out of the machine and try again"


def disk_of(sysfs: Path, name: str) -> str:
    """Give the kernel name of the disk that a partition is on; anything else is given back."""
    folder = sysfs / "class/block" / name
    return folder.resolve().parent.name if (folder / "partition").exists() else name


def find_control(sysfs: Path, disk: str) -> Path | None:
    """Give the file that takes the disk with this kernel name away, and nothing else that is a block device.

    For SCSI, SATA and USB that is the device's own `delete`, for NVMe and virtio `remove` of the PCI function
    (Documentation/ABI/testing/sysfs-bus-pci, sysfs-block-device of Linux). None where there is no such file.
    """
    blocks = [entry.resolve() for entry in (sysfs / "class/block").iterdir()]
    device = (sysfs / "class/block" / disk).resolve()
    for folder in device.parents:
        for control in (folder / "delete", folder / "remove"):
            if control.is_file():
                below = [block for block in blocks if folder in block.parents]
                return control if all(device in (block, block.parent) for block in below) else None
    return None


def detach_disk(context: Context, disk: str) -> None:
    """Take away the disk with this kernel name, which nothing uses any more. Raises StepError, OSError."""
    control = find_control(context.sysfs, disk)
    if control is None:
        raise StepError(f"/dev/{disk}: the kernel cannot take this disk away; {BY_HAND}")
    LOG.info("taking /dev/%s away by %s", disk, control)
    # By a program, so that a disk that does not answer does not hang the installer.
    context.runner.run(["tee", str(control)], input_text="1\n")
    settle(context.runner)
    if (context.sysfs / "class/block" / disk).exists():
        raise StepError(f"/dev/{disk}: the disk is still there; {BY_HAND}")
