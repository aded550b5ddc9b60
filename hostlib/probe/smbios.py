"""Reads the SMBIOS table, as the firmware left it in memory: any of its lengths may lie."""

from __future__ import annotations

from typing import Final

# DMTF DSP0134, "BIOS Information (Type 0)": offset of "BIOS Characteristics Extension Byte 2" and its bit 3.
_BIOS: Final = 0
_END: Final = 127
_HEADER_BYTES: Final = 4
_EXTENSION_2: Final = 0x13
_UEFI_SUPPORTED: Final = 1 << 3


def parse_uefi_capable(table: bytes) -> bool | None:
    """Say whether the firmware claims to support UEFI; None where the table does not tell or is broken.

    `table` is /sys/firmware/dmi/tables/DMI. The bit "BIOS characteristics are not supported" is about another field:
    QEMU sets both.
    """
    start = 0
    # A structure is a header with the length of the fixed part, that part, and texts that end with two zero bytes.
    while start + _HEADER_BYTES <= len(table):
        kind, length = table[start], table[start + 1]
        end_of_texts = table.find(b"\0\0", start + length)
        if length < _HEADER_BYTES or end_of_texts < 0 or kind == _END:
            return None
        if kind == _BIOS:
            # Before SMBIOS 2.4 it is shorter.
            return bool(table[start + _EXTENSION_2] & _UEFI_SUPPORTED) if length > _EXTENSION_2 else None
        start = end_of_texts + 2
    return None
