"""Machines of tests/machines/sysfs: the udev devices and the part of /sys and /proc that the probes read."""

import json
from pathlib import Path

from hostlib.probe.netlink import Netlink
from hostlib.probe.source import Source
from hostlib.probe.udev import Device

RECORDED = Path(__file__).parents[1] / "machines/sysfs"


def load_source(path: Path, tmp_path: Path) -> Source:
    """Build the tree of a recorded machine below `tmp_path` and give a Source that reads it.

    Of the JSON file, `devices` are udev's by subsystem, `files` the texts of files, `links` the targets of symbolic
    links and `folders` what is needed besides; all paths begin at the root of the machine. A subsystem that is not
    recorded has no device.
    """
    root = tmp_path.resolve()
    machine = json.loads(path.read_text(encoding="utf-8"))

    def place(name: str) -> Path:
        return root / name.lstrip("/")

    devices = {
        subsystem: [Device(device["udev"], place(device["sysfs"])) for device in found]
        for subsystem, found in machine["devices"].items()
    }
    for folder in [place(name) for name in machine.get("folders", ())] + [
        device.sysfs for found in devices.values() for device in found
    ]:
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in machine.get("files", {}).items():
        place(name).parent.mkdir(parents=True, exist_ok=True)
        place(name).write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    for name, target in machine.get("links", {}).items():
        place(name).parent.mkdir(parents=True, exist_ok=True)
        place(name).symlink_to(target)
    for name in machine.get("links", {}):
        # A driver's folder, which nobody reads: it is there all the same.
        target = place(name).resolve()
        assert target.is_relative_to(root), f"{path.name}: {name} leads out of the machine"
        if not target.exists():
            target.mkdir(parents=True)
    return Source(
        root=root,
        devices=lambda subsystem: devices.get(subsystem, []),
        netlink=lambda: Netlink((), {}, ()),
        neighbours=dict,
        now=lambda: 0,
    )
