"""The installations of the chosen set, which several test files share."""

from __future__ import annotations

from typing import Final

from tests.vm.lab.installs import Install
from tests.vm.lab.spec import Attach, Bus, Firmware

BIOS_CD: Final = Install(
    name="bios-cd",
    old_vgs=True,
    cut_in="copy",
    other_serials=("OTHER",),
    dhcp=True,
    volume="iso",
    label="proxmox-ais",
)
SECURE_USB: Final = Install(
    name="secure-usb",
    firmware=Firmware.UEFI_SECURE,
    attach=Attach.USB_STICK,
    filesystem="xfs",
    bus=Bus.SATA,
    target_serial="NODE3",
    other_serials=("NODE1", "NODE2", "NODE4"),
    by_filter=True,
    volume="ext4",
)
