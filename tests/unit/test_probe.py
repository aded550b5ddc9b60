import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostlib import probe
from hostlib.errors import CommandError
from hostlib.probe import lldp
from hostlib.probe.lvm import COMMAND, Vg, parse_pvs, read_vgs
from hostlib.probe.mounts import parse_mounts
from hostlib.probe.netlink import Netlink
from hostlib.probe.source import Source, find_program
from hostlib.probe.udev import Device, _valid, decoded, read_properties
from hostlib.run import Completed

MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw
29 1 0:26 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/run/live/rootfs
31 29 8:65 / /run/live/medium ro,noatime shared:2 - iso9660 /dev/sde1 ro
40 29 253:1 / /mnt/old\\040root rw - ext4 /dev/mapper/pve-root rw
41 29 253:1 /home /home rw - ext4 /dev/mapper/pve-root rw
42 29 253:1 / /mnt/old\\040root rw - ext4 /dev/mapper/pve-root rw
43 29 0:50 / /mnt/b\u2028fs rw - btrfs /dev/sdb1 rw,subvol=/
"""
SWAPS = """\
Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/dm-0                               partition\t4194300\t\t0\t\t-2
/swap\\040file                           file\t\t4194300\t\t0\t\t-3
"""
NAMES = {"8:65": "sde1", "253:1": "dm-1", "/dev/sdb1": "sdb1", "/dev/dm-0": "dm-0"}


def test_mounts_are_found_by_number_by_path_and_as_swap() -> None:
    assert parse_mounts(MOUNTINFO, SWAPS, NAMES) == {
        "sde1": ("/run/live/medium",),
        "dm-1": ("/mnt/old root", "/home"),
        "sdb1": ("/mnt/b\u2028fs",),
        "dm-0": ("[SWAP]",),
    }


def test_mounts_without_swap() -> None:
    assert parse_mounts(MOUNTINFO, "", {"8:65": "sde1"}) == {"sde1": ("/run/live/medium",)}


PVS = """
  {
      "report": [
          {
              "pv": [
                  {"pv_name":"/dev/sdd3", "vg_name":"pve", "vg_uuid":"Wc1n4T-8yQe", "vg_tags":"slipway-installed,b"},
                  {"pv_name":"/dev/sdf", "vg_name":"", "vg_uuid":"", "vg_tags":""}
              ]
          }
      ]
      ,
      "log": [
      ]
  }
"""


def test_pvs() -> None:
    assert parse_pvs(PVS) == {
        "/dev/sdd3": Vg("pve", "Wc1n4T-8yQe", ("slipway-installed", "b")),
        "/dev/sdf": Vg("", ""),
    }


class Recorded:
    """A Runner that gives recorded output and remembers what it was asked to run."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs
        self.calls: list[tuple[str, ...]] = []

    def run(self, argv: Any, **_: Any) -> Completed:
        self.calls.append(tuple(argv))
        if argv[0] not in self.outputs:
            raise CommandError(argv[0], "cannot be started: No such file or directory", "")
        return Completed(0, self.outputs[argv[0]], "")


def test_vgs_are_read_without_writing_or_locking() -> None:
    runner = Recorded({"pvs": PVS})
    assert read_vgs(runner)["/dev/sdd3"].name == "pve"
    assert runner.calls == [COMMAND]
    assert "--readonly" in COMMAND


@pytest.mark.parametrize(
    ("udev", "text"),
    [
        ({"ID_FS_LABEL": "old_root", "ID_FS_LABEL_ENC": r"old\x20root"}, "old root"),
        ({"ID_FS_LABEL": "SLIPWAY_LIVE"}, "SLIPWAY_LIVE"),
        ({"ID_FS_LABEL_ENC": r"a_b\xc3\xa9"}, "a_bé"),
        ({}, ""),
    ],
)
def test_properties_are_decoded(udev: dict[str, str], text: str) -> None:
    assert decoded(udev, "ID_FS_LABEL") == text


def test_bytes_that_are_no_text_do_not_break_the_inventory() -> None:
    assert _valid("S4GE\udcff") == "S4GE\ufffd"


DISK = {"DEVPATH": "/devices/pci/block/sdd", "DEVNAME": "/dev/sdd", "DEVTYPE": "disk"}
PV = {
    "DEVPATH": f"{DISK['DEVPATH']}/sdd3",
    "DEVNAME": "/dev/sdd3",
    "DEVTYPE": "partition",
    "ID_FS_TYPE": "LVM2_member",
}


@pytest.fixture
def machine(tmp_path: Path) -> Source:
    """One disk that holds a PV, and no network."""
    sysfs = tmp_path / "sdd"
    for name, value in {
        "sdd/size": 2048,
        "sdd/queue/logical_block_size": 512,
        "sdd/queue/physical_block_size": 512,
        "sdd/sdd3/size": 1024,
        "sdd/sdd3/partition": 3,
        "proc/meminfo": "MemTotal:        2048000 kB\n",
        "proc/self/mountinfo": MOUNTINFO,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(str(value))
    devices = [Device(DISK, sysfs), Device(PV, sysfs / "sdd3")]
    return Source(
        root=tmp_path,
        devices=lambda name: devices if name == "block" else [],
        netlink=lambda: Netlink((), {}, ()),
        neighbours=dict,
        synchronised=lambda: True,
        which=lambda _: None,
    )


def test_a_pv_shows_its_vg(machine: Source) -> None:
    runner = Recorded({"udevadm": "", "pvs": PVS})
    (disk,) = probe.read_inventory(runner, machine).disks
    assert (disk.contents[0].vg, disk.contents[0].vg_uuid) == ("pve", "Wc1n4T-8yQe")
    assert disk.contents[0].vg_tags == ("slipway-installed", "b")


def test_failing_programs_and_a_failing_network_leave_the_disks(
    machine: Source, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Netlink:
        raise OSError(97, "Address family not supported")

    inventory = probe.read_inventory(Recorded({}), replace(machine, netlink=broken))
    assert [disk.name for disk in inventory.disks] == ["sdd"]
    assert (inventory.nics, inventory.leases) == ((), ())
    assert [record.message.split(":", 1)[0] for record in caplog.records] == [
        "udev's queue",
        "the network",
        "LVM VGs",
        "smartctl is not installed",
    ]
    assert json.loads(inventory.model_dump_json(by_alias=True))["schema"] == 1


def test_lvm_reads_only_pvs(machine: Source) -> None:
    """Not the disk that sleeps, nor the one that hangs."""
    runner = Recorded({"udevadm": "", "pvs": PVS})
    probe.read_inventory(runner, machine)
    assert runner.calls[1:] == [(*COMMAND, "--devices", "/dev/sdd3")]


def test_the_parts_of_the_time_fit_into_the_whole() -> None:
    waits = (probe.SETTLE_SECONDS + 1, lldp.LIMIT_SECONDS, probe.LVM_SECONDS)
    assert sum(waits) < probe.LIMIT_SECONDS


def test_lvm_is_not_asked_where_no_pv_is(machine: Source) -> None:
    runner = Recorded({"udevadm": "", "pvs": PVS})
    only_the_disk = machine.devices("block")[:1]
    probe.read_inventory(runner, replace(machine, devices=lambda name: only_the_disk * (name == "block")))
    assert [call[0] for call in runner.calls] == ["udevadm"]


def test_commands_that_do_not_end_are_left_behind(machine: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead disk holds up LVM and smartctl alike; the machine is described all the same."""
    monkeypatch.setattr(probe, "LIMIT_SECONDS", 0.3)
    monkeypatch.setattr(probe, "LVM_SECONDS", 0.3)
    end = threading.Event()

    class Hanging(Recorded):
        def run(self, argv: Any, **options: Any) -> Completed:
            if argv[0] != "udevadm":
                end.wait(20)
            return super().run(argv, **options)

    started = time.monotonic()
    inventory = probe.read_inventory(Hanging({"udevadm": ""}), replace(machine, which=lambda name: name))
    assert time.monotonic() - started < 5
    assert [(disk.name, disk.contents[0].vg, disk.health) for disk in inventory.disks] == [("sdd", "", None)]
    end.set()


def test_programs_are_found_where_an_ordinary_user_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_program("sh")
    assert find_program("no-such-program") is None


def test_links_are_in_the_same_order_in_each_record() -> None:
    links = "/dev/disk/by-path/b /dev/disk/by-id/a"
    assert read_properties({"DEVLINKS": links, "ID_MODEL": "b a"}) == {
        "DEVLINKS": "/dev/disk/by-id/a /dev/disk/by-path/b",
        "ID_MODEL": "b a",
    }
