import json
from pathlib import Path
from typing import Any

import pytest

from hostlib.errors import UserError
from installer import volumes
from installer.volumes import LABELS, LIMIT_BYTES, Volume, find_on_volumes, parse_volumes, read_answer
from tests.unit.installer_fakes import FakeRunner


def node(name: str, fstype: str | None = None, label: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "name": f"/dev/{name}",
        "fstype": fstype,
        "label": label,
        "id-link": None,
        "mountpoints": [None],
        **more,
    }


def lsblk(*nodes: dict[str, Any]) -> str:
    return json.dumps({"blockdevices": nodes})


STICK = node(
    "sdb",
    "iso9660",
    "SLIPWAY",
    children=[
        node("sdb1", "iso9660", "SLIPWAY", mountpoints=["/run/live/medium"]),
        node("sdb2", "vfat", "EFI"),
        node("sdb3", "vfat", "slipway"),
    ],
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (lsblk(node("sda", children=[node("sda1", "ext4", "root")])), []),
        (lsblk(node("sdc", "vfat", "SLIPWAY")), [Volume("/dev/sdc", "vfat", "SLIPWAY")]),
        (lsblk(node("sdc", "ext4", "Proxmox-AIS")), [Volume("/dev/sdc", "ext4", "Proxmox-AIS")]),
        (lsblk(node("sdc", "vfat", "SLIPWAYS")), []),
        # The medium's own label never counts; a partition added to the stick does.
        (lsblk(STICK), [Volume("/dev/sdb3", "vfat", "slipway")]),
        # A CD with an answer beside the medium.
        (lsblk(STICK, node("sr1", "iso9660", "SLIPWAY")), [
            Volume("/dev/sdb3", "vfat", "slipway"),
            Volume("/dev/sr1", "iso9660", "SLIPWAY"),
        ]),
        (
            lsblk(node("sdc", "vfat", "SLIPWAY", **{"id-link": "usb-Stick_1-0:0"})),
            [Volume("/dev/disk/by-id/usb-Stick_1-0:0", "vfat", "SLIPWAY")],
        ),
        # Two sticks with one serial number: the link leads to one of them alone.
        (
            lsblk(
                node("sdc", "vfat", "SLIPWAY", **{"id-link": "usb-Stick_1-0:0"}),
                node("sdd", "vfat", "SLIPWAY", **{"id-link": "usb-Stick_1-0:0"}),
            ),
            [Volume("/dev/sdc", "vfat", "SLIPWAY"), Volume("/dev/sdd", "vfat", "SLIPWAY")],
        ),
    ],
)  # fmt: skip
def test_parse_volumes(text: str, expected: list[Volume]) -> None:
    assert parse_volumes(text) == expected


class Machine:
    """Volumes with files, mounted one at a time."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.point = tmp_path / "answer"
        monkeypatch.setattr(volumes, "MOUNT_POINT", self.point)
        self.warnings: list[str] = []
        self.runner = FakeRunner()
        self.runner.before = self.follow
        self.contents: dict[str, str] = {}

    def attach(self, name: str, text: str | None, kind: str = "vfat", label: str = "SLIPWAY") -> None:
        nodes = json.loads(self.runner.outputs.get("lsblk", lsblk()))["blockdevices"]
        self.runner.outputs["lsblk"] = lsblk(*nodes, node(name, kind, label))
        if text is not None:
            self.contents[f"/dev/{name}"] = text

    def follow(self, line: str) -> None:
        words = line.split()
        if words[0] == "mount" and words[-2] in self.contents:
            (self.point / "answer.toml").write_text(self.contents[words[-2]])
        elif words[0] == "umount":
            (self.point / "answer.toml").unlink(missing_ok=True)

    def find(self, *labels: str) -> volumes.Answer | None:
        return find_on_volumes(self.runner, labels or LABELS, warn=self.warnings.append)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path, monkeypatch)
    found.runner.outputs["lsblk"] = lsblk()
    return found


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("vfat", "vfat -o ro,nosuid,nodev,noexec"),
        ("iso9660", "iso9660 -o ro,nosuid,nodev,noexec"),
        ("ext2", "ext4 -o ro,nosuid,nodev,noexec,noload"),
        ("ext4", "ext4 -o ro,nosuid,nodev,noexec,noload"),
    ],
)
def test_a_volume_is_mounted_without_writing_to_it(machine: Machine, kind: str, options: str) -> None:
    machine.attach("sdc", "a = 1", kind)
    found = machine.find()
    assert found == volumes.Answer("a = 1", "answer.toml on /dev/sdc (SLIPWAY)")
    assert machine.runner.lines[1:] == [
        f"mount -t {options} /dev/sdc {machine.point}",
        f"umount {machine.point}",
    ]


def test_without_any_answer_there_is_none(machine: Machine) -> None:
    assert machine.find() is None
    machine.attach("sdc", None)
    machine.attach("sdd", None, "ntfs")
    assert machine.find() is None
    assert machine.warnings == [
        "/dev/sdc is labelled SLIPWAY, but holds no answer.toml",
        "/dev/sdd is labelled SLIPWAY, but it has ntfs and not FAT, ext4 or ISO 9660",
    ]


def test_the_same_answer_twice_is_no_problem(machine: Machine) -> None:
    machine.attach("sdc", "a = 1")
    machine.attach("sdd", "a = 1")
    assert machine.find() == volumes.Answer("a = 1", "answer.toml on /dev/sdc (SLIPWAY)")


def test_different_answers_are_both_named(machine: Machine) -> None:
    machine.attach("sdc", "a = 1")
    machine.attach("sdd", "a = 2", label="proxmox-ais")
    expected = (
        r"answer\.toml: answer\.toml on /dev/sdc \(SLIPWAY\) and answer\.toml on /dev/sdd \(proxmox-ais\) "
        "give different answers; leave only one"
    )
    with pytest.raises(UserError, match=expected):
        machine.find()


def test_another_label(machine: Machine) -> None:
    machine.attach("sdc", "v")
    machine.attach("sdd", "rack", label="RACK7")
    assert machine.find("rack7") == volumes.Answer("rack", "answer.toml on /dev/sdd (RACK7)")


def test_a_volume_that_cannot_be_mounted_is_named(machine: Machine) -> None:
    machine.attach("sdc", "a = 1")
    machine.runner.failures["mount"] = "mount: wrong fs type, bad superblock"
    with pytest.raises(
        UserError, match=r"/dev/sdc \(SLIPWAY\): the volume cannot be mounted: mount: wrong fs type"
    ):
        machine.find()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"x" * (LIMIT_BYTES + 1), r"stick: the file is larger than 1\.0 MiB"),
        (b"name = '\xff'", r"stick: byte 8 is not UTF-8"),
        (None, r"stick: cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_answer(tmp_path: Path, data: bytes | None, problem: str) -> None:
    path = tmp_path / "answer.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=problem):
        read_answer(path, "stick")


def test_a_file_of_the_largest_size_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "answer.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b"x" * (LIMIT_BYTES - 3))
    assert len(read_answer(path, "stick").text) == LIMIT_BYTES - 3


def test_an_unreadable_answer_is_unmounted(machine: Machine) -> None:
    machine.attach("sdc", "x" * (LIMIT_BYTES + 1))
    with pytest.raises(UserError):
        machine.find()
    assert machine.runner.lines[-1] == f"umount {machine.point}"
