"""The ISO that carries an answer: it starts as before, it is secret, and nothing half-made is left."""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostlib.errors import CommandError, UserError
from hostlib.run import Completed
from hostlib.sizes import MIB
from image.answer import ANSWER, MODE
from image.remaster import BootLostError, find_xorriso, parse_boot, write_answer_iso, write_arguments
from image.report import Report

BOOT = """\
El Torito catalog  : 78  1
El Torito images   :   N  Pltf  B   Emul  Ld_seg  Hdpt  Ldsiz         LBA
El Torito boot img :   1  BIOS  y   none  0x0000  0x00      4          79
El Torito boot img :   2  UEFI  y   none  0x0000  0x00  12288      287904
System area summary: MBR protective-msdos-label grub2-mbr cyl-align-off GPT
GPT lba range      :      64  1154476  1154539
GPT type GUID      :   1  a2a0d0ebe5b9334487c068b6b72699c7
GPT start and size :   1  64  1151552
GPT type GUID      :   2  28732ac11ff8d211ba4b00a0c93ec93b
GPT start and size :   2  1151616  12288
"""


class Xorriso:
    """Writes an ISO that names its arguments; reports the boot equipment that a test prepared."""

    def __init__(
        self, *boots: str, info: str = "Slipway 0.1.0", unreadable: str = "", unwritable: str = ""
    ) -> None:
        self.boots, self.info = list(boots), info
        self.unreadable, self.unwritable = unreadable, unwritable
        self.modes: list[int] = []

    def __call__(self, arguments: list[str]) -> Completed:
        writes = "-map" in arguments
        if writes:
            output = Path(arguments[arguments.index("-outdev") + 1].removeprefix("stdio:"))
            seen = (output.parent, *output.parent.iterdir())
            self.modes = [stat.S_IMODE(path.stat().st_mode) for path in seen]
            output.write_text(" ".join(arguments))
        if error := self.unwritable if writes else self.unreadable:
            raise CommandError("xorriso", "exit status 5", error)
        return Completed(0, "" if writes else f"{self.boots.pop(0)}{self.info}\n", "")


@pytest.fixture
def iso(tmp_path: Path) -> Path:
    path = tmp_path / "slipway 1.iso"
    path.write_text("iso")
    return path


def test_xorriso_keeps_the_boot_equipment_and_takes_off_an_earlier_answer() -> None:
    found = write_arguments(Path("/i.iso"), Path("/w/iso"), Path("/w"), [ANSWER, MODE])
    assert " ".join(found) == (
        "-indev stdio:/i.iso -find / -maxdepth 1 -type f ( -name answer.toml -or -name auto-installer-mode.toml"
        " -or -name slipway-first-boot -or -name proxmox-first-boot ) -exec rm -- -outdev stdio:/w/iso"
        " -boot_image any replay -map /w/answer.toml /answer.toml"
        " -map /w/auto-installer-mode.toml /auto-installer-mode.toml"
        " -chown 0 /answer.toml /auto-installer-mode.toml -- -chgrp 0 /answer.toml /auto-installer-mode.toml --"
        " -chmod 0400 /answer.toml /auto-installer-mode.toml -- -commit -end"
    )


def test_boot_equipment_without_its_places() -> None:
    moved = BOOT.replace("287904", "287933").replace("  79\n", " 106\n").replace("1151616", "1151732")
    # How xorriso reads a size of whole MiB, which is of no account to firmware.
    moved = moved.replace("cyl-align-off", "cyl-align-on")
    assert parse_boot(moved) == parse_boot(BOOT) == {
        "El Torito image 1 BIOS y none 0x0000 0x00 4",
        "El Torito image 2 UEFI y none 0x0000 0x00 12288",
        "system area MBR protective-msdos-label grub2-mbr GPT",
        "EFI system partition of 12288 sectors",
    }  # fmt: skip


def test_new_iso_is_secret_and_has_its_checksum(iso: Path) -> None:
    xorriso = Xorriso(BOOT, BOOT)
    output = write_answer_iso(iso, None, {ANSWER: b"a", MODE: b"m"}, xorriso=xorriso, report=Report())
    assert output == iso.with_name("slipway 1-answer.iso")
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    # While it is made: the folder, and the files in it.
    assert xorriso.modes == [0o700, 0o600, 0o600]
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    assert output.with_name(f"{output.name}.sha256").read_text() == f"{digest}  {output.name}\n"
    assert len(list(iso.parent.iterdir())) == 3
    assert iso.read_text() == "iso"


@pytest.mark.parametrize("failure", ["program", "lost-esp"])
def test_failure_leaves_the_iso_of_before(failure: str, iso: Path) -> None:
    output = iso.with_name("o.iso")
    output.write_text("before")
    (iso.parent / ".o.iso.part").mkdir()
    (iso.parent / ".o.iso.part/left").write_text("by an interrupted run")
    if failure == "program":
        xorriso = Xorriso(BOOT, unwritable="no space")
    else:
        xorriso = Xorriso(BOOT, BOOT.partition("GPT type GUID      :   2")[0])
    expected = (
        "no space" if failure == "program" else "not made, because xorriso lost EFI system partition of 12288"
    )
    with pytest.raises((CommandError, BootLostError), match=expected):
        write_answer_iso(iso, output, {MODE: b"m"}, xorriso=xorriso, report=Report())
    assert sorted(path.name for path in iso.parent.iterdir()) == ["o.iso", iso.name]
    assert output.read_text() == "before"


@pytest.mark.parametrize(
    ("xorriso", "reason"),
    [
        (Xorriso(BOOT, info="Debian GNU/Linux 13"), "its /.disk/info is 'Debian GNU/Linux 13'"),
        (Xorriso("", info="SlipwayX"), "its /.disk/info is 'SlipwayX'"),
        (Xorriso(unreadable="xorriso : FAILURE : Cannot read tree\nx"), "Cannot read tree.; give one"),
    ],
)
def test_other_isos_are_refused(xorriso: Xorriso, reason: str, iso: Path) -> None:
    with pytest.raises(UserError, match=f"this is no whole Slipway ISO .{reason}"):
        write_answer_iso(iso, None, {MODE: b"m"}, xorriso=xorriso, report=Report())
    assert list(iso.parent.iterdir()) == [iso]


def _same(iso: Path) -> Path:
    return iso.parent / "link.iso"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (_same, "this is the ISO to read from"),
        (lambda iso: iso.parent / "no/o.iso", "its folder does not exist"),
        (lambda iso: iso.parent / "answer.toml", "something else is there"),
        (lambda _: Path("/dev/null"), "something else is there"),
    ],
)
def test_outputs_that_are_refused(output: Callable[[Path], Path], reason: str, iso: Path) -> None:
    (iso.parent / "link.iso").symlink_to(iso)
    (iso.parent / "answer.toml").write_text("answer")
    with pytest.raises(UserError, match=reason):
        write_answer_iso(iso, output(iso), {MODE: b"m"}, xorriso=Xorriso(BOOT, BOOT), report=Report())
    assert (iso.parent / "answer.toml").read_text() == "answer"


def test_full_disk_is_told_before(iso: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=16 * MIB))
    with pytest.raises(UserError, match=r"16\.0 MiB are free"):
        write_answer_iso(iso, None, {MODE: b"m"}, xorriso=Xorriso(BOOT), report=Report())


class Recorder:
    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        self.commands.append(list(argv))
        return Completed(0, "", "")


def test_xorriso_of_the_host_else_of_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Recorder()
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/usr/bin/xorriso")
    find_xorriso(runner, tmp_path)(["-end"])
    assert runner.commands[0][0] == "xorriso"
    assert runner.commands[0][-1] == "-end"
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(UserError, match=r"^xorriso: .*; install it"):
        find_xorriso(runner, tmp_path)
    for name in ("mkosi/tools/usr/bin/xorriso", "tools/mkosi/mkosi/__main__.py"):
        (tmp_path / ".build" / name).parent.mkdir(parents=True)
        (tmp_path / ".build" / name).touch()
    monkeypatch.setenv("DEBIAN_MIRROR", "http://mirror.example.test/d")
    find_xorriso(runner, tmp_path)(["-end"])
    assert runner.commands[1][-7:] == ["xorriso", "-no_rc", "-abort_on", "FAILURE", "-osirrox", "on", "-end"]
    assert runner.commands[1][:2] == ["env", f"--chdir={tmp_path}"]
