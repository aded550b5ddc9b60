"""What the live system tells a person. Pure: facts in, text out, 78 columns where names allow it."""

from __future__ import annotations

from collections.abc import Sequence

from hostlib.banner import render_certificate
from hostlib.errors import ExitStatus
from hostlib.inventory import Disk, Inventory, Nic
from hostlib.paths import INSTALL_LOG, PRODUCT
from hostlib.sizes import render_size
from installer.config import InstallConfig
from installer.execute import render_target
from installer.volumes import ANSWER, LABELS

LOG_LINES = 12
HOW_TO_GET_A_SHELL = "A shell: Alt+F2 on the screen, Enter on a serial console."


def render_welcome(inventory: Inventory, version: str) -> str:
    """Give the text for a person at a machine without an answer file."""
    labels = " or ".join(LABELS)
    return (
        f"\n{PRODUCT} {version}: installs a hypervisor node on this machine.\n\n"
        f"Nothing has been changed. This version installs from an answer file:\n"
        f"  1. Put {ANSWER} on a FAT, ext4 or ISO volume labelled {labels}.\n"
        "  2. Attach it and start this machine again, or type:\n"
        f"       slipway-install validate {ANSWER}    (checks it, writes nothing)\n"
        "       slipway-install install --auto         (finds it and installs)\n"
        f"\n{render_machine(inventory)}\n"
    )


def render_machine(inventory: Inventory) -> str:
    """Give a short inventory: what an answer file needs to name."""
    disks = [line for disk in inventory.disks for line in render_disk(disk)] or ["  none"]
    nics = [render_nic(nic) for nic in inventory.nics if nic.physical] or ["  none"]
    product = " ".join(part for part in (inventory.dmi.vendor, inventory.dmi.product) if part)
    serial = f", serial {inventory.dmi.serial}" if inventory.dmi.serial else ""
    firmware = inventory.firmware.mode.upper() + (
        " with Secure Boot" if inventory.firmware.secure_boot else ""
    )
    memory = render_size(inventory.memory_bytes)
    return "\n".join(
        [
            f"Machine: {product or 'unknown'}{serial}, {firmware}, {memory} of memory",
            "Disks:",
            *disks,
            "Network interfaces:",
            *nics,
        ]
    )


def render_disk(disk: Disk) -> list[str]:
    """Give the lines of one disk: its name for good, then what it is and what is on it."""
    what = [
        render_size(disk.size_bytes),
        disk.model,
        f"serial {disk.serial}" if disk.serial else "",
        disk.name,
    ]
    lines = [f"  {disk.stable_path}", f"      {', '.join(part for part in what if part)}"]
    if disk.boot_medium:
        lines.append("      this system was started from it")
    elif disk.contents:
        lines.append(
            f"      holds {', '.join(dict.fromkeys(_content(c.type, c.label or c.vg) for c in disk.contents))}"
        )
    else:
        lines.append("      empty")
    return lines


def _content(kind: str, name: str) -> str:
    return f"{kind} ({name})" if name else kind


def render_nic(nic: Nic) -> str:
    """Give the line of one network interface."""
    link = {True: "link", False: "no link", None: "down"}[nic.link]
    return f"  {nic.name:<12} {nic.mac}  {link:<8} {', '.join(nic.addresses) or 'no address'}"


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
