"""What the live system tells a person. Pure: facts in, text out, 78 columns where names allow it."""

from __future__ import annotations

from collections.abc import Sequence

from hostlib.banner import render_certificate
from hostlib.errors import ExitStatus
from hostlib.paths import INSTALL_LOG, PRODUCT
from installer.config import InstallConfig
from installer.execute import render_target

LOG_LINES = 12
HOW_TO_GET_A_SHELL = "A shell: Alt+F2 on the screen, Enter on a serial console."
OF_CLUSTER = "Once the node is in its cluster it shows another certificate, whose\nfingerprint is on the node's own console."
"""The CA of the cluster signs it, after the installation."""


def render_intent(config: InstallConfig, source: str) -> str:
    """Give what is about to happen, before the countdown."""
    return (
        f"\n{PRODUCT}: {source}\n"
        f"  node   {config.fqdn}, {config.network.address} on {config.network.nic} ({config.network.mac})\n"
        f"  disk   {render_target(config.target)}\n"
        "         everything on this disk will be erased\n"
        + "".join(
            f"  also   VG pve on another disk (UUID {uuid}) is renamed to {name}\n"
            for uuid, name in config.rename_vgs.items()
        )
    )


def render_success(config: InstallConfig, fingerprint: str, *, restarts: bool) -> str:
    """Give the text after an installation. `restarts`: the live system ends by itself.

    `fingerprint` is the web console's, for the person to compare with what the browser shows.
    """
    then = {"reboot": "The machine restarts now.", "power-off": "The machine is switched off now."}
    now = then[config.reboot_mode] if restarts else "Restart the machine to start the node."
    console = [f"  Web console  {config.url}  (user root)", *render_certificate(fingerprint)]
    return (
        f"\n{config.fqdn} is installed. {now}\n"
        "The first boot takes a few minutes. Then the node is at\n\n"
        + "\n".join(console)
        + ("" if config.enrollment.mode == "none" else f"\n\n{OF_CLUSTER}")
        + "\n\nIf the machine starts this medium again, remove it or choose the disk in the firmware.\n"
    )


def render_failure(reason: str, status: int, log: Sequence[str]) -> str:
    """Give the text after a failure; `log` holds the lines of the log.

    A refusal says all by itself, and its log holds only what was looked at.
    """
    lines = ["", *reason.splitlines(), ""]
    if status in {ExitStatus.BAD_INPUT, ExitStatus.CHECK_BLOCKS}:
        lines += [f"Nothing has been written to a disk. The log is {INSTALL_LOG}", ""]
    elif log:
        lines += [f"Last lines of {INSTALL_LOG}:", *(f"  {line}" for line in log[-LOG_LINES:]), ""]
    lines += [f"Installation failed (exit status {status})", HOW_TO_GET_A_SHELL, ""]
    return "\n".join(lines) + "\n"
