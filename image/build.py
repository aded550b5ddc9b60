"""The build, from Debian packages to the ISO: each part is made again only when its inputs changed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostlib.errors import CommandError, Problem, SlipwayError, UserError
from hostlib.files import write_atomic
from hostlib.run import Runner
from hostlib.sizes import GIB, render_size
from image.iso import Parts, make_iso
from image.layer import PACKAGES, make_layer, make_release, read_commit, read_version
from image.mirror import check_reachable, read_mirrors, render_sources
from image.report import Report
from image.stamp import Stamp, digest_inputs
from image.tools import Mkosi, ensure_mkosi

LEVELS: Final = {"release": 19, "test": 3}
"""Profile -> zstd level. A test image is 20 % larger and made in seconds."""
NEEDED_BYTES: Final = 8 * GIB
BASE_FILES: Final = ("filesystem.squashfs", "vmlinuz", "initrd.img", "root.manifest", "efi")


class BuildError(SlipwayError):
    """A part of the build failed; the message ends with where its whole output is."""


@dataclass(frozen=True, slots=True)
class Build:
    """One call of the build."""

    project: Path
    profile: str
    runner: Runner
    report: Report

    @property
    def work(self) -> Path:
        """Folder of everything that is made and not shipped."""
        return self.project / ".build"

    @property
    def base(self) -> Path:
        """Folder of what mkosi made for this profile."""
        return self.work / f"base-{self.profile}"

    @property
    def layer(self) -> Path:
        """Our own layer, as it is on the ISO of this profile."""
        return self.work / f"layer-{self.profile}" / "slipway.squashfs"

    @property
    def output(self) -> Path:
        """Folder that mkosi writes to: its tools tree stays there, the rest moves to `base`."""
        return self.work / "mkosi"


def run_build(build: Build) -> Path:
    """Make the ISO, its checksum and its manifest in out/. Gives the ISO. Raises UserError, BuildError."""
    version = read_version(build.project)
    name = f"slipway-{version}" + ("" if build.profile == "release" else f"-{build.profile}")
    iso = build.project / f"out/{name}-amd64.iso"
    sums, manifest = iso.with_name(iso.name + ".sha256"), iso.with_name(iso.stem + ".manifest.json")
    inputs = [build.project / name for name in (*PACKAGES, "image", "mkosi.conf", "pyproject.toml")]
    commit = read_commit(build.runner, build.project)
    stamp = Stamp(
        build.work / f"iso-{build.profile}.stamp",
        digest_inputs(inputs, build.profile, commit),
        (iso, sums, manifest, build.layer),
    )
    if stamp.is_current():
        build.report.say(f"{iso.name} is up to date ({render_size(iso.stat().st_size)})")
        return iso
    _check_space(build.project)
    stamp.drop()
    iso.parent.mkdir(parents=True, exist_ok=True)
    mkosi = _build_base(build)
    with build.report.step("Slipway's own layer"):
        release = make_release(build.runner, build.project, build.base / "root.manifest")
        layer = make_layer(build.runner, mkosi, release, _fresh(build.layer.parent), LEVELS[build.profile])
    with build.report.step("ISO"):
        parts = Parts(build.base / "vmlinuz", build.base / "initrd.img", build.base / "filesystem.squashfs", layer,
                      build.base / "efi")  # fmt: skip
        make_iso(build.runner, mkosi, parts, version=version, work=_fresh(build.work / "iso"), iso=iso)
        write_atomic(manifest, release.render())
        digest = build.runner.run(["sha256sum", str(iso)]).stdout.split()[0]
        write_atomic(sums, f"{digest}  {iso.name}\n")
    stamp.keep()
    _say_sizes(build, parts, iso)
    return iso


def _build_base(build: Build) -> Mkosi:
    mirrors = read_mirrors(build.runner)
    sources = render_sources(mirrors)
    inputs = [build.project / "mkosi.conf", build.project / "image/mkosi"]
    facts = (build.profile, sources)
    stamp = Stamp(
        build.work / f"base-{build.profile}.stamp",
        digest_inputs(inputs, *facts),
        (build.output / "tools", *(build.base / name for name in BASE_FILES)),
    )
    if stamp.is_current():
        build.report.say("base image is up to date")
        return ensure_mkosi(build.runner, build.project, mirrors)
    stamp.drop()
    check_reachable(mirrors)
    with build.report.step("mkosi"):
        mkosi = ensure_mkosi(build.runner, build.project, mirrors)
    write_atomic(build.project / "mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources", sources)
    # What an interrupted build left here is of no use to mkosi either.
    for name in ("workspace", "cache", "packages", "mkosi"):
        (build.work / name).mkdir(parents=True, exist_ok=True)
    _clear_workspace(build)
    log = build.work / "mkosi.log"
    with build.report.step(f"base image of Debian packages, zstd {LEVELS[build.profile]} (output in {log})"):
        try:
            done = mkosi.build(build.runner, level=LEVELS[build.profile])
        except CommandError as error:
            write_atomic(log, error.output + "\n")
            raise BuildError(f"{error}\nThe whole output is in {log}.") from error
        write_atomic(log, done.stdout + done.stderr)
        _fresh(build.base)
        for name in BASE_FILES:
            (build.output / name).rename(build.base / name)
    stamp.keep()
    return mkosi


def _clear_workspace(build: Build) -> None:
    """Remove what an interrupted mkosi left. Without root, its files belong to the user's sub-uids."""
    folder = build.work / "workspace"
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        build.runner.run(["unshare", "--map-auto", "--map-root-user", "rm", "-rf", str(folder)])
    folder.mkdir()


def _check_space(project: Path) -> None:
    free = shutil.disk_usage(project).free
    if free < NEEDED_BYTES:
        what = f"{render_size(free)} are free, a build needs {render_size(NEEDED_BYTES)}"
        raise UserError(Problem(str(project), what, "free some space or build on another disk"))


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _say_sizes(build: Build, parts: Parts, iso: Path) -> None:
    for name, path in (("kernel", parts.kernel), ("initrd", parts.initrd), ("root image", parts.root),
                       ("Slipway's layer", parts.layer), (iso.name, iso)):  # fmt: skip
        build.report.say(f"{name:>28}: {render_size(path.stat().st_size):>10}")
