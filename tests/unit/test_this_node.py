from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import this_node as module
from agent.enrollment import Enrollment, load_enrollment, save_enrollment
from agent.status import parse_enrollment
from agent.this_node import Kept, parse_built_at, read_facts, read_macs
from hostlib.release import Release
from tests.unit.cluster_fakes import SEED


def make_link(
    root: Path, name: str, mac: str, lower: tuple[str, ...] = (), *, physical: bool = False
) -> None:
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True)
    (folder / "address").write_text(f"{mac}\n")
    for other in lower:
        (folder / f"lower_{other}").touch()
    if physical:
        (folder / "device").mkdir()


def test_the_addresses_of_the_ports_below_the_bridge(tmp_path: Path) -> None:
    make_link(tmp_path, "vmbr0", "52:54:00:00:00:01", ("bond0.5", "tap1"))
    make_link(tmp_path, "tap1", "fe:00:00:00:00:09")
    make_link(tmp_path, "bond0.5", "52:54:00:00:00:01", ("bond0",))
    make_link(tmp_path, "bond0", "52:54:00:00:00:01", ("eno2", "eno1"))
    make_link(tmp_path, "eno1", "52:54:00:00:00:01", physical=True)
    make_link(tmp_path, "eno2", "52:54:00:00:00:01", physical=True)
    make_link(tmp_path, "eno3", "52:54:00:00:00:03", physical=True)
    (tmp_path / "sys/class/net/eno2/bonding_slave").mkdir()
    (tmp_path / "sys/class/net/eno2/bonding_slave/perm_hwaddr").write_text("52:54:00:00:00:0A\n")
    assert read_macs("vmbr0", tmp_path) == ("52:54:00:00:00:01", "52:54:00:00:00:0a")
    assert read_macs("none", tmp_path) == ()


def test_what_a_node_says_of_itself(tmp_path: Path) -> None:
    dmi = tmp_path / "sys/class/dmi/id"
    dmi.mkdir(parents=True)
    (dmi / "product_serial").write_text("S" * 300 + "\n")
    (dmi / "product_uuid").write_text("4C4C4544-0001\n")
    facts = read_facts(SEED, "0.1.0", tmp_path)
    assert (facts.fqdn, facts.address, facts.version) == ("node2.example.com", "192.0.2.12", "0.1.0")
    assert (facts.serial, facts.uuid) == ("S" * 256, "4c4c4544-0001")


def test_when_the_build_was_made() -> None:
    day = datetime(2026, 2, 28, 10, tzinfo=UTC)
    assert parse_built_at(Release(built_at="2026-02-28T10:00:00Z")) == day
    assert parse_built_at(Release(built_at="2026-02-28T10:00:00")) == day
    assert parse_built_at(Release()) is None


def test_the_state_is_what_the_status_reads(tmp_path: Path) -> None:
    told: list[Enrollment] = []
    kept = Kept(tmp_path / "enrollment.json", told.append)
    assert kept.current == Enrollment()
    now = Enrollment(state="serving", id="ab" * 16, reason="r", urls=("https://192.0.2.1:8007",))
    kept.keep(now)
    kept.keep(now)
    assert told == [Enrollment(), now]
    shown = parse_enrollment((tmp_path / "enrollment.json").read_text())
    assert (shown.state, shown.reason, shown.id, shown.urls) == (now.state, now.reason, now.id, now.urls)
    other = now.model_copy(update={"reason": ""})
    save_enrollment(other, tmp_path / "enrollment.json")
    kept.load()
    assert told[-1] == kept.current == other


def test_a_full_disk_keeps_the_state_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "enrollment.json"
    before = Enrollment(state="serving", id="ab" * 16)
    save_enrollment(before, path)
    kept = Kept(path, lambda _: None)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    after = before.model_copy(update={"reason": "r"})
    with monkeypatch.context() as patched:
        patched.setattr(module, "save_enrollment", full)
        for _ in range(3):
            kept.keep(after)
    assert kept.current.reason == "r"
    assert load_enrollment(path)[0] == before
    assert (
        caplog.text.count("enrollment.json: cannot be written (No space left on device); free some space")
        == 1
    )
    # There is space again.
    kept.keep(after)
    assert load_enrollment(path)[0] == after
