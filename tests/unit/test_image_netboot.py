"""The netboot bundle: the second initrd that carries the checksums, and the files that are filled in."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from hostlib.sizes import MIB
from image.iso import CMDLINE
from image.netboot import (
    FETCHED,
    RESERVE_BYTES,
    TEMPLATES,
    fill_in,
    needed_memory_bytes,
    render_cpio,
    render_netboot_image,
)

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / "image/mkosi/mkosi.extra/usr/lib/live/boot/9991-slipway-netboot.sh"


def read_cpio(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Read a `newc` archive as the kernel does: path -> mode and content, up to the trailer."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode()
        start = (at + 110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], archive[start : start + fields[6]])
        at = (start + fields[6] + 3) // 4 * 4


def test_the_archive_is_one_that_the_kernel_unpacks() -> None:
    archive = render_cpio({"etc": None, "etc/a": "x", "etc/four": "1234", "etc/empty": ""})
    assert len(archive) % 4 == 0
    assert read_cpio(archive) == {
        "etc": (0o40755, b""),
        "etc/a": (0o100644, b"x"),
        "etc/four": (0o100644, b"1234"),
        "etc/empty": (0o100644, b""),
    }


def test_the_second_initrd_names_every_fetched_file(tmp_path: Path) -> None:
    for number, name in enumerate(FETCHED):
        (tmp_path / name).write_bytes(bytes(number + 1))
    files = read_cpio(render_netboot_image(tmp_path, 768 * MIB))
    lines = files["etc/slipway-netboot/files"][1].decode().splitlines()
    assert lines == [
        f"{hashlib.sha256(bytes(number + 1)).hexdigest()} {number + 1} {name}"
        for number, name in enumerate(FETCHED)
    ]
    assert files["etc/slipway-netboot/memory-mib"][1] == b"768\n"


def test_the_script_in_the_initramfs_reads_what_the_build_writes() -> None:
    text = SCRIPT.read_text()
    assert "SLIPWAY_LIST=/etc/slipway-netboot/files\n" in text
    assert "SLIPWAY_MEMORY=/etc/slipway-netboot/memory-mib\n" in text
    assert "read -r sum size name" in text


def test_memory_is_that_of_the_files_and_of_the_live_system() -> None:
    assert needed_memory_bytes([MIB, 2 * MIB]) == 3 * MIB + RESERVE_BYTES


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_filled_in_completely(template: str) -> None:
    text = (PROJECT / "image/netboot" / template).read_text()
    filled = fill_in(text, {"VERSION": "1.2", "CMDLINE": CMDLINE, "MEMORY_MIB": "900"})
    assert not re.search(r"@[A-Z_]+@", filled)
    assert "1.2" in filled


@pytest.mark.parametrize("template", ["boot.ipxe.in", "grub.cfg.in"])
def test_boot_scripts_load_both_initrds_and_name_the_first_image(template: str) -> None:
    text = (PROJECT / "image/netboot" / template).read_text()
    kernel = next(line for line in text.splitlines() if re.match(r"\s*(kernel|linux) ", line))
    assert f"fetch=${{base}}/{FETCHED[0]} " in kernel
    assert "BOOTIF=01-" in kernel
    assert re.search(r"initrd .*initrd\.img", text)
    assert re.search(r"initrd .*netboot\.img", text)
