"""What a disk that fails leaves, and how the next attempt gets rid of it, on this disk or on another."""

import json
import shutil
import time
from pathlib import Path

import pytest

from hostlib.errors import StepError
from installer.steps.base import Context
from installer.steps.detach import disk_of, find_control
from installer.steps.mounts import unmount_target
from installer.steps.release import Release, plan_removals, release_disk
from installer.steps.tree import Node, read_lvs
from tests.unit.installer_fakes import FakeRunner, context, target

UUID = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
OFF = f"vgchange --activate n --select vg_uuid={UUID}"
SETTLE = "udevadm settle --timeout=30"
PCI = "devices/pci0000:00"
SCSI = f"{PCI}/0000:00:02.0/virtio1/host2/target2:0:0"


class Machine:
    """Disks sda (the one that failed) and sdb on a SCSI bus; LVM sees VG `pve` on sda3 until sda is taken away."""

    def __init__(self, root: Path, *, active: bool = False) -> None:
        self.sysfs = root / "sys"
        (self.sysfs / "class/block").mkdir(parents=True)
        self.add(
            f"{SCSI}/2:0:0:0/block/sda", f"{SCSI}/2:0:0:0/block/sda/sda3", control=f"{SCSI}/2:0:0:0/delete"
        )
        self.add(f"{SCSI}/2:0:0:1/block/sdb", control=f"{SCSI}/2:0:0:1/delete")
        if active:
            self.add_lv(0, "pve-root", "sda3")
            self.add_lv(1, "pve-data_tmeta", "sda3")
            self.add_lv(2, "pve-data-tpool", "dm-1")
        self.vg = "pve"
        self.writable = True
        self.runner = FakeRunner()
        self.runner.before = self._follow
        self.warnings: list[str] = []
        self.here: Context = context(
            self.runner, root, self.warnings, failed_disks=frozenset({"/dev/sda", "/dev/gone"})
        )

    def add(self, disk: str, part: str = "", control: str = "") -> None:
        for path in filter(None, (disk, part)):
            (self.sysfs / path).mkdir(parents=True, exist_ok=True)
            (self.sysfs / "class/block" / Path(path).name).symlink_to(self.sysfs / path)
        (self.sysfs / disk / "device").touch()
        if part:
            (self.sysfs / part / "partition").write_text("3")
        if control:
            (self.sysfs / control).touch()

    def add_lv(self, number: int, label: str, below: str) -> None:
        name = f"dm-{number}"
        folder = self.sysfs / "devices/virtual/block" / name
        (folder / "dm").mkdir(parents=True)
        (folder / "dm/uuid").write_text("LVM-" + "a" * 32 + "r" * 32)
        (folder / "dm/name").write_text(label)
        (self.sysfs / "class/block" / name).symlink_to(folder)
        (self.sysfs / "class/block" / below / "holders" / name).mkdir(parents=True)

    def _follow(self, line: str) -> None:
        """Do as the kernel does: what is removed is gone."""
        blocks = self.sysfs / "class/block"
        if line.startswith("dmsetup remove"):
            for node in read_lvs(self.sysfs).values():
                if node.label == line.rsplit(maxsplit=1)[-1]:
                    assert not any(holder in read_lvs(self.sysfs) for holder in node.holders), "it is in use"
                    (blocks / node.name).unlink()
                    for held in blocks.glob(f"*/holders/{node.name}"):
                        held.rmdir()
        elif line.startswith("tee"):
            shutil.rmtree(Path(line.split()[1]).parent)
            for link in blocks.iterdir():
                if not link.exists():
                    link.unlink()
        elif line == RENAME and self.writable and not self.runner.failures:
            self.vg = "pve-OLD-1"
        sees = (blocks / "sda3").exists()
        row = {"pv_name": "/dev/sda3", "vg_name": self.vg, "vg_uuid": UUID, "vg_tags": ""}
        self.runner.outputs["pvs"] = json.dumps({"report": [{"pv": [row] if sees else []}]})

    def release(self) -> list[str]:
        """Prepare sdb for an installation; give what was run, without the looks at LVM."""
        step = Release(target(path="/dev/sdb"), {UUID: "pve-OLD-1"})
        step.run(self.here, lambda _: None)
        return [line for line in self.runner.lines if not line.startswith("pvs")]


RENAME = f"vgrename --yes {UUID} pve-OLD-1"
REMOVALS = [f"dmsetup remove --retry pve-{name}" for name in ("root", "data-tpool", "data_tmeta")]


@pytest.mark.parametrize("failures", [{}, {"vgchange": "Error reading device /dev/sda3"}])
def test_lvs_that_lvm_leaves_are_removed(tmp_path: Path, failures: dict[str, str]) -> None:
    machine = Machine(tmp_path, active=True)
    machine.runner.failures = failures
    release_disk(machine.here, "/dev/sda")
    assert machine.runner.lines == [OFF, *REMOVALS, SETTLE]
    assert not read_lvs(machine.sysfs)


def test_lvs_in_use_stop_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path, active=True)
    machine.runner.failures = {"dmsetup remove --retry pve-root": "Device or resource busy"}
    with pytest.raises(StepError, match="Device or resource busy"):
        release_disk(machine.here, "/dev/sda")


def test_removals_begin_at_the_top() -> None:
    nodes = [
        Node("dm-0", "lvm", label="low", holders=("dm-1",)),
        Node("dm-1", "lvm", label="middle", holders=("dm-2", "sda9")),
        Node("dm-2", "lvm", label="top"),
        Node("dm-3", "crypt", label="vault"),
    ]
    commands = plan_removals({node.name: node for node in nodes})
    assert [command[-1] for command in commands] == ["top", "middle", "low"]


def test_a_vg_name_is_read_from_the_label() -> None:
    assert Node("dm-0", "lvm", label="pve-vm--100--disk--0", vg_uuid=UUID).vg == "pve"
    assert Node("dm-0", "lvm", label="pve--OLD--1-root", vg_uuid=UUID).vg == "pve-OLD-1"
    assert Node("dm-0", "crypt", label="pve-root").vg == ""


def test_lvs_of_a_disk_that_has_gone_are_removed_before_another_is_used(tmp_path: Path) -> None:
    machine = Machine(tmp_path, active=True)
    shutil.rmtree(machine.sysfs / SCSI / "2:0:0:0")
    (machine.sysfs / "class/block/sda").unlink()
    (machine.sysfs / "class/block/sda3").unlink()
    machine.add_lv(7, "pve--OLD--1-root", "sdb")
    machine.runner.failures = {"vgchange": "not asked for here"}
    Release(target(path="/dev/sdc"), {}).run(machine.here, lambda _: None)
    assert machine.runner.lines[1:] == [SETTLE, *REMOVALS]
    assert [node.vg for node in read_lvs(machine.sysfs).values()] == ["pve-OLD-1"]


def test_a_disk_that_failed_but_takes_the_new_name_stays(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.release() == [SETTLE, RENAME]
    assert not machine.warnings


def test_a_disk_that_failed_and_takes_no_name_is_taken_away(tmp_path: Path) -> None:
    machine = Machine(tmp_path, active=True)
    machine.runner.failures = {"vgrename": "Failed to write metadata: Input/output error"}
    control = machine.sysfs.resolve() / SCSI / "2:0:0:0/delete"
    assert machine.release() == [SETTLE, RENAME, OFF, *REMOVALS, SETTLE, f"tee {control}", SETTLE]
    assert machine.runner.inputs == ["1\n"]
    assert sorted(path.name for path in (machine.sysfs / "class/block").iterdir()) == ["sdb"]
    (warning,) = machine.warnings
    assert warning.startswith("/dev/sda: the disk takes no writes")
    assert "Take it out before the machine restarts" in warning


def test_a_name_that_vgrename_has_not_written_is_not_believed(tmp_path: Path) -> None:
    """It ends with status 0 all the same."""
    machine = Machine(tmp_path)
    machine.writable = False
    assert f"tee {machine.sysfs.resolve() / SCSI / '2:0:0:0/delete'}" in machine.release()
    assert "the disk takes no writes" in machine.warnings[0]


def test_a_disk_that_nothing_is_known_of_is_never_taken_away(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.runner.failures = {"vgrename": "Failed\nread-only"}
    object.__setattr__(machine.here, "failed_disks", frozenset({"/dev/sdc"}))
    with pytest.raises(
        StepError, match=r"/dev/sda: its VG pve cannot be renamed \(read-only\).*take the disk out"
    ):
        machine.release()
    assert not any(line.startswith(("tee", "vgchange", "dmsetup")) for line in machine.runner.lines)


def test_a_disk_that_is_in_use_is_not_taken_away(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.runner.failures = {"vgrename": "read-only"}
    (machine.here.proc / "self/mountinfo").write_text("40 1 8:3 / /mnt rw - ext4 /dev/sda3 rw\n")
    with pytest.raises(StepError, match="/dev/sda: it is in use"):
        machine.release()
    assert not any(line.startswith(("tee", "umount")) for line in machine.runner.lines)


def test_a_disk_that_stays_stops_the_installation(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.runner.failures = {"vgrename": "read-only"}
    follow = machine.runner.before
    machine.runner.before = lambda line: None if line.startswith("tee") else follow(line)
    with pytest.raises(StepError, match="/dev/sda: the disk is still there; take it out"):
        machine.release()
    (machine.sysfs / SCSI / "2:0:0:0/delete").unlink()
    with pytest.raises(StepError, match="/dev/sda: the kernel cannot take this disk away; take it out"):
        machine.release()


def test_what_takes_a_disk_away_takes_nothing_else(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    sysfs = machine.sysfs = machine.sysfs.resolve()
    machine.add(f"{PCI}/0000:00:04.0/nvme/nvme0/nvme0n1", f"{PCI}/0000:00:04.0/nvme/nvme0/nvme0n1/nvme0n1p3")
    machine.add(f"{PCI}/0000:00:05.0/virtio2/block/vda")
    for function in ("02", "04", "05"):
        (sysfs / f"{PCI}/0000:00:{function}.0/remove").touch()
    assert find_control(sysfs, "sda") == sysfs / SCSI / "2:0:0:0/delete"
    assert find_control(sysfs, "nvme0n1") == sysfs / f"{PCI}/0000:00:04.0/remove"
    assert find_control(sysfs, "vda") == sysfs / f"{PCI}/0000:00:05.0/remove"
    assert (disk_of(sysfs, "nvme0n1p3"), disk_of(sysfs, "vda")) == ("nvme0n1", "vda")
    machine.add(f"{PCI}/0000:00:04.0/nvme/nvme0/nvme0n2")
    assert find_control(sysfs, "nvme0n1") is None
    # Without its own file, the controller's would take sdb away too.
    (sysfs / SCSI / "2:0:0:0/delete").unlink()
    assert find_control(sysfs, "sda") is None
    assert find_control(sysfs, "dm-0") is None


def test_a_mount_that_the_kernel_has_taken_away_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    runner = FakeRunner(failures={"umount": ""})
    here = context(runner, tmp_path)
    mountinfo = here.proc / "self/mountinfo"
    mountinfo.write_text(f"40 1 253:1 / {here.target} rw - ext4 /dev/pve/root rw\n")

    def detach(_: str) -> None:
        mountinfo.write_text("")

    runner.before = detach
    unmount_target(here)
    assert runner.lines == [f"umount {here.target}"]
