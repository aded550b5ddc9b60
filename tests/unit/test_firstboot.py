from __future__ import annotations

import dataclasses
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstboot import __main__ as program
from firstboot.context import Context
from firstboot.identity import ensure_certificate
from firstboot.tasks import TASKS
from hostlib.errors import ExitStatus, StepError
from hostlib.tls import CERTIFICATE, KEY
from tests.unit.firstboot_fakes import (
    ISSUE,
    LOCAL_LVM,
    MARKER,
    FakeNode,
    Moment,
    Pool,
    PowerCut,
    assert_complete,
    cut_file_writes,
    first_boot,
)


def events(node: FakeNode) -> list[dict[str, Any]]:
    lines = (node.root / "var/lib/slipway/firstboot-events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_fresh_node_is_completed(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    assert first_boot(node) is ExitStatus.DONE
    assert_complete(node)
    assert node.warnings == []
    assert node.console == ["first boot: node1.example.com is complete"]
    names = [task.name for task in TASKS]
    assert [event["task"] for event in events(node) if event["event"] == "task-done"] == names
    assert events(node)[-1] == {"event": "finished", "failed": 0}


def test_a_complete_node_is_only_looked_at(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    first_boot(node)
    node.effects = 0
    assert first_boot(node) is ExitStatus.DONE
    assert node.effects == 0


def count_effects(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    node = FakeNode(folder)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", cut_file_writes(node))
        first_boot(node)
    return node.effects


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_the_power_may_go_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: Moment
) -> None:
    total = count_effects(tmp_path / "whole", monkeypatch)
    assert total > 25
    for number in range(total):
        node = FakeNode(tmp_path / f"node{number}")
        node.cut = (number, moment)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", cut_file_writes(node))
            with pytest.raises(PowerCut):
                first_boot(node)
        node.boot()
        assert first_boot(node) is ExitStatus.DONE, f"cut {moment} effect {number}: {node.console}"
        # The next request starts Cockpit, if nothing did so in this boot.
        node.read_page()
        assert_complete(node)


def fail_with(error: Exception) -> Callable[[Context], None]:
    def run(_context: Context) -> None:
        raise error

    return run


@pytest.mark.parametrize("failing", [task.name for task in TASKS])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StepError("odd thing"), "odd thing"),
        (OSError(errno.ENOSPC, "No space left on device", "/etc/x"), "/etc/x: No space left on device"),
        (OSError("no HTTP answer"), "no HTTP answer"),
        (ValueError("oops"), "bug: ValueError: oops"),
    ],
)
def test_a_failed_task_is_reported_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: Exception, reason: str
) -> None:
    node = FakeNode(tmp_path)
    broken = tuple(
        dataclasses.replace(task, needed=lambda _context: True, run=fail_with(error))
        if task.name == failing
        else task
        for task in TASKS
    )
    with monkeypatch.context() as patched:
        patched.setattr(program, "TASKS", broken)
        assert first_boot(node) is ExitStatus.STEP_FAILED
    assert not (tmp_path / MARKER).exists()
    assert node.console[0] == f"first boot: {failing} failed: {reason}"
    assert node.console[-1].startswith(f"first boot is not finished, failed: {failing}")
    expected = {failing}
    for task in TASKS:
        if expected & set(task.after):
            expected.add(task.name)
    failed = {event["task"] for event in events(node) if event["event"] == "task-failed"}
    assert failed == expected
    state = json.loads((tmp_path / "var/lib/slipway/firstboot.json").read_text())
    assert set(state["done"]) == {task.name for task in TASKS} - failed
    if failing != "banner":
        assert f"{failing}: {reason}" in (tmp_path / ISSUE).read_text()
    node.boot()
    assert first_boot(node) is ExitStatus.DONE
    assert_complete(node)


def test_a_task_without_effect_counts_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode(tmp_path)
    idle = dataclasses.replace(TASKS[0], run=lambda _context: None)
    monkeypatch.setattr(program, "TASKS", (idle,))
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert "the effect is not there" in node.console[0]


def test_early_tasks_need_no_seed_and_leave_no_marker(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    (tmp_path / "etc/slipway/seed.json").unlink()
    node.active.clear()
    assert first_boot(node, early=True) is ExitStatus.DONE
    assert (tmp_path / "etc/ssh/ssh_host_rsa_key").exists()
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file or directory"),
        (b"{", "the file: Invalid JSON"),
        (b"\xff\xfe", "cannot be read"),
        (b'{"schema": 2}', "schema: Input should be 1; install_id: Field required"),
    ],
)
def test_a_bad_seed_is_an_input_error(tmp_path: Path, text: bytes | None, message: str) -> None:
    node = FakeNode(tmp_path)
    seed = tmp_path / "etc/slipway/seed.json"
    seed.unlink()
    if text is not None:
        seed.write_bytes(text)
    assert first_boot(node) is ExitStatus.BAD_INPUT
    assert node.effects == 0
    assert len(node.console) == 1
    assert "first boot: /etc/slipway/seed.json: " in node.console[0]
    assert message in node.console[0]


def test_a_marker_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    (tmp_path / MARKER / "in-the-way").mkdir(parents=True)
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert "Is a directory" in node.console[-1]


def test_damaged_ssh_keys_are_made_again_and_sound_ones_stay(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    first_boot(node)
    ssh = tmp_path / "etc/ssh"
    sound = (ssh / "ssh_host_ecdsa_key").read_text()
    (ssh / "ssh_host_rsa_key").write_text("priv")
    (ssh / "ssh_host_ed25519_key.pub").write_text("")
    first_boot(node)
    assert_complete(node)
    assert (ssh / "ssh_host_ecdsa_key").read_text() == sound


def test_an_empty_certificate_of_incus_is_dropped_and_its_database_stays(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    (tmp_path / "var/lib/incus/server.crt").write_text("PEM")
    (tmp_path / "var/lib/incus/server.key").write_text("")
    database = tmp_path / "var/lib/incus/database/global"
    database.mkdir(parents=True)
    assert first_boot(node, early=True) is ExitStatus.DONE
    assert not (tmp_path / "var/lib/incus/server.key").exists()
    assert database.exists()
    assert "was cut short" in node.warnings[0]


def test_a_half_made_database_is_removed_before_the_daemon_starts(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    (tmp_path / "var/lib/slipway").mkdir(parents=True)
    (tmp_path / "var/lib/slipway/incus-first-start").touch()
    (tmp_path / "var/lib/incus/database/half-made").mkdir(parents=True)
    node.active.add("incus.service")
    assert first_boot(node) is ExitStatus.DONE
    assert_complete(node)
    assert "systemctl stop incus.socket incus.service incus-startup.service" in node.commands
    assert not (tmp_path / "var/lib/slipway/incus-first-start").exists()


def test_a_disk_without_thin_pool(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, thin_pool=None)
    assert first_boot(node) is ExitStatus.DONE
    assert list(node.pools) == ["local"]
    assert node.devices["root"]["pool"] == "local"
    assert node.warnings == [
        "no storage pool local-lvm: the disk was too small for a thin pool; instances use local"
    ]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [(None, "Failed to find logical volume pve/data"), ("-wi-a-----", "LV pve/data is no thin pool")],
)
def test_a_missing_thin_pool_is_not_left_to_incus(
    tmp_path: Path, attributes: str | None, message: str
) -> None:
    node = FakeNode(tmp_path, lv_attributes=attributes)
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert list(node.pools) == ["local"]
    assert message in node.console[0]
    assert "incus-defaults failed: not tried, because it needs storage-pools" in node.console[1]


def test_files_in_the_way_of_a_pool_are_never_removed(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    (tmp_path / "var/lib/vz/backup").mkdir(parents=True)
    (tmp_path / "var/lib/vz/backup/web.tar").write_text("precious")
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert "holds backup, but must be empty" in node.console[0]
    assert (tmp_path / "var/lib/vz/backup/web.tar").read_text() == "precious"
    assert list(node.pools) == ["local-lvm"]


def test_a_finished_pool_that_is_unavailable_is_left_alone(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    first_boot(node)
    node.pools["local-lvm"] = Pool("lvm", LOCAL_LVM, finished=True, status="Unavailable")
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert "storage pool local-lvm: Incus says it is Unavailable" in node.console[1]
    assert node.pools["local-lvm"].status == "Unavailable"


def test_a_mount_of_an_unfinished_pool_is_undone(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    source = tmp_path / "var/lib/vz"
    (source / "images").mkdir(parents=True)
    # A link stands for the bind mount.
    (tmp_path / "var/lib/incus/storage-pools/local").symlink_to(source)
    node.pools["local"] = Pool("dir", {"source": "/var/lib/vz"}, finished=False, status="Pending")
    assert first_boot(node) is ExitStatus.DONE
    assert_complete(node)
    assert (
        f"systemd-run --quiet --wait --collect umount {tmp_path}/var/lib/incus/storage-pools/local"
        in node.commands
    )


def test_an_odd_answer_of_incus_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode(tmp_path)
    monkeypatch.setattr(node, "get", lambda _path: "<html>")
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert "incus query /1.0/storage-pools?recursion=1: not the answer that was expected: " in node.console[0]


def test_what_an_administrator_set_stays(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    node.devices = {"root": {"type": "disk", "path": "/", "pool": "fast"}, "gpu": {"type": "gpu"}}
    node.config = {"core.https_address": "192.0.2.10:8443", "images.auto_update_interval": "0"}
    assert first_boot(node) is ExitStatus.DONE
    assert node.devices["root"]["pool"] == "fast"
    assert set(node.devices) == {"root", "gpu", "eth0"}
    assert node.config == {"core.https_address": "192.0.2.10:8443", "images.auto_update_interval": "0"}


def test_an_unfinished_pool_is_forgotten_by_incus_too(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    node.pools["local-lvm"] = Pool("lvm", LOCAL_LVM, finished=False, status="Unavailable")
    assert first_boot(node) is ExitStatus.DONE
    assert_complete(node)
    restart = node.commands.index("systemctl restart incus.service")
    assert "DELETE FROM storage_pools" in node.commands[restart - 1]
    assert node.commands[restart + 1] == "incus admin waitready --timeout=300"
    assert node.warnings == ["storage pool local-lvm: was cut short, is made again"]


def test_a_new_key_never_stands_beside_an_old_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = FakeNode(tmp_path)
    first_boot(node)
    key, certificate = (tmp_path / path.relative_to("/") for path in (KEY, CERTIFICATE))
    key.write_text("cut short")
    node.effects, node.cut = 0, (0, "after")
    monkeypatch.setattr(Path, "replace", cut_file_writes(node))
    with pytest.raises(PowerCut):
        ensure_certificate(node.context)
    assert key.read_text() != "cut short"
    assert not certificate.exists()


@pytest.mark.parametrize("text", ["uninitialized", "0123", "0" * 31 + "X"])
def test_what_is_no_machine_id_is_replaced(tmp_path: Path, text: str) -> None:
    node = FakeNode(tmp_path)
    (tmp_path / "etc/machine-id").write_text(text)
    assert first_boot(node) is ExitStatus.DONE
    assert_complete(node)
