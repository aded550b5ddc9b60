"""Puts the ISO together: hybrid (CD, USB stick), BIOS and UEFI, Secure Boot with Debian's signed loaders."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostlib.files import write_atomic
from hostlib.run import Runner
from hostlib.sizes import MIB, align_up
from image.tools import Mkosi

CMDLINE: Final = "boot=live components noeject md_mod.start_ro=1 loglevel=4 console=tty0 console=ttyS0,115200"
"""loglevel=4: the consoles belong to the installer, warnings are shown. md_mod.start_ro: an array that is assembled
by hand stays unwritten until something writes to it."""
GRUB_I386: Final = "/usr/lib/grub/i386-pc"
# What GRUB needs before it can load modules from the ISO, and what the menu uses.
GRUB_MODULES: Final = ("biosdisk", "iso9660", "part_gpt", "part_msdos", "search", "search_fs_file", "normal",
                       "linux", "serial", "terminal", "configfile", "echo", "test", "ls", "cat", "halt", "reboot")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parts:
    """The files that an ISO is made of."""

    kernel: Path
    initrd: Path
    root: Path
    layer: Path
    efi: Path
    """Folder with the signed shimx64.efi, gcdx64.efi, mmx64.efi."""


def render_grub_config(template: str, version: str) -> str:
    """Fill in the boot menu."""
    values = {
        "VERSION": version,
        "CMDLINE": CMDLINE,
        # The kernel takes one console of each driver, so both serial ports in one entry are not possible.
        "CMDLINE_TTYS1": CMDLINE.replace("ttyS0", "ttyS1"),
    }
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template


def render_volume_label(version: str) -> str:
    """Give the ISO's volume label. It differs from `SLIPWAY`, the label of an answer volume."""
    return "SLIPWAY_" + "".join(c if c.isalnum() else "_" for c in version.upper())


def make_iso(runner: Runner, mkosi: Mkosi, parts: Parts, *, version: str, work: Path, iso: Path) -> None:
    """Write the ISO to `iso`, all or nothing. Raises CommandError, OSError."""
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "live").mkdir(parents=True)
    for source, name in ((parts.kernel, "vmlinuz"), (parts.initrd, "initrd.img"),
                         (parts.root, "filesystem.squashfs"), (parts.layer, "slipway.squashfs")):  # fmt: skip
        (tree / "live" / name).hardlink_to(source)
    write_atomic(tree / "live/SHA256SUMS", render_sums(tree / "live"))
    write_atomic(tree / ".disk/info", f"Slipway {version}\n")  # Debian's signed GRUB looks for this file
    template = (mkosi.project / "image/boot/grub.cfg.in").read_text(encoding="utf-8")
    write_atomic(tree / "boot/grub/grub.cfg", render_grub_config(template, version))
    (tree / "EFI/BOOT").mkdir(parents=True)
    for loader, name in (("shimx64", "BOOTX64"), ("gcdx64", "grubx64"), ("mmx64", "mmx64")):
        shutil.copyfile(parts.efi / f"{loader}.efi", tree / f"EFI/BOOT/{name}.EFI")
    _make_bios_image(runner, mkosi, tree)
    efi_image = work / "efi.img"
    _make_efi_image(runner, mkosi, tree, efi_image)
    unfinished = iso.with_name(f".{iso.name}.part")
    unfinished.unlink(missing_ok=True)
    try:
        argv = xorriso_argv(tree, efi_image, unfinished, render_volume_label(version))
        mkosi.run_tool(runner, argv)
        unfinished.replace(iso)
    finally:
        unfinished.unlink(missing_ok=True)


def render_sums(folder: Path) -> str:
    """Give the SHA-256 sums of the files in a folder and below it, as sha256sum(1) prints them."""
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder)}\n")
    return "".join(lines)


def _make_bios_image(runner: Runner, mkosi: Mkosi, tree: Path) -> None:
    folder = tree / "boot/grub/i386-pc"
    folder.mkdir(parents=True)
    output = folder / "eltorito.img"
    argv = [
        "grub-mkimage",
        "--format=i386-pc-eltorito",
        "--prefix=/boot/grub",
        f"--output={output}",
        *GRUB_MODULES,
    ]
    mkosi.run_tool(runner, argv)


def _make_efi_image(runner: Runner, mkosi: Mkosi, tree: Path, image: Path) -> None:
    """Make the FAT file system that UEFI firmware boots from."""
    files = sorted((tree / "EFI/BOOT").iterdir())
    size = align_up(sum(path.stat().st_size for path in files) + MIB, MIB)
    image.unlink(missing_ok=True)
    with image.open("wb") as stream:
        stream.truncate(size)
    mkosi.run_tool(runner, ["mkfs.vfat", "-n", "SLIPWAY_EFI", str(image)])
    mkosi.run_tool(runner, ["mmd", "-i", str(image), "::EFI", "::EFI/BOOT"])
    mkosi.run_tool(runner, ["mcopy", "-i", str(image), *map(str, files), "::EFI/BOOT/"])


def xorriso_argv(tree: Path, efi_image: Path, output: Path, label: str) -> list[str]:
    """Give the xorriso command: El Torito for BIOS and UEFI, and a partition table for USB sticks.

    The EFI image is appended as a GPT partition and named by El Torito in place; partition 1 begins at
    sector 64 so that the ISO file system can be mounted as a partition too (xorrisofs(1), grub-mkrescue).
    """
    return [
        "xorriso", "-as", "mkisofs", "-quiet", "-V", label, "-o", str(output),
        "-iso-level", "3", "-rational-rock", "-joliet", "-joliet-long", "-full-iso9660-filenames",
        "--grub2-mbr", f"{GRUB_I386}/boot_hybrid.img", "--protective-msdos-label",
        "-partition_cyl_align", "off", "-partition_offset", "16", "--mbr-force-bootable",
        "-append_partition", "2", "0xef", str(efi_image), "-appended_part_as_gpt",
        "-c", "/boot/boot.cat",
        "-b", "/boot/grub/i386-pc/eltorito.img", "-no-emul-boot", "-boot-load-size", "4",
        "-boot-info-table", "--grub2-boot-info",
        "-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot",
        str(tree),
    ]  # fmt: skip
