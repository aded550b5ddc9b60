import json
import random
import re
import struct
from pathlib import Path

import pytest

from hostlib.dmi import read_dmi
from hostlib.inventory import Clock, Cpu, Firmware
from hostlib.probe.platform import (
    parse_cpuinfo,
    read_clock,
    read_cpu,
    read_firmware,
    read_kernel_cmdline,
    read_memory_bytes,
    read_tpm,
)
from hostlib.probe.smbios import parse_uefi_capable
from hostlib.probe.source import Source
from hostlib.record import Dmi

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
        (cpuinfo("fpu vmx lm"), Cpu(threads=2, virtualisation="vmx", flags=("fpu", "vmx", "lm"))),
        (cpuinfo("fpu svm", 1), Cpu(threads=1, virtualisation="svm", flags=("fpu", "svm"))),
        # Words that only contain a flag's name.
        (cpuinfo("svm_lock vmxnet"), Cpu(threads=2, flags=("svm_lock", "vmxnet"))),
        (cpuinfo(""), Cpu(threads=2)),
    ],
)
def test_cpuinfo(text: str, expected: Cpu) -> None:
    assert parse_cpuinfo(text) == expected.model_copy(update={"model": "QEMU TCG CPU version 2.5+"})


def test_no_cpuinfo(tmp_path: Path) -> None:
    assert read_cpu(tmp_path) == Cpu(threads=1)


def bios(
    extension_2: int, length: int = 0x18, texts: bytes = b"SeaBIOS\x001.16.3\x0004/01/2014\0\0"
) -> bytes:
    """An SMBIOS structure of type 0 with `BIOS characteristics are not supported`, as QEMU has it."""
    fixed = struct.pack("<BBHBBHBBQBB", 0, length, 0, 1, 2, 0xE800, 3, 0, 0x08, 0, extension_2).ljust(
        0x18, b"\0"
    )
    return fixed[:length] + texts


SYSTEM = struct.pack("<BBH", 1, 27, 0x100).ljust(27, b"\0") + b"\0\0"
END = b"\x7f\x04\xfe\xfe\0\0"
SEABIOS = bios(0x14) + SYSTEM + END
DELL = SYSTEM + bios(0x0D) + END


@pytest.mark.parametrize(
    ("table", "capable"),
    [
        (SEABIOS, False),
        (bios(0x1C) + END, True),
        (DELL, True),
        (bios(0x08, texts=b"\0\0"), True),
        # SMBIOS 2.3 has no second extension byte.
        (bios(0x08, length=0x13) + END, None),
        (bios(0x08, length=0x14), True),
        (SYSTEM + END, None),
        # What stands behind the end is none of the table's.
        (END + bios(0x08), None),
        (b"", None),
        (b"\0\0\0", None),
        (b"\0" * 4096, None),
        (b"\xff" * 4096, None),
        # A length that leads beyond the table, one that leads nowhere, and texts without an end.
        (b"\x01\xff\0\0\0\0" + bios(0x08), None),
        (b"\x01\0\0\0\0\0" + bios(0x08), None),
        (bios(0x08, texts=b"SeaBIOS\0"), None),
    ],
)
def test_uefi_support_by_smbios(table: bytes, *, capable: bool | None) -> None:
    assert parse_uefi_capable(table) is capable


@pytest.mark.parametrize("size", range(len(SYSTEM + bios(0x08))))
def test_a_table_that_is_cut_off_tells_nothing(size: int) -> None:
    assert parse_uefi_capable((SYSTEM + bios(0x08))[:size]) is None


def test_no_garbage_breaks_the_reader_of_smbios() -> None:
    chance = random.Random(5)  # noqa: S311 - the same garbage each time
    for _ in range(300):
        assert parse_uefi_capable(chance.randbytes(chance.randrange(200))) in {True, False, None}


DMI = "sys/class/dmi/id"
TABLE = "sys/firmware/dmi/tables/DMI"
UEFI = Firmware(mode="uefi", uefi_capable=True)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Firmware(mode="bios")),
        ({"sys/firmware/efi/fw_platform_size": "64"}, UEFI),
        ({SECURE_BOOT: b"\x06\x00\x00\x00\x01"}, Firmware(mode="uefi", secure_boot=True, uefi_capable=True)),
        ({SECURE_BOOT: b"\x06\x00\x00\x00\x00"}, UEFI),
        ({SECURE_BOOT: b"\x01"}, UEFI),
        # Firmware that was started by UEFI supports it, whatever its table says.
        ({SECURE_BOOT: b"\x01", TABLE: SEABIOS}, UEFI),
        ({TABLE: SEABIOS}, Firmware(mode="bios", uefi_capable=False)),
        ({TABLE: b"\x00\x18"}, Firmware(mode="bios")),
        (
            {TABLE: DELL, f"{DMI}/bios_vendor": "Dell Inc.\n", f"{DMI}/bios_version": "2.19.1\n"}
            | {f"{DMI}/bios_date": "06/04/2023\n"},
            Firmware(mode="bios", uefi_capable=True, vendor="Dell Inc.", version="2.19.1", date="06/04/2023"),
        ),
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


@pytest.mark.parametrize(
    ("majors", "version"),
    [({}, ""), ({"tpm0": "2\n"}, "2.0"), ({"tpm0": "1\n"}, "1.2"), ({"tpm0": "\n"}, ""), ({"tpm0": "1", "tpm1": "2"}, "2.0")],
)  # fmt: skip
def test_tpm(tmp_path: Path, majors: dict[str, str], version: str) -> None:
    for name, major in majors.items():
        write(tmp_path, f"sys/class/tpm/{name}/tpm_version_major", major)
    assert read_tpm(tmp_path) == version


RTC = "sys/class/rtc/rtc0/since_epoch"
RELEASE = "usr/lib/slipway/release.json"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {RTC: "1772276400\n", RELEASE: json.dumps({"built_at": "2026-02-28T10:00:00+00:00"})},
            Clock(system_seconds=7, hardware_seconds=1772276400, image_seconds=1772272800, synchronised=True),
        ),
        ({}, Clock(system_seconds=7, synchronised=True)),
        ({RTC: "", RELEASE: "{}"}, Clock(system_seconds=7, synchronised=True)),
        ({RTC: "-1", RELEASE: '{"built_at": "yesterday"}'}, Clock(system_seconds=7, synchronised=True)),
        ({RELEASE: "{"}, Clock(system_seconds=7, synchronised=True)),
    ],
)
def test_clock(tmp_path: Path, files: dict[str, str], expected: Clock) -> None:
    for path, text in files.items():
        write(tmp_path, path, text)
    assert read_clock(Source(root=tmp_path, now=lambda: 7, synchronised=lambda: True)) == expected
