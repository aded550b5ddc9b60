"""The netboot bundle: what a TFTP and an HTTP server give out, so that machines install without a medium."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from hostlib.files import write_atomic
from hostlib.sizes import MIB, render_size
from image.build import Build, run_build
from image.iso import CMDLINE, render_sums
from image.layer import read_version
from image.mirror import read_mirrors
from image.tools import ensure_mkosi

FETCHED: Final = ("filesystem.squashfs", "slipway.squashfs", "initrd.img")
"""In the order in which a machine fetches them into memory. The initramfs is copied to the node from there."""
LOADERS: Final = {"shimx64.efi": "shimx64.efi", "grubnetx64.efi": "grubx64.efi", "mmx64.efi": "mmx64.efi"}
"""Signed loader -> the name that the one before it looks for."""
IPXE: Final = "/usr/lib/ipxe/undionly.kpxe"
TEMPLATES: Final = {"boot.ipxe.in": "boot.ipxe", "grub.cfg.in": "grub/grub.cfg", "dnsmasq.conf.in": "dnsmasq.conf",
                    "README.md.in": "README.md"}  # fmt: skip
RESERVE_BYTES: Final = 300 * MIB
"""What the live system and an installation need beside the fetched files; docs/netboot.md tells how it was found."""


def run_netboot(build: Build) -> Path:
    """Make out/netboot/ from the same files as the ISO, which is made first. Gives the folder.

    Raises UserError, BuildError, CommandError, OSError.
    """
    run_build(build)
    version = read_version(build.project)
    bundle = build.project / "out" / ("netboot" if build.profile == "release" else f"netboot-{build.profile}")
    with build.report.step("netboot bundle"):
        unfinished = bundle.with_name(f".{bundle.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "grub").mkdir(parents=True)
        _link_files(build, unfinished)
        mkosi = ensure_mkosi(build.runner, build.project, read_mirrors(build.runner))
        mkosi.run_tool(build.runner, ["cp", IPXE, str(unfinished)])
        memory = needed_memory_bytes([(unfinished / name).stat().st_size for name in FETCHED])
        write_atomic(unfinished / "netboot.img", render_netboot_image(unfinished, memory))
        values = {"VERSION": version, "CMDLINE": CMDLINE, "MEMORY_MIB": str(memory // MIB)}
        for source, name in TEMPLATES.items():
            text = (build.project / "image/netboot" / source).read_text(encoding="utf-8")
            write_atomic(unfinished / name, fill_in(text, values))
        write_atomic(unfinished / "SHA256SUMS", render_sums(unfinished))
        shutil.rmtree(bundle, ignore_errors=True)
        unfinished.rename(bundle)
    build.report.say(f"{bundle}: machines need {render_size(memory)} of memory that the kernel can use")
    return bundle


def _link_files(build: Build, folder: Path) -> None:
    sources = {name: build.base / name for name in ("vmlinuz", "initrd.img", "filesystem.squashfs")}
    sources["slipway.squashfs"] = build.layer
    sources |= {name: build.base / "efi" / loader for loader, name in LOADERS.items()}
    for name, source in sources.items():
        try:
            os.link(source, folder / name)
        except OSError:
            # Another file system, or one without hard links.
            shutil.copyfile(source, folder / name)


def needed_memory_bytes(sizes_bytes: list[int]) -> int:
    """Give the memory that a machine needs, of what the kernel counts as its own (MemTotal)."""
    return sum(sizes_bytes) + RESERVE_BYTES


def fill_in(template: str, values: dict[str, str]) -> str:
    """Replace `@NAME@` in a template."""
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template


def render_netboot_image(folder: Path, memory_bytes: int) -> bytes:
    """Give the second initrd: size and SHA-256 of each file that a machine fetches, and the memory it needs."""
    lines = []
    for name in FETCHED:
        with (folder / name).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        lines.append(f"{digest} {(folder / name).stat().st_size} {name}\n")
    root = "etc/slipway-netboot"
    return render_cpio(
        {root: None, f"{root}/files": "".join(lines), f"{root}/memory-mib": f"{memory_bytes // MIB}\n"}
    )


def render_cpio(files: dict[str, str | None]) -> bytes:
    """Give a cpio archive for the kernel: path -> text, None for a folder.

    Format `newc`: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
    """
    archive = b""
    entries = [*files.items(), ("TRAILER!!!", "")]
    for number, (path, text) in enumerate(entries, start=1):
        data = (text or "").encode()
        mode = 0o100644 if text is not None else 0o040755
        name = path.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device and rdevice as two numbers each, length of name, check
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        archive += _pad(b"070701" + b"".join(b"%08X" % field for field in fields) + name) + _pad(data)
    return archive


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
