"""The netboot bundle as an administrator sets it up: its two settings, its DHCP example, and machines that start from it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image.netboot import render_netboot_image
from tests.vm.lab.errors import LabError
from tests.vm.lab.spec import Firmware, MachineSpec, NetBoot, Nic, Service

SERVER: Final = "10.0.2.100"
"""The test server's address on the user-mode network."""
BOOTFILES: Final = {
    Firmware.BIOS: "boot.ipxe",
    Firmware.UEFI: "shimx64.efi",
    Firmware.UEFI_SECURE: "shimx64.efi",
}
"""What DHCP names. QEMU's card for a BIOS has iPXE in its ROM."""
SETTINGS: Final = {"boot.ipxe": "set {name} {value}", "grub/grub.cfg": "set {name}='{value}'"}
"""File -> how a value is written in it, so that `${mac}` stays as it is in GRUB; iPXE fills it in itself."""
_ROOT: Final = "filesystem.squashfs"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a machine is."""

    serial: str
    mac: str


def point_bundle(bundle: Path, folder: Path, *, base: str, options: str) -> Path:
    """Set up a bundle in a folder of its own.

    Args:
        bundle: what `make netboot` wrote; not changed.
        folder: folder to make: links to the files, and the two boot scripts with the settings.
        base: URL that the root images come from.
        options: more kernel parameters; `${mac}`, `${serial}` and `${uuid}` may stand in it.

    Returns:
        `folder`, for a TFTP or HTTP server.

    Raises:
        LabError: the bundle is incomplete, or a script lacks a setting.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted(bundle.rglob("*")):
        target = folder / path.relative_to(bundle)
        if path.is_dir():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path.resolve())
    for name, form in SETTINGS.items():
        script = folder / name
        if not script.is_file():
            raise LabError(f"{bundle / name}: missing; run `make netboot PROFILE=test`")
        text = script.read_text(encoding="utf-8")
        for setting, value in (("base", base), ("options", options)):
            text = replace_setting(text, setting, form.format(name=setting, value=value))
        script.unlink()
        script.write_text(text, encoding="utf-8")
    return folder


def replace_setting(text: str, name: str, line: str) -> str:
    """Put `line` in the place of the one line that sets `name`. Raises LabError."""
    text, count = re.subn(rf"^set {name}\b.*$", lambda _: line, text, flags=re.MULTILINE)
    if count != 1:
        raise LabError(f"a boot script has {count} lines `set {name}`, not one:\n{text}")
    return text


def shrink_bundle(bundle: Path, folder: Path, root_bytes: int) -> Path:
    """Make a bundle whose root image is only the beginning of the real one, with a list that fits it.

    It cannot be started. It is for machines that must not even come so far, six downloads of half a gigabyte long.
    """
    point_bundle(bundle, folder, base="", options="")
    root = folder / _ROOT
    with root.open("rb") as whole:
        start = whole.read(root_bytes)
    root.unlink()
    root.write_bytes(start)
    image = folder / "netboot.img"
    image.unlink()
    image.write_bytes(render_netboot_image(folder, root_bytes))
    return folder


def netboot_spec(
    name: str, firmware: Firmware, identity: Identity, tftp: Path, services: Iterable[Service]
) -> MachineSpec:
    """Give a machine that starts over the user-mode network: no disk yet, 1 GiB of memory.

    Args:
        name: file name of its folder.
        firmware: how it starts.
        identity: who it is.
        tftp: a bundle, from `point_bundle`.
        services: servers that it reaches.

    Returns:
        The machine, with the relay of events.
    """
    nic = Nic(
        forwards=(),
        mac=identity.mac,
        boot=NetBoot.PXE,
        tftp=tftp,
        bootfile=BOOTFILES[firmware],
        services=tuple(services),
    )
    return MachineSpec(
        name=name, firmware=firmware, memory_mib=1024, nics=(nic,), serial=identity.serial, relay=True
    )


def render_dnsmasq(example: str, *, tftp_root: Path, fingerprint: str) -> str:
    """Turn the bundle's example for dnsmasq into a configuration, as its comments tell an administrator.

    Args:
        example: text of the bundle's dnsmasq.conf.
        tftp_root: folder of the bundle.
        fingerprint: of the certificate of the answer's server, for option 251.

    Returns:
        A configuration for `Namespace.start_dnsmasq`, whose network is that of the example.

    Raises:
        LabError: the example has not the lines that are changed here.
    """
    changes = {
        r"^tftp-root=.*$": f"tftp-root={tftp_root}",
        r"^#(dhcp-option=250,.*)$": r"\1",
        r"^#dhcp-option=251,.*$": f"dhcp-option=251,{fingerprint}",
    }
    for pattern, line in changes.items():
        example, count = re.subn(pattern, line, example, flags=re.MULTILINE)
        if count != 1:
            raise LabError(f"the example dnsmasq.conf has {count} lines like {pattern}, not one")
    return example
