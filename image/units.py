"""Which systemd units belong to the node, which to the live system, and which run nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

NODE_ONLY: Final = (
    "cockpit-issue.service",
    "cockpit.socket",
    "console-setup.service",  # 17 s under emulation, for a font that the live system does not need
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "getty@tty1.service",  # the installer draws on tty1
    "incus-startup.service",
    "incus.service",
    "incus.socket",
    "lldpd.service",
    "logrotate.timer",
    "lxcfs.service",
    "mdcheck_continue.timer",
    "mdcheck_start.timer",
    "mdmonitor.service",
    "networking.service",
    "nftables.service",
    "serial-getty@.service",  # the installer draws on the serial consoles
    "smartmontools.service",
    "ssh.service",
)
LIVE_ONLY: Final = (
    "systemd-networkd.service",  # on the node ifupdown2 owns the network
    "systemd-networkd.socket",
)
ENABLED: Final = {
    "slipway-installer.service": "slipway-installer.service",
    "slipway-identity.service": "slipway-identity.service",
    "slipway-firstboot.service": "slipway-firstboot.service",
    "slipway-shell@tty2.service": "slipway-shell@.service",
    "slipway-check.timer": "slipway-check.timer",
    "slipway-agent.service": "slipway-agent.service",
}
"""Units of ours that start by themselves: instance -> unit file."""
MASKED: Final = (
    "chrony-wait.service",  # waits up to 180 s for a clock source that an isolated site lacks
    # For networkd's own DHCP server. It needs networkd itself, so each start of a node would say that it failed.
    "systemd-networkd-persistent-storage.service",
    "systemd-networkd-wait-online.service",  # the installer waits for the lease that it needs itself
    "systemd-firstboot.service",  # asks questions on the console
    "systemd-pcrlock-make-policy.service",
)
NO_GENERATORS: Final = ("systemd-ssh-generator",)
"""Generators that must not run: this one opens sshd on a VM's vsock, beside the ports that a node has."""


def render_units() -> dict[Path, str]:
    """Give the drop-ins: path relative to the root of the image -> text."""
    system = Path("etc/systemd/system")
    conditions = dict.fromkeys(NODE_ONLY, "!boot=live") | dict.fromkeys(LIVE_ONLY, "boot=live")
    return {
        system / f"{unit}.d/10-slipway.conf": f"[Unit]\nConditionKernelCommandLine={condition}\n"
        for unit, condition in conditions.items()
    }


def _starter(unit: str) -> str:
    return "timers.target" if unit.endswith(".timer") else "multi-user.target"


def render_links() -> dict[Path, str]:
    """Give the symbolic links that enable and mask units: path relative to the root -> target."""
    system = Path("etc/systemd/system")
    enabled = {
        system / f"{_starter(unit)}.wants" / instance: f"/usr/lib/systemd/system/{unit}"
        for instance, unit in ENABLED.items()
    }
    masked = {system / unit: "/dev/null" for unit in MASKED}
    return (
        enabled
        | masked
        | {Path("etc/systemd/system-generators") / name: "/dev/null" for name in NO_GENERATORS}
    )
