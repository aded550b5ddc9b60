"""GRUB for BIOS and UEFI on one disk, so that a node still starts when its firmware's mode is changed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import ClassVar, Final

from hostlib.errors import CommandError
from hostlib.files import write_atomic
from hostlib.paths import PRODUCT, TARGET
from installer.config import InstallConfig
from installer.steps.base import Context, Preview, Progress

GRUB_CFG: Final = "etc/default/grub.d/slipway.cfg"
LIMIT_SECONDS: Final = 1200.0
"""For each command: the menu and an initramfs take minutes where the processor is emulated."""


def render_grub_defaults(kernel_args: tuple[str, ...]) -> str:
    """Give /etc/default/grub.d/slipway.cfg, which the shell of update-grub reads.

    The image has no /etc/default/grub: everything that differs from GRUB's own defaults stands here.
    """
    lines = [
        "# Written by the installer. Add files beside this one to change something; later names win.",
        f'GRUB_DISTRIBUTOR="{PRODUCT}"',
        "GRUB_TIMEOUT=3",
        # Warnings only: the console shows the node's address, not each link of each guest.
        'GRUB_CMDLINE_LINUX_DEFAULT="loglevel=4"',
        f"GRUB_CMDLINE_LINUX={shlex.quote(' '.join(kernel_args))}",
    ]
    consoles = [
        found for arg in kernel_args if (found := re.fullmatch(r"console=ttyS(\d+)(?:,(\d+).*)?", arg))
    ]
    if consoles:
        # Not `console` as an output: UEFI firmware repeats that one on the serial line itself.
        unit, speed = consoles[-1][1], consoles[-1][2] or "9600"
        lines += [
            'GRUB_TERMINAL_INPUT="console serial"',
            'GRUB_TERMINAL_OUTPUT="gfxterm serial"',
            f'GRUB_SERIAL_COMMAND="serial --unit={unit} --speed={speed}"',
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class BootLoader:
    """Step: the disk starts the node."""

    config: InstallConfig
    name: ClassVar[str] = "boot loader"
    weight: ClassVar[int] = 15
    writes: ClassVar[bool] = True

    def _bios(self) -> tuple[str, ...]:
        return ("grub-install", "--target=i386-pc", self.config.target.path)

    def _uefi(self, *, nvram: bool) -> tuple[str, ...]:
        return (
            "grub-install",
            "--target=x86_64-efi",
            "--efi-directory=/boot/efi",
            # Debian's signed GRUB looks for its configuration in /EFI/debian, whatever its own folder is.
            "--bootloader-id=debian",
            # The fallback path too: for firmware that forgets its entries, and for a disk in another machine.
            "--force-extra-removable",
            "--uefi-secure-boot",
            *(() if nvram else ("--no-nvram",)),
        )

    def describe(self) -> list[Preview]:
        """Give the file and the commands."""
        commands = [self._uefi(nvram=self.config.firmware == "uefi"), ("update-grub",)]
        if self.config.layout.bios_boot:
            commands.insert(0, self._bios())
        defaults = Preview(path=f"/{GRUB_CFG}", content=render_grub_defaults(self.config.kernel_args))
        return [defaults, *(Preview(command=("chroot", str(TARGET), *command)) for command in commands)]

    def run(self, context: Context, progress: Progress) -> None:
        """Install both loaders and write the menu."""
        root = context.target
        # What the disk starts must be on the disk first.
        context.runner.run(["sync", "--file-system", str(root)], timeout_seconds=LIMIT_SECONDS)
        write_atomic(root / GRUB_CFG, render_grub_defaults(self.config.kernel_args))
        progress(0.1)
        if self.config.layout.bios_boot:
            context.runner.run(self._bios(), chroot=root, timeout_seconds=LIMIT_SECONDS)
        progress(0.4)
        self._install_uefi(context)
        progress(0.7)
        context.runner.run(["update-grub"], chroot=root, timeout_seconds=LIMIT_SECONDS)

    def _install_uefi(self, context: Context) -> None:
        root = context.target
        if self.config.firmware == "uefi":
            try:
                context.runner.run(self._uefi(nvram=True), chroot=root, timeout_seconds=LIMIT_SECONDS)
            except CommandError as error:
                context.warn(
                    "the firmware did not take a boot entry: the node starts by the fallback path "
                    "EFI/BOOT/BOOTX64.EFI; if it does not, choose the disk in the firmware's boot menu "
                    f"({error.output.splitlines()[-1] if error.output else error.reason})"
                )
            else:
                return
        context.runner.run(self._uefi(nvram=False), chroot=root, timeout_seconds=LIMIT_SECONDS)
