"""Firmware, processor and memory of this machine. `root` is where /sys and /proc are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hostlib.files import read_if_there
from hostlib.http import redact_url
from hostlib.inventory import Cpu, Dmi, Firmware
from hostlib.run import REDACTED
from hostlib.sizes import KIB

_DMI: Final = Path("sys/class/dmi/id")
_EFI: Final = Path("sys/firmware/efi")
_SECURE_BOOT: Final = _EFI / "efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def read_dmi(root: Path = Path("/")) -> Dmi:
    """Read the machine's identity. The serial and the UUID are readable by root only."""

    def value(name: str) -> str:
        return read_if_there(root / _DMI / name) or ""

    return Dmi(
        vendor=value("sys_vendor"),
        product=value("product_name"),
        serial=value("product_serial"),
        uuid=value("product_uuid").lower(),
    )


def read_firmware(root: Path = Path("/")) -> Firmware:
    """Read how the machine was started and whether Secure Boot is on."""
    if not (root / _EFI).exists():
        return Firmware(mode="bios")
    try:
        variable = (root / _SECURE_BOOT).read_bytes()
    except OSError:
        variable = b""
    # Four bytes of attributes, then the value.
    return Firmware(mode="uefi", secure_boot=variable[4:5] == b"\x01")


def read_cpu(root: Path = Path("/")) -> Cpu:
    """Read the processor's facts from /proc/cpuinfo."""
    return parse_cpuinfo(read_if_there(root / "proc/cpuinfo") or "")


def parse_cpuinfo(text: str) -> Cpu:
    """Read the text of /proc/cpuinfo (x86)."""
    model = re.search(r"^model name\s*:\s*(.*?)\s*$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    words = flags[1].split() if flags else []
    return Cpu(
        model=model[1] if model else "",
        threads=max(1, len(re.findall(r"^processor\s*:", text, re.MULTILINE))),
        virtualisation="vmx" if "vmx" in words else "svm" if "svm" in words else "",
    )


def read_memory_bytes(root: Path = Path("/")) -> int:
    """Read the memory that the kernel can use. Raises ValueError when /proc/meminfo does not say."""
    text = read_if_there(root / "proc/meminfo") or ""
    total = re.search(r"^MemTotal:\s*(\d+) kB$", text, re.MULTILINE)
    if not total:
        raise ValueError("/proc/meminfo has no MemTotal")
    return int(total[1]) * KIB


def read_kernel_cmdline(root: Path = Path("/")) -> str:
    """Read the kernel command line, without the secrets that it may hold: inventories are passed on."""
    text = read_if_there(root / "proc/cmdline") or ""
    text = re.sub(r"(slipway\.answer-token=)\S+", rf"\1{REDACTED}", text)
    return re.sub(r"\b(slipway\.answer=|fetch=)(\S+)", lambda found: found[1] + redact_url(found[2]), text)
