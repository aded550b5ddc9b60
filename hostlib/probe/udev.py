"""Devices as udev and sysfs know them. The only module that imports pyudev."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyudev

from hostlib.files import read_if_there


@dataclass(frozen=True, slots=True)
class Device:
    """A device: its udev properties and its folder in sysfs."""

    udev: Mapping[str, str]
    sysfs: Path

    @property
    def name(self) -> str:
        """Kernel name, such as `sda3` or `eno1`."""
        return self.sysfs.name

    @property
    def links(self) -> tuple[str, ...]:
        """Every symbolic link in /dev that udev made for it."""
        return tuple(self.udev.get("DEVLINKS", "").split())

    def attribute(self, path: str) -> str:
        """Give the text of a file in its sysfs folder; empty when there is none."""
        return read_if_there(self.sysfs / path) or ""


def read_devices(subsystem: str) -> list[Device]:
    """Give every device of a udev subsystem. Raises OSError when udev cannot be asked."""
    found = pyudev.Context().list_devices(subsystem=subsystem)
    return [Device(read_properties(device.properties), Path(device.sys_path)) for device in found]


def read_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """Give udev's properties as text that can be stored; DEVLINKS, a set, in order, so that records can be compared."""
    found = {key: _valid(value) for key, value in properties.items()}
    return found | {key: " ".join(sorted(found[key].split())) for key in ("DEVLINKS",) if key in found}


def _valid(text: str) -> str:
    """Replace bytes that are no UTF-8: firmware writes anything into a serial number."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def decoded(udev: Mapping[str, str], key: str) -> str:
    """Give a property as it is on the device; udev keeps the true text, escaped, in `<key>_ENC`."""
    encoded = udev.get(f"{key}_ENC", udev.get(key, ""))
    return re.sub(r"(?:\\x[0-9a-f]{2})+", _unescape, encoded).strip()


def _unescape(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "replace")
