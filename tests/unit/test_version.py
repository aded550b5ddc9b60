from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli import main
from hostlib.errors import ExitStatus

RELEASE = {
    "product": "Slipway",
    "version": "0.1.0",
    "commit": "3f2a91c",
    "built_at": "2026-02-28T10:00:00Z",
    "packages": {"linux-image-amd64": "6.12.117-1", "incus": "6.0.4-2+deb13u12"},
}
LINE = "Slipway 0.1.0 (3f2a91c, 2026-02-28T10:00:00Z)\n"
PACKAGES = "incus 6.0.4-2+deb13u12\nlinux-image-amd64 6.12.117-1\n"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    path = tmp_path / "release.json"
    # A key that only a later build knows.
    path.write_text(json.dumps({**RELEASE, "channel": "stable"}))
    return path


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["version"], LINE),
        (["version", "--packages"], LINE + PACKAGES),
    ],
)
def test_version_for_people(
    release: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main(arguments, release) is ExitStatus.DONE
    assert capsys.readouterr().out == text


@pytest.mark.parametrize(("arguments", "left_out"), [([], {"packages"}), (["--packages"], set())])
def test_version_for_programs(
    release: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], left_out: set[str]
) -> None:
    assert main(["version", "--json", *arguments], release) is ExitStatus.DONE
    expected = {key: value for key, value in RELEASE.items() if key not in left_out}
    assert json.loads(capsys.readouterr().out) == expected


def test_away_from_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"], tmp_path / "release.json") is ExitStatus.DONE
    assert capsys.readouterr().out == "Slipway unreleased\n"


def test_a_damaged_file_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "release.json"
    path.write_text("{")
    assert main(["version"], path) is ExitStatus.BAD_INPUT
    assert capsys.readouterr().err.startswith(f"{path}: cannot be read: not a release file; ")
