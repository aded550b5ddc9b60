"""The build: what it takes from the host, when it builds again, and what it says when it cannot."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from hostlib.errors import CommandError, ExitStatus, UserError
from hostlib.run import Completed
from hostlib.sizes import GIB
from image import __main__ as command
from image import build as build_module
from image import tools
from image.build import Build, run_build
from image.iso import Parts, make_iso, render_grub_config, render_sums, render_volume_label, xorriso_argv
from image.layer import parse_manifest, read_version
from image.mirror import Mirrors, check_reachable, parse_targets, read_mirrors, render_sources
from image.report import Report
from image.stamp import Stamp, digest_inputs
from image.tools import Mkosi, ensure_mkosi, parse_version
from image.units import ENABLED, LIVE_ONLY, MASKED, NODE_ONLY, render_links, render_units

PROJECT = Path(__file__).parents[2]
SITE = "http://mirror.example.test"
MIRRORS = Mirrors(f"{SITE}/debian-site", f"{SITE}/security-site")


class Script:
    """A runner that answers by the program's name."""

    def __init__(self, **answers: str | Exception) -> None:
        self.answers = answers
        self.commands: list[list[str]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        input_text: str | None = None,
        secrets: Sequence[str] = (),
        ok: Collection[int] = (0,),
        timeout_seconds: float = 0,
        chroot: Path | None = None,
        on_output: Callable[[str], None] | None = None,
    ) -> Completed:
        self.commands.append(list(argv))
        answer = self.answers.get(argv[0].replace("-", "_"), "")
        if isinstance(answer, Exception):
            raise answer
        return Completed(0, answer, "")


def test_mirrors_come_from_the_labels_that_apt_knows() -> None:
    text = (
        f"{SITE}/other/ main Other\n{SITE}/a/ main Debian\n{SITE}/a/ contrib Debian\n"
        f"{SITE}/b/ main Debian-Security\n"
    )
    assert parse_targets(text) == Mirrors(f"{SITE}/a", f"{SITE}/b")


def test_mirrors_without_labels_come_from_their_folders() -> None:
    text = f"cdrom://x/ main \n{SITE}/tools main \n{SITE}/debian/ main \n"
    assert parse_targets(text) == Mirrors(f"{SITE}/debian", f"{SITE}/debian-security")


def test_debian_mirror_wins() -> None:
    given = {"DEBIAN_MIRROR": f"{SITE}/d/"}
    assert read_mirrors(Script(), given) == Mirrors(f"{SITE}/d", f"{SITE}/d-security")


@pytest.mark.parametrize(
    "answer", ["", f"{SITE}/ubuntu main Ubuntu\n", CommandError("apt-get", "exit status 1", "")]
)
def test_a_host_without_debian_says_what_to_do(answer: str | Exception) -> None:
    with pytest.raises(UserError, match="set DEBIAN_MIRROR= to the URL of a Debian mirror"):
        read_mirrors(Script(apt_get=answer), {})


def test_sources_name_all_suites() -> None:
    assert render_sources(MIRRORS).splitlines()[:4] == [
        "Types: deb",
        f"URIs: {SITE}/debian-site",
        "Suites: trixie trixie-updates",
        "Components: main non-free-firmware",
    ]
    assert "Suites: trixie-security" in render_sources(MIRRORS)


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> NoReturn:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(UserError) as caught:
        check_reachable(MIRRORS)
    assert str(caught.value) == (
        f"mirror: {SITE}/debian-site/dists/trixie/InRelease cannot be read (Name or service not known); "
        "check the network, or set DEBIAN_MIRROR= to the URL of a Debian mirror"
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [("mkosi 25.3", (25, 3)), ("mkosi 26~devel", (26, 0)), ("mkosi 14", (14, 0)), ("what", (0, 0))],
)
def test_versions_of_mkosi(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


def test_a_new_mkosi_of_the_host_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/mkosi")
    assert ensure_mkosi(Script(mkosi="mkosi 25.3"), tmp_path, MIRRORS) == Mkosi(("mkosi",), tmp_path)


def test_an_old_mkosi_of_the_host_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/mkosi")
    failed = CommandError("apt-get update", "exit status 100", "E: no network")
    with pytest.raises(UserError) as caught:
        ensure_mkosi(Script(mkosi="mkosi 14", apt_get=failed), tmp_path, MIRRORS)
    assert str(caught.value) == (
        "mkosi: Debian trixie's package cannot be fetched: E: no network; "
        "check the network and the mirror, or install mkosi 25.3 or newer"
    )


def test_stamp_follows_content_mode_and_facts(tmp_path: Path) -> None:
    source, product = tmp_path / "source", tmp_path / "product"
    source.mkdir()
    (source / "a.py").write_text("1")
    first = digest_inputs([source], "x")
    assert digest_inputs([source], "y") != first
    (source / "a.py").chmod(0o755)
    second = digest_inputs([source], "x")
    assert second != first
    (source / "a.py").write_text("2")
    assert digest_inputs([source], "x") != second
    (source / "__pycache__").mkdir()
    (source / "__pycache__/a.pyc").write_text("bytecode")
    now = digest_inputs([source], "x")
    stamp = Stamp(tmp_path / "stamp", now, [product])
    assert not stamp.is_current()
    stamp.keep()
    assert not stamp.is_current(), "the product is missing"
    product.touch()
    assert stamp.is_current()
    stamp.drop()
    assert not stamp.is_current()


def test_units_are_on_one_side_only() -> None:
    assert not set(NODE_ONLY) & set(LIVE_ONLY)
    assert not (set(NODE_ONLY) | set(LIVE_ONLY)) & set(MASKED)
    drop_in = Path("etc/systemd/system/incus.service.d/10-slipway.conf")
    assert render_units()[drop_in] == "[Unit]\nConditionKernelCommandLine=!boot=live\n"
    for unit in ENABLED.values():
        assert (PROJECT / "image/layer/usr/lib/systemd/system" / unit).is_file()
    assert render_links()[Path("etc/systemd/system/chrony-wait.service")] == "/dev/null"


def test_the_label_of_the_iso_is_not_that_of_an_answer_volume() -> None:
    assert render_volume_label("0.1.0~rc1") == "SLIPWAY_0_1_0_RC1"


def test_every_boot_entry_is_filled_in() -> None:
    text = render_grub_config((PROJECT / "image/boot/grub.cfg.in").read_text(), "9.9")
    assert "@" not in text
    entries = [line for line in text.splitlines() if line.strip().startswith("linux ")]
    assert len(entries) >= 4
    assert all("boot=live" in line and "console=ttyS" in line for line in entries)


def test_sums_are_as_sha256sum_prints_them(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert render_sums(tmp_path) == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty\n"
    )


def test_xorriso_takes_the_tree_last() -> None:
    argv = xorriso_argv(Path("/tree"), Path("/efi.img"), Path("/out.iso"), "LABEL")
    assert argv[-1] == "/tree"
    assert argv[argv.index("-append_partition") + 3] == "/efi.img"


def test_manifest_and_version() -> None:
    assert parse_manifest('{"packages": [{"name": "incus", "version": "6.0", "type": "deb"}]}') == {
        "incus": "6.0"
    }
    assert read_version(PROJECT)


def make_project(folder: Path) -> Path:
    (folder / "pyproject.toml").write_text('[project]\nversion = "9.9"\n')
    return folder


def test_no_space_is_one_line_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=3 * GIB))
    with pytest.raises(UserError) as caught:
        run_build(Build(make_project(tmp_path), "test", Script(), Report()))
    assert str(caught.value) == (
        f"{tmp_path}: 3.0 GiB are free, a build needs 8.0 GiB; free some space or build on another disk"
    )
    assert not (tmp_path / "out").exists()


def test_an_interrupted_iso_leaves_nothing_half_written(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (project / "image/boot").mkdir(parents=True)
    shutil.copy(PROJECT / "image/boot/grub.cfg.in", project / "image/boot")
    for name in ("vmlinuz", "initrd", "root", "layer"):
        (project / name).write_text(name)
    (project / "efi").mkdir()
    for name in ("shimx64", "gcdx64", "mmx64"):
        (project / f"efi/{name}.efi").touch()
    parts = Parts(*(project / name for name in ("vmlinuz", "initrd", "root", "layer", "efi")))

    class Interrupted(Script):
        def run(self, argv: Sequence[str], **options: object) -> Completed:
            if "xorriso" in argv:
                Path(argv[argv.index("-o") + 1]).write_text("half")
                raise KeyboardInterrupt
            return Completed(0, "", "")

    out = project / "out"
    out.mkdir()
    work = project / "work"
    work.mkdir()
    with pytest.raises(KeyboardInterrupt):
        make_iso(
            Interrupted(), Mkosi(("mkosi",), project), parts, version="9.9", work=work, iso=out / "x.iso"
        )
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyboardInterrupt(), ExitStatus.BUG, "build: interrupted; run the same command again to go on\n"),
        (
            OSError(28, "No space left on device", "out/x"),
            ExitStatus.BUG,
            "out/x: No space left on device; see whether the disk is full or read-only\n",
        ),
        (build_module.BuildError("it broke"), ExitStatus.BUG, "it broke\n"),
    ],
)
def test_failures_are_one_line(
    error: BaseException,
    status: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_build: Build) -> NoReturn:
        raise error

    monkeypatch.setattr(command, "run_build", fail)
    monkeypatch.setattr("sys.argv", ["image", "iso"])
    assert command.main() == status
    assert capsys.readouterr().err == line


def test_mkosi_is_called_in_the_project() -> None:
    runner = Script()
    Mkosi(("mkosi",), Path("/p")).run_tool(runner, ["xorriso", "-version"])
    assert runner.commands == [["env", "--chdir=/p", "mkosi", "sandbox", "--", "xorriso", "-version"]]
    assert tools.OLDEST == (25, 3)


def test_no_unit_of_ours_turns_another_one_off() -> None:
    """A conflict counts before any condition: on the node it took the login prompt from the screen."""
    units = list((PROJECT / "image/layer/usr/lib/systemd/system").glob("*.service"))
    assert units
    assert [unit.name for unit in units if "Conflicts=" in unit.read_text()] == []
