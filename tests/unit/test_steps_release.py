import json
import time
from pathlib import Path

import pytest

from hostlib.errors import StepError
from installer.steps.mounts import Mount, parse_mountinfo, plan_unmount, read_holders, unmount_target
from installer.steps.release import Release, check_released, plan_release
from installer.steps.tree import Node, Tree, read_tree, render_lvm_uuid
from tests.unit.installer_fakes import FakeRunner, context, target

PVE = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
INNER = "bbbbbb-bbbb-bbbb-bbbb-bbbb-bbbb-bbbbbb"
OFF_PVE = f"vgchange --activate n --select vg_uuid={PVE}"
OFF_INNER = f"vgchange --activate n --select vg_uuid={INNER}"


def tree(*nodes: Node, mounts: tuple[Mount, ...] = (), swaps: tuple[str, ...] = ()) -> Tree:
    return Tree("sda", {node.name: node for node in nodes}, mounts, swaps)


def disk(*holders: str) -> Node:
    return Node("sda", "disk", "8:0", holders=holders)


def part(number: int, *holders: str) -> Node:
    return Node(f"sda{number}", "partition", f"8:{number}", holders=holders)


def lv(number: int, label: str, *holders: str, vg: str = PVE) -> Node:
    return Node(f"dm-{number}", "lvm", f"253:{number}", label, vg, holders=holders)


def mount(number: int, device: str, path: str, parent: int = 1) -> Mount:
    return Mount(number, parent, device, Path(path), "none")


PLANS: dict[str, tuple[Tree, list[str]]] = {
    "plain disk": (tree(disk()), []),
    "partitions that nothing uses": (tree(disk("sda1", "sda2"), part(1), part(2)), []),
    "mounted partition with a mount on it": (
        tree(
            disk("sda1"),
            part(1),
            mounts=(mount(20, "8:1", "/mnt"), mount(21, "0:44", "/mnt/tmp", 20), mount(22, "8:17", "/srv")),
        ),
        ["umount /mnt/tmp", "umount /mnt"],
    ),
    "old pve VG on partition 3": (
        tree(
            disk("sda1", "sda2", "sda3"),
            part(1),
            part(2),
            part(3, "dm-0", "dm-1", "dm-2", "dm-3"),
            lv(0, "pve-swap"),
            lv(1, "pve-root"),
            lv(2, "pve-data_tmeta", "dm-4"),
            lv(3, "pve-data_tdata", "dm-4"),
            lv(4, "pve-data-tpool", "dm-5"),
            lv(5, "pve-vm--100--disk--0"),
            mounts=(
                mount(30, "253:1", "/run/slipway/target"),
                mount(31, "0:5", "/run/slipway/target/dev", 30),
            ),
            swaps=("/dev/dm-0",),
        ),
        ["swapoff /dev/dm-0", "umount /run/slipway/target/dev", "umount /run/slipway/target", OFF_PVE],
    ),
    "md member with a mounted array and a second member elsewhere": (
        tree(
            disk("sda1"),
            part(1, "md127"),
            Node("md127", "md", "9:127"),
            mounts=(mount(20, "9:127", "/mnt"),),
        ),
        ["umount /mnt", "mdadm --stop /dev/md127"],
    ),
    "IMSM: the array before its container": (
        tree(disk("md126", "md127"), Node("md126", "md", container=True), Node("md127", "md")),
        ["mdadm --stop /dev/md127", "mdadm --stop /dev/md126"],
    ),
    "LUKS on LVM, with another LV beside it": (
        tree(
            disk("sda3"),
            part(3, "dm-0", "dm-1"),
            lv(0, "pve-root"),
            lv(1, "pve-vault", "dm-2"),
            Node("dm-2", "crypt", "253:2", "vault"),
            mounts=(mount(20, "253:2", "/mnt"),),
        ),
        ["umount /mnt", "cryptsetup close vault", OFF_PVE],
    ),
    "LVM on LUKS on md": (
        tree(
            disk("sda1"),
            part(1, "md0"),
            Node("md0", "md", "9:0", holders=("dm-0",)),
            Node("dm-0", "crypt", "253:0", "secure", holders=("dm-1",)),
            lv(1, "inner-root", vg=INNER),
        ),
        [OFF_INNER, "cryptsetup close secure", "mdadm --stop /dev/md0"],
    ),
    # The LV on sdb is not in the tree; sdb is named nowhere.
    "VG that spans sda and sdb": (
        tree(disk("sda1"), part(1, "dm-0"), lv(0, "pve-big"), mounts=(mount(9, "8:16", "/other"),)),
        [OFF_PVE],
    ),
}


@pytest.mark.parametrize("case", PLANS)
def test_plan_release(case: str) -> None:
    found, expected = PLANS[case]
    commands = [" ".join(command) for command in plan_release(found)]
    assert commands == expected
    assert "sdb" not in " ".join(commands)


@pytest.mark.parametrize("path", ["/run/live/medium", "/run/live/rootfs/filesystem.squashfs", "/"])
def test_the_disk_of_the_live_system_is_refused(path: str) -> None:
    found = tree(disk("sda1"), part(1), mounts=(mount(20, "8:1", path),))
    with pytest.raises(StepError, match="the live system runs from it"):
        plan_release(found)


def test_what_cannot_be_taken_down_is_named() -> None:
    found = tree(disk("dm-0"), Node("dm-0", "other", "253:0", "mpatha"))
    with pytest.raises(StepError, match=r"dm-0 \(mpatha\) stands on it"):
        plan_release(found)


def test_a_swap_file_on_the_disk_is_turned_off_before_its_file_system() -> None:
    found = tree(
        disk("sda1"), part(1), mounts=(mount(20, "8:1", "/mnt"),), swaps=("/mnt/swapfile", "/dev/sdb1")
    )
    assert plan_release(found) == [("swapoff", "/mnt/swapfile"), ("umount", "/mnt")]


def test_btrfs_is_found_by_its_source() -> None:
    # btrfs gives its mounts a device number of its own.
    found = tree(disk("sda1"), part(1), mounts=(Mount(20, 1, "0:50", Path("/mnt"), "/dev/sda1"),))
    assert plan_release(found) == [("umount", "/mnt")]


def test_what_is_left_after_a_release_is_told() -> None:
    found = tree(disk("sda1"), part(1, "dm-0"), lv(0, "pve-root"), mounts=(mount(20, "253:0", "/mnt"),))
    with pytest.raises(StepError, match="sda is still in use by pve-root, /mnt; restart"):
        check_released(found)
    check_released(tree(disk("sda1"), part(1)))


def test_lvm_writes_a_uuid_in_groups() -> None:
    text = "abcdefGHIJklmnOPQRstuvWXYZ012345"
    assert render_lvm_uuid(text) == "abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-012345"


MOUNTINFO = r"""21 1 0:20 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/run/live/rootfs
30 21 7:0 / /run/live/rootfs/filesystem.squashfs ro shared:5 - squashfs /dev/loop0 ro
31 21 253:1 / /mnt/my\040disk rw - ext4 /dev/mapper/pve-root rw
32 31 0:44 / /mnt/my\040disk/proc rw - proc proc rw
"""


def test_mountinfo_with_blanks_and_optional_fields() -> None:
    mounts = parse_mountinfo(MOUNTINFO)
    assert [str(mount.path) for mount in mounts][2:] == ["/mnt/my disk", "/mnt/my disk/proc"]
    assert mounts[2] == Mount(31, 21, "253:1", Path("/mnt/my disk"), "/dev/mapper/pve-root")
    assert [mount.number for mount in plan_unmount(mounts, {31})] == [32, 31]


def make_sysfs(root: Path) -> Path:
    block = root / "sys/class/block"
    files = {
        "sda/dev": "8:0",
        "sda/device/model": "",
        "sda/sda3/partition": "3",
        "sda3/dev": "8:3",
        "sda3/partition": "3",
        "sda3/holders/dm-0/dev": "",
        "dm-0/dev": "253:0",
        "dm-0/dm/uuid": "LVM-" + "a" * 32 + "r" * 32,
        "dm-0/dm/name": "pve-root",
        "dm-0/holders/dm-1/dev": "",
        "dm-1/dev": "253:1",
        "dm-1/dm/uuid": "CRYPT-LUKS2-0123-vault",
        "dm-1/dm/name": "vault",
    }
    for name, text in files.items():
        (block / name).parent.mkdir(parents=True, exist_ok=True)
        (block / name).write_text(text + "\n")
    return root / "sys"


def test_the_tree_is_read_from_sysfs(tmp_path: Path) -> None:
    sysfs = make_sysfs(tmp_path)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(MOUNTINFO)
    swaps = "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0  partition 1 0 -2\n"
    (tmp_path / "proc/swaps").write_text(swaps)
    found = read_tree("sda", sysfs, tmp_path / "proc")
    assert found.nodes == {
        "sda": Node("sda", "disk", "8:0", holders=("sda3",)),
        "sda3": Node("sda3", "partition", "8:3", holders=("dm-0",)),
        "dm-0": Node("dm-0", "lvm", "253:0", "pve-root", PVE, holders=("dm-1",)),
        "dm-1": Node("dm-1", "crypt", "253:1", "vault"),
    }
    assert plan_release(found) == [
        ("umount", "/mnt/my disk/proc"),
        ("umount", "/mnt/my disk"),
        ("cryptsetup", "close", "vault"),
        ("vgchange", "--activate", "n", "--select", f"vg_uuid={PVE}"),
    ]


def pvs(path: str, vg: str, uuid: str) -> str:
    row = {"pv_name": path, "vg_name": vg, "vg_uuid": uuid, "vg_tags": ""}
    return json.dumps({"report": [{"pv": [row]}]})


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (pvs("/dev/sdb", "pve", "unseen"), "/dev/sdb: another VG is called pve \\(UUID unseen\\)"),
        ("", "LVM does not tell which VGs there are"),
    ],
)
def test_a_vg_of_our_name_that_the_inventory_did_not_see(tmp_path: Path, output: str, message: str) -> None:
    runner = FakeRunner({"pvs": output})
    with pytest.raises(StepError, match=message):
        Release(target(path="/dev/sda"), {}).run(context(runner, tmp_path), lambda _: None)
    assert all(line.startswith("pvs ") for line in runner.lines)


def test_a_vg_of_our_name_on_the_target_is_no_obstacle(tmp_path: Path) -> None:
    runner = FakeRunner({"pvs": pvs("/dev/sda", "pve", "old")})
    Release(target(path="/dev/sda"), {}).run(context(runner, tmp_path), lambda _: None)
    assert runner.lines[-1] == "udevadm settle --timeout=30"


def test_release_renames_after_the_disk_is_free(tmp_path: Path) -> None:
    runner = FakeRunner({"pvs": pvs("/dev/sdb", "pve", INNER)})

    def rename(line: str) -> None:
        if line.startswith("vgrename"):
            runner.outputs["pvs"] = pvs("/dev/sdb", "pve-OLD-1", INNER)

    runner.before = rename
    step = Release(target(path="/dev/sda"), {INNER: "pve-OLD-1"})
    step.run(context(runner, tmp_path), lambda _: None)
    assert runner.lines[1:3] == ["udevadm settle --timeout=30", f"vgrename --yes {INNER} pve-OLD-1"]
    assert [preview.command for preview in step.describe()] == step.renames()


def test_a_busy_mount_is_tried_again_and_then_its_users_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    runner = FakeRunner(failures={"umount": "target is busy."})
    here = context(runner, tmp_path)
    root = here.target
    (here.proc / "self/mountinfo").write_text(f"40 1 253:1 / {root} rw - ext4 /dev/pve/root rw\n")
    process = here.proc / "77"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("rsyslogd\n")
    (process / "fd/3").symlink_to(root / "var/log/syslog")
    with pytest.raises(StepError, match=r"cannot be unmounted: target is busy\.; in use by rsyslogd \(77\)"):
        unmount_target(here)
    assert runner.lines.count(f"umount {root}") == 5
    assert read_holders(Path("/elsewhere"), here.proc) == []
