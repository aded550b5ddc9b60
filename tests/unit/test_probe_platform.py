import re
from pathlib import Path

import pytest

from hostlib.inventory import Cpu, Dmi, Firmware
from hostlib.probe.platform import (
    parse_cpuinfo,
    read_cpu,
    read_dmi,
    read_firmware,
    read_kernel_cmdline,
    read_memory_bytes,
)

SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def write(root: Path, path: str, content: str | bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())


def cpuinfo(flags: str, threads: int = 2) -> str:
    model = "model name\t: QEMU TCG CPU version 2.5+"
    return "\n".join(f"processor\t: {n}\n{model}\nflags\t\t: {flags}\n" for n in range(threads))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (cpuinfo("fpu vmx lm"), Cpu(model="QEMU TCG CPU version 2.5+", threads=2, virtualisation="vmx")),
        (cpuinfo("fpu svm", 1), Cpu(model="QEMU TCG CPU version 2.5+", threads=1, virtualisation="svm")),
        # Words that only contain a flag's name.
        (cpuinfo("svm_lock vmxnet"), Cpu(model="QEMU TCG CPU version 2.5+", threads=2)),
        ("", Cpu(threads=1)),
    ],
)
def test_cpuinfo(text: str, expected: Cpu) -> None:
    assert parse_cpuinfo(text) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Firmware(mode="bios")),
        ({"sys/firmware/efi/fw_platform_size": "64"}, Firmware(mode="uefi")),
        ({SECURE_BOOT: b"\x06\x00\x00\x00\x01"}, Firmware(mode="uefi", secure_boot=True)),
        ({SECURE_BOOT: b"\x06\x00\x00\x00\x00"}, Firmware(mode="uefi")),
        ({SECURE_BOOT: b"\x01"}, Firmware(mode="uefi")),
    ],
)
def test_firmware(tmp_path: Path, files: dict[str, str | bytes], expected: Firmware) -> None:
    for path, content in files.items():
        write(tmp_path, path, content)
    assert read_firmware(tmp_path) == expected


def test_a_recorded_machine(tmp_path: Path) -> None:
    write(tmp_path, "sys/class/dmi/id/sys_vendor", "QEMU\n")
    write(tmp_path, "sys/class/dmi/id/product_name", "Standard PC (Q35 + ICH9, 2009)\n")
    write(tmp_path, "sys/class/dmi/id/product_uuid", "6F1C8D5E-2A47-4B0E-9C3D-51A0C2D4E601\n")
    write(tmp_path, "proc/meminfo", "MemTotal:        1965668 kB\nMemFree:          213120 kB\n")
    write(tmp_path, "proc/cmdline", "boot=live slipway.mode=auto\n")
    write(tmp_path, "proc/cpuinfo", cpuinfo("svm"))
    assert read_dmi(tmp_path) == Dmi(
        vendor="QEMU",
        product="Standard PC (Q35 + ICH9, 2009)",
        uuid="6f1c8d5e-2a47-4b0e-9c3d-51a0c2d4e601",
    )
    assert read_memory_bytes(tmp_path) == 1965668 * 1024
    assert read_kernel_cmdline(tmp_path) == "boot=live slipway.mode=auto"
    assert read_cpu(tmp_path).virtualisation == "svm"


def test_the_command_line_is_read_without_its_secrets(tmp_path: Path) -> None:
    line = "a slipway.answer-token=name:s3cret slipway.answer=https://user:pw@h/?key=s3cret fetch=http://u:pw@h/a b"
    write(tmp_path, "proc/cmdline", line)
    found = read_kernel_cmdline(tmp_path)
    assert found.startswith("a slipway.answer-token=<redacted> slipway.answer=https://")
    assert found.endswith(" b")
    assert not {"s3cret", "pw"} & set(re.split(r"[^a-z0-9]", found))


def test_memory_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no MemTotal"):
        read_memory_bytes(tmp_path)
