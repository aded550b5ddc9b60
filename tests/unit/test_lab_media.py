from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm.lab.media import GIB, MIB, content_digest, find_in_raw, make_dirty_disk, make_disk


def write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_blank_disk_takes_no_room(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "d", 20 * GIB)
    assert disk.stat().st_size == 20 * GIB
    assert disk.stat().st_blocks * 512 < MIB


def test_written_zeros_are_no_change(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "d", 64 * MIB)
    before = content_digest(disk)
    write(disk, 5 * MIB, bytes(3 * MIB))
    assert content_digest(disk) == before


@pytest.mark.parametrize("offset", [0, 65535, 65536, 40 * MIB, 64 * MIB - 1])
def test_one_changed_bit_shows(tmp_path: Path, offset: int) -> None:
    disk = make_disk(tmp_path / "d", 64 * MIB)
    before = content_digest(disk)
    write(disk, offset, b"\x01")
    assert content_digest(disk) != before


def test_moved_content_shows(tmp_path: Path) -> None:
    digests = set()
    for offset in (0, MIB):
        disk = make_disk(tmp_path / "d", 8 * MIB)
        write(disk, offset, b"x")
        digests.add(content_digest(disk))
    assert len(digests) == 2


def test_another_size_shows(tmp_path: Path) -> None:
    assert content_digest(make_disk(tmp_path / "a", MIB)) != content_digest(
        make_disk(tmp_path / "b", 2 * MIB)
    )


def test_dirty_disk_is_dirty_at_both_ends(tmp_path: Path) -> None:
    disk = make_dirty_disk(tmp_path / "d", 64 * MIB, 3)
    data = disk.read_bytes()
    assert any(data[: 2 * MIB])
    assert any(data[-2 * MIB :])
    assert not any(data[2 * MIB : -2 * MIB])
    assert content_digest(disk) == content_digest(make_dirty_disk(tmp_path / "e", 64 * MIB, 3))
    assert content_digest(disk) != content_digest(make_dirty_disk(tmp_path / "f", 64 * MIB, 4))


@pytest.mark.parametrize("offset", [0, 65534, 40 * MIB, 64 * MIB - 6])
def test_text_is_found_wherever_it_is(tmp_path: Path, offset: int) -> None:
    disk = make_disk(tmp_path / "d", 64 * MIB)
    write(disk, offset, b"secret")
    write(disk, 20 * MIB, b"another")
    assert find_in_raw(disk, ["secret", "nothing", "another"]) == ["secret", "another"]


def test_text_is_not_made_up_of_blocks_that_are_apart(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "d", MIB)
    write(disk, 65533, b"sec")
    write(disk, 131072, b"ret")
    assert find_in_raw(disk, ["secret"]) == []
