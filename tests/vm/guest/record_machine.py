"""Records what the probes of the inventory read, so that a test can read it again without the machine."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.vm.guest.commands import read_output
from tests.vm.guest.port import send

LIBRARY: Final = "/usr/lib/slipway"
RELEASE: Final = "/usr/lib/slipway/release.json"
LARGEST_BYTES: Final = 4096
STORAGE: Final = "0x01"
"""Class of PCI devices; a disk may hang on others too (USB)."""
NOT_READ: Final = re.compile(
    # Registers and memory of the device, what does something when it is read, and what changes all the time.
    r"config|resource.*|rom|vpd|remove|rescan|reset|delete|dump_system_regs|fw_crash.*|.*_cnt|stat|inflight|uevent"
    r"|runtime_.*|fw_cmds_outstanding|ldio_outstanding|host_busy|device_busy|evt_.*|em_.*|board_tracer|.*cpulist|.*cpus"
)
NETLINK: Final = ("IFLA_IFNAME", "IFLA_ADDRESS", "IFLA_PERM_ADDRESS", "IFLA_CARRIER", "IFLA_LINKINFO")
FILES: Final = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/cmdline",
    "/proc/swaps",
    "/proc/self/mountinfo",
    "/run/systemd/resolve/resolv.conf",
    "/etc/resolv.conf",
)
FOLDERS: Final = ("/sys/class/dmi/id", "/sys/class/rtc/rtc0", "/run/systemd/netif/leases")
BINARIES: Final = ("/sys/firmware/dmi/tables/DMI",)
CLASSES: Final = ("scsi_host", "nvme", "raid_devices", "tpm", "net")
RTC: Final = Path("/sys/class/rtc/rtc0/since_epoch")
PROGRAMS: Final = ("smartctl", "storcli64", "perccli64", "ssacli")
PARTS: Final = ("queue", "device", "md")
QUEUE: Final = ("logical_block_size", "physical_block_size", "rotational", "write_cache")
"""Folders of a device that belong to it."""


def main(parameters: Mapping[str, Any]) -> None:
    """Report the recording as `machine`, with the commands that the inventory runs and what they give.

    Args:
        parameters: `prepare`: commands (lists) to run before, such as those that make an array; `{SERIAL}` stands for
            the name in /dev/disk/by-id of the disk with this serial number.
    """
    for command in parameters.get("prepare", ()):
        read_output(*(re.sub(r"\{(.+?)\}", _by_serial, part) for part in command))
    sys.path.insert(0, LIBRARY)
    recording = _Recording()
    recording.read()
    send("report", {"kind": "machine", "raw": recording.result, "inventory": recording.inventory})


class _Runner:
    """Runs commands as hostlib's runner does, and writes down what came out."""

    def __init__(self) -> None:
        from hostlib.run import SystemRunner  # noqa: PLC0415 - of the image, only known once the path is set

        self._runner = SystemRunner()
        self.commands: list[dict[str, object]] = []

    def run(self, argv: Any, **options: Any) -> Any:
        from hostlib.errors import CommandError  # noqa: PLC0415 - as above

        try:
            done = self._runner.run(argv, **options)
        except CommandError as error:
            self.commands.append({"argv": list(argv), "error": str(error)})
            raise
        self.commands.append({"argv": list(argv), "status": done.status, "stdout": done.stdout})
        return done


class _Recording:
    """What is read of one machine, in the form of tests/machines."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {"devices": {}, "files": {}, "links": {}, "folders": [], "binaries": {}}
        self.inventory: Any = None

    def read(self) -> None:
        """Read everything."""
        from hostlib import probe  # noqa: PLC0415 - of the image

        runner = _Runner()
        self.inventory = json.loads(probe.read_inventory(runner).model_dump_json(by_alias=True))
        self.result["commands"] = runner.commands
        self._devices(probe.THIS_MACHINE)
        for path in map(Path, FILES):
            self._file(path)
        # The list of packages is most of it, and nothing that a probe reads.
        release = json.loads(Path(RELEASE).read_text(encoding="utf-8"))
        self.result["files"][RELEASE] = json.dumps({**release, "packages": {}})
        for folder in map(Path, FOLDERS):
            self._folder(folder.resolve())
            self._link(folder)
        for name in CLASSES:
            for link in sorted((Path("/sys/class") / name).glob("*")):
                self._link(link)
                self._folder(link.resolve())
        for path in map(Path, BINARIES):
            if path.exists():
                self.result["binaries"][str(path)] = path.read_bytes().hex()
        if Path("/sys/firmware/efi").exists():
            self.result["folders"].append("/sys/firmware/efi")
        self._netlink(probe.THIS_MACHINE)

    def _devices(self, source: Any) -> None:
        blocks = [device for device in source.devices("block") if not _without_hardware(device)]
        nics = source.devices("net")
        pci = [device for device in source.devices("pci") if self._matters(device, blocks)]
        for name, devices in (("block", blocks), ("net", nics), ("pci", pci)):
            self.result["devices"][name] = [
                {"sysfs": str(device.sysfs), "udev": dict(device.udev)} for device in devices
            ]
            for device in devices:
                self._folder(device.sysfs)
                for part in PARTS:
                    self._folder(device.sysfs / part)
                self._holders(device.sysfs / "holders")

    @staticmethod
    def _matters(device: Any, blocks: list[Any]) -> bool:
        return device.attribute("class").startswith(STORAGE) or any(
            device.sysfs in block.sysfs.parents for block in blocks
        )

    def _holders(self, folder: Path) -> None:
        if folder.is_dir():
            self.result["folders"] += [str(folder), *(str(path) for path in sorted(folder.iterdir()))]

    def _netlink(self, source: Any) -> None:
        netlink = source.netlink()
        # The clocks go on between one reading and the next.
        clock = self.inventory["clock"]
        self.result["now"] = clock["system_seconds"]
        self.result["files"][str(RTC.resolve())] = str(clock["hardware_seconds"])
        # An error of its own, from the disks that the inventory says it of.
        self.result["unreadable"] = [
            disk["path"]
            for disk in self.inventory["disks"]
            if any(content["type"] == "unreadable" for content in disk["contents"])
        ]
        found = {name: source.which(name) for name in PROGRAMS}
        self.result["programs"] = {name: path for name, path in found.items() if path}
        self.result["synchronised"] = source.synchronised()
        names = [device.name for device in source.devices("net")]
        self.result["nic_firmware"] = {name: source.nic_firmware(name) for name in names}
        self.result["netlink"] = {
            "links": [
                {
                    **{key: link[key] for key in ("index", "ifi_type", "flags")},
                    "attrs": [
                        [name, value if isinstance(value, str | int) else {"attrs": list(value["attrs"])}]
                        for name, value in link["attrs"]
                        if name in NETLINK
                    ],
                }
                for link in netlink.links
            ],
            "addresses": {str(index): list(found) for index, found in netlink.addresses.items()},
            "routes": [[r.ifindex, r.family, r.gateway, r.metric] for r in netlink.routes],
        }

    def _folder(self, folder: Path) -> None:
        if not folder.is_dir():
            return
        if folder.is_symlink():
            self._link(folder)
            folder = folder.resolve()
        self.result["folders"].append(str(folder))
        for path in sorted(folder.iterdir()):
            if path.name in {"driver", "subsystem", "device", "physfn"} and path.is_symlink():
                self._link(path)
            elif folder.name == "queue" and path.name not in QUEUE:
                continue
            elif path.is_file() and not NOT_READ.fullmatch(path.name):
                self._file(path)

    def _file(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            return
        limit = LARGEST_BYTES if str(path).startswith("/sys/") else 64 * LARGEST_BYTES
        if len(content) <= limit and _is_text(content):
            self.result["files"][str(path)] = content.decode()

    def _link(self, path: Path) -> None:
        if path.is_symlink():
            self.result["links"][str(path)] = str(path.readlink())


def _by_serial(match: re.Match[str]) -> str:
    found = sorted(Path("/dev/disk/by-id").glob(f"*_{match[1]}"))
    return str(found[0])


def _without_hardware(device: Any) -> bool:
    """Tell whether a block device is one of the live system's own, of which there are many."""
    return bool(re.fullmatch(r"(loop|ram|zram)\d+", device.name))


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False
