import os
from pathlib import Path

import pytest

from hostlib.files import read_if_there, write_atomic


def test_write_makes_parents_and_sets_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "etc/slipway/seed.json"
    old = os.umask(0o077)
    try:
        write_atomic(path, "é\n", 0o644)
    finally:
        os.umask(old)
    assert path.read_bytes() == "é\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644


def test_write_replaces_a_file_and_narrows_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    write_atomic(path, "old", 0o644)
    write_atomic(path, b"new", 0o600)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_leftover_of_a_power_cut_does_not_lend_its_mode(tmp_path: Path) -> None:
    leftover = tmp_path / ".seed.json.new"
    leftover.write_text("half")
    leftover.chmod(0o666)
    write_atomic(tmp_path / "seed.json", "whole", 0o600)
    assert (tmp_path / "seed.json").stat().st_mode & 0o777 == 0o600
    assert not leftover.exists()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "seed.json"
    write_atomic(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"


def test_read_if_there(tmp_path: Path) -> None:
    (tmp_path / "serial").write_bytes(b"  S4GE\xff\n")
    assert read_if_there(tmp_path / "serial") == "S4GE\ufffd"
    assert read_if_there(tmp_path / "missing") is None
    assert read_if_there(tmp_path) is None
