"""The files that make the copied system this node: names, network, mounts, keyboard, time zone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hostlib.errors import StepError
from hostlib.files import write_atomic
from hostlib.firewall import RULES, render_firewall
from hostlib.netrender import (
    render_hostname,
    render_hosts,
    render_interfaces,
    render_link,
    render_resolv_conf,
)
from hostlib.paths import TARGET
from installer.answers import KEYBOARDS
from installer.config import InstallConfig
from installer.steps.base import Context, Preview, Progress
from installer.steps.filesystems import Filesystem, read_uuid, uuid_command
from installer.steps.lvm import ROOT, SWAP
from installer.steps.partition import ESP
from installer.steps.wipe import partition_path

SAVE_KEYMAP = ("setupcon", "--keyboard-only", "--save-only")
"""Makes the key map that is loaded at boot; without it the image's own, made when it was built, stays."""


def render_fstab(filesystem: Filesystem, root: str, esp: str, swap: str | None) -> str:
    """Give /etc/fstab; the arguments are UUIDs.

    `nofail` for the ESP: a node that has come up far enough to read this file does not need it to run.
    """
    options = {"ext4": "errors=remount-ro", "xfs": "defaults"}[filesystem]
    lines = [
        "# <file system> <mount point> <type> <options> <dump> <pass>",
        f"UUID={root} / {filesystem} {options} 0 1",
        f"UUID={esp} /boot/efi vfat umask=0077,nofail 0 1",
    ]
    if swap:
        lines.append(f"UUID={swap} none swap sw 0 0")
    return "\n".join(lines) + "\n"


def render_keyboard(keyboard: str) -> str:
    """Give /etc/default/keyboard for a layout id of the answer file."""
    layout, variant = KEYBOARDS[keyboard]
    return (
        f'XKBMODEL="pc105"\nXKBLAYOUT="{layout}"\nXKBVARIANT="{variant}"\nXKBOPTIONS=""\nBACKSPACE="guess"\n'
    )


def render_files(config: InstallConfig) -> dict[str, str]:
    """Give the files that follow from the configuration alone: path relative to the root -> text."""
    network = config.network
    files = {
        "etc/hostname": render_hostname(config.fqdn),
        "etc/hosts": render_hosts(config.fqdn, network.address),
        "etc/resolv.conf": render_resolv_conf(network.domain, network.dns),
        "etc/network/interfaces": render_interfaces(network),
        # The image's lets in everybody, and first boot comes when sshd is reached already.
        str(RULES.relative_to("/")): render_firewall(network.management),
        "etc/default/keyboard": render_keyboard(config.keyboard),
        "etc/default/locale": "LANG=C.UTF-8\n",
        # Empty, not absent: systemd makes an id at the first boot and does not ask questions.
        "etc/machine-id": "",
    }
    for mac, name in sorted(network.pinned.items(), key=lambda pin: pin[1]):
        files[f"etc/systemd/network/50-slipway-{name}.link"] = render_link(mac, name)
    return files


@dataclass(frozen=True, slots=True)
class SystemFiles:
    """Step: the files of this node are written, and what belongs to another machine is gone."""

    config: InstallConfig
    name: ClassVar[str] = "system files"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = True

    def describe(self) -> list[Preview]:
        """Give the files; the UUIDs in fstab are known once the file systems are made."""
        swap = "<swap>" if self.config.layout.swap_bytes else None
        fstab = render_fstab(self.config.filesystem, "<root>", "<ESP>", swap)
        files = {"etc/fstab": fstab} | render_files(self.config)
        previews = [Preview(command=uuid_command(device)) for device in self._devices()]
        previews += [Preview(path=f"/{path}", content=text) for path, text in files.items()]
        zone = ("ln", "-sf", f"/usr/share/zoneinfo/{self.config.timezone}", str(TARGET / "etc/localtime"))
        return [*previews, Preview(command=zone), Preview(command=("chroot", str(TARGET), *SAVE_KEYMAP))]

    def run(self, context: Context, progress: Progress) -> None:
        """Write the files."""
        root = context.target
        for path, text in render_files(self.config).items():
            write_atomic(root / path, text, 0o444 if path == "etc/machine-id" else 0o644)
        write_atomic(root / "etc/fstab", self._read_fstab(context))
        _set_timezone(root, self.config.timezone)
        _forget_identity(root)
        progress(0.5)
        context.runner.run(SAVE_KEYMAP, chroot=root)

    def _devices(self) -> list[str]:
        """Give the devices in fstab: root, ESP and, if there is one, swap."""
        devices = [ROOT, partition_path(self.config.target.path, ESP)]
        return [*devices, SWAP] if self.config.layout.swap_bytes else devices

    def _read_fstab(self, context: Context) -> str:
        root, esp, *swap = (read_uuid(context.runner, device) for device in self._devices())
        return render_fstab(self.config.filesystem, root, esp, swap[0] if swap else None)


def _set_timezone(root: Path, timezone: str) -> None:
    """Link /etc/localtime. Debian 13 keeps no /etc/timezone any more."""
    zone = Path("usr/share/zoneinfo") / timezone
    if not (root / zone).is_file():
        raise StepError(f"time zone {timezone} is not in the system that was copied")
    link = root / "etc/localtime"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("/") / zone)


def _forget_identity(root: Path) -> None:
    """Remove what must not be the same on two nodes; first boot makes it anew."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    dbus = root / "var/lib/dbus/machine-id"
    if not dbus.is_symlink():
        dbus.unlink(missing_ok=True)
