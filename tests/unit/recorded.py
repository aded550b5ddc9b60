"""Machines of tests/machines/sysfs and qemu: the udev devices and the part of /sys and /proc that the probes read."""

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hostlib.probe.netlink import DefaultRoute, Netlink
from hostlib.probe.source import Source
from hostlib.probe.udev import Device

RECORDED = Path(__file__).parents[1] / "machines/sysfs"


def load_source(path: Path, tmp_path: Path) -> Source:
    """Build the tree of a recorded machine below `tmp_path` and give a Source that reads it.

    Of the JSON file, `devices` are udev's by subsystem, `files` the texts of files, `links` the targets of symbolic
    links, `binaries` files in hexadecimal and `folders` what is needed besides; all paths begin at the root of the
    machine. A subsystem that is not recorded has no device.
    """
    root = tmp_path.resolve()
    machine = json.loads(path.read_text(encoding="utf-8"))
    devices = {
        subsystem: [Device(device["udev"], root / device["sysfs"].lstrip("/")) for device in found]
        for subsystem, found in machine["devices"].items()
    }
    _build(root, machine, [device.sysfs for found in devices.values() for device in found], path.name)
    return Source(
        root=root,
        devices=lambda subsystem: devices.get(subsystem, []),
        netlink=lambda: _netlink(machine.get("netlink")),
        neighbours=dict,
        nic_firmware=lambda name: machine.get("nic_firmware", {}).get(name, ""),
        synchronised=lambda: machine.get("synchronised", False),
        read_beginning=lambda path: _read_beginning(path, machine.get("unreadable", ())),
        which=machine.get("programs", {}).get,
        now=lambda: machine.get("now", 0),
    )


def _build(root: Path, machine: dict[str, Any], folders: list[Path], name_of_machine: str) -> None:
    def place(name: str) -> Path:
        inside = root / name.lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        return inside

    for folder in [place(name) for name in machine.get("folders", ())] + folders:
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in machine.get("files", {}).items():
        place(name).write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    for name, digits in machine.get("binaries", {}).items():
        place(name).write_bytes(bytes.fromhex(digits))
    links = [place(name) for name in machine.get("links", {})]
    for link, target in zip(links, machine.get("links", {}).values(), strict=True):
        link.symlink_to(target)
    for link in links:
        # A driver's folder, which nobody reads: it is there all the same.
        target = link.resolve()
        assert target.is_relative_to(root), f"{name_of_machine}: {link} leads out of the machine"
        if not target.exists():
            target.mkdir(parents=True)


def _read_beginning(path: str, unreadable: Sequence[str]) -> None:
    if path in unreadable:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def _netlink(recorded: dict[str, Any] | None) -> Netlink:
    if recorded is None:
        return Netlink((), {}, ())
    addresses = {int(index): tuple(found) for index, found in recorded["addresses"].items()}
    return Netlink(
        tuple(recorded["links"]), addresses, tuple(DefaultRoute(*route) for route in recorded["routes"])
    )
