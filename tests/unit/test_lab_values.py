"""The small pure parts of the VM lab."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from tests.vm.lab.answers import make_answer
from tests.vm.lab.installs import Install, Installed
from tests.vm.lab.qmp import parse_forwards
from tests.vm.lab.report import matches, parse_message
from tests.vm.lab.spec import Bus
from tests.vm.lab.timings import PROPERTY, Timing, Timings, collect_timings, render_timings

USERNET = """Hub -1 (net1):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[HOST_FORWARD]  17       127.0.0.1 35981       10.0.2.15    22     0     0
  TCP[HOST_FORWARD]  18       127.0.0.1 41007       10.0.2.15  8006     0     0
  TCP[ESTABLISHED]   19       10.0.2.15  8006       127.0.0.1 50000     0     0
"""


def test_answer_is_toml() -> None:
    text = make_answer(
        disk={"filesystem": "xfs", "filter": {"ID_SERIAL": "*NODE3*"}, "lvm": {"swapsize": 1}},
        keys=('ssh-ed25519 AAAA "lab"',),
        global_={"root-password": None, "reboot-on-error": True},
        sections={"report": {"url": "https://192.0.2.1/report"}},
    )
    answer = tomllib.loads(text)
    assert answer["network"] == {"source": "from-dhcp"}
    assert answer["disk-setup"]["filter"] == {"ID_SERIAL": "*NODE3*"}
    assert answer["disk-setup"]["lvm"] == {"swapsize": 1}
    assert answer["global"]["root-ssh-keys"] == ['ssh-ed25519 AAAA "lab"']
    assert answer["global"]["reboot-on-error"] is True
    assert "root-password" not in answer["global"]
    assert answer["report"] == {"url": "https://192.0.2.1/report"}


def test_answer_names_the_disk_as_the_kernel_does() -> None:
    names = {
        bus: tomllib.loads(Install(name="x", bus=bus).answer(()))["disk-setup"]["disk-list"] for bus in Bus
    }
    assert names[Bus.VIRTIO] == ["vda"]
    assert names[Bus.NVME] == ["nvme0n1"]
    assert names[Bus.SATA] == names[Bus.SCSI] == ["sda"]


def test_forwards() -> None:
    assert parse_forwards(USERNET) == {22: 35981, 8006: 41007}


def test_messages() -> None:
    assert parse_message(b'{"kind": "node"}') == {"kind": "node"}
    assert parse_message(b'{"kind": "no') is None
    assert parse_message(b"[1]") is None
    assert matches({"kind": "event", "task": "a"}, {"kind": "event"})
    assert not matches({"kind": "event"}, {"kind": "event", "task": "a"})


def test_installed_disk_is_told_to_other_workers(tmp_path: Path) -> None:
    installed = Installed(Path("/d.qcow2"), Path("/v.fd"), {"power-on to power-off": 200.5}, ("S1",), "said")
    installed.save(tmp_path / "i.json")
    assert Installed.load(tmp_path / "i.json") == installed


def test_timings_travel_with_the_result() -> None:
    properties: list[tuple[str, object]] = [("other", 1)]
    taken = Timings(lambda name, value: properties.append((name, value)))
    taken.add("boot", 61.26)
    taken.add("memory", 700, "MiB")
    travelled = [(name, json.loads(json.dumps(value))) for name, value in properties]
    timings = collect_timings("tests/vm/test_x.py::test_y", travelled)
    test = "tests/vm/test_x.py::test_y"
    assert timings == [Timing(test, "boot", 61.3), Timing(test, "memory", 700, "MiB")]
    assert [name for name, _ in properties] == ["other", PROPERTY, PROPERTY]
    assert render_timings(timings) == ["test_y  boot       61.3 s", "test_y  memory  700.0 MiB"]
    assert render_timings([]) == []
