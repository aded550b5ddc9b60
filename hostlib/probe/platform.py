"""Firmware, processor, memory, TPM and clock of this machine. `root` is where /sys and /proc are."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Final, Literal

from hostlib.errors import UserError
from hostlib.files import read_if_there
from hostlib.http import redact_url
from hostlib.inventory import Clock, Cpu, Firmware
from hostlib.paths import RELEASE
from hostlib.probe.smbios import parse_uefi_capable
from hostlib.probe.source import Source
from hostlib.release import read_release
from hostlib.run import REDACTED
from hostlib.sizes import KIB

_DMI: Final = Path("sys/class/dmi/id")
_EFI: Final = Path("sys/firmware/efi")
_SMBIOS: Final = Path("sys/firmware/dmi/tables/DMI")
_RTC: Final = Path("sys/class/rtc/rtc0/since_epoch")
_SECURE_BOOT: Final = _EFI / "efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def read_firmware(root: Path = Path("/")) -> Firmware:
    """Read how the machine was started, whether Secure Boot is on, and which firmware it is.

    The SMBIOS table is readable by root only.
    """
    uefi = (root / _EFI).exists()
    # Four bytes of attributes, then the value.
    secure_boot = _read_bytes(root / _SECURE_BOOT)[4:5] == b"\x01"
    return Firmware(
        mode="uefi" if uefi else "bios",
        secure_boot=secure_boot,
        uefi_capable=uefi or parse_uefi_capable(_read_bytes(root / _SMBIOS)),
        vendor=read_if_there(root / _DMI / "bios_vendor") or "",
        version=read_if_there(root / _DMI / "bios_version") or "",
        date=read_if_there(root / _DMI / "bios_date") or "",
    )


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def read_tpm(root: Path = Path("/")) -> Literal["1.2", "2.0", ""]:
    """Read which TPM the machine has (sysfs ABI: class/tpm/tpmX/tpm_version_major); empty where there is none."""
    found = {read_if_there(path) for path in (root / "sys/class/tpm").glob("tpm*/tpm_version_major")}
    return "2.0" if "2" in found else "1.2" if "1" in found else ""


def read_clock(source: Source) -> Clock:
    """Read what the clocks say, and when the image was built that runs here."""
    hardware = read_if_there(source.root / _RTC) or ""
    return Clock(
        system_seconds=source.now(),
        hardware_seconds=int(hardware) if hardware.isdecimal() else None,
        image_seconds=_read_build_time(source.root / RELEASE.relative_to("/")),
        synchronised=source.synchronised(),
    )


def _read_build_time(path: Path) -> int | None:
    """Read when an image was built; None away from one, or where its release file does not tell."""
    try:
        return int(dt.datetime.fromisoformat(read_release(path).built_at).timestamp())
    except (UserError, ValueError):
        return None


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
        flags=tuple(words),
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
