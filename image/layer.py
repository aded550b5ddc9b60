"""The layer of our own over Debian's packages: `slipway.squashfs`, so that a change of ours needs no rebuild."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostlib.errors import CommandError
from hostlib.files import write_atomic
from hostlib.paths import PRODUCT, RELEASE
from hostlib.run import Runner
from image.tools import Mkosi
from image.units import render_links, render_units

PACKAGES: Final = ("hostlib", "installer", "firstboot", "agent")
"""Python packages that run on the image."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is being built."""

    version: str
    commit: str
    built_at: str
    packages: dict[str, str]
    """Debian package -> version."""

    def render(self) -> str:
        """Give the text of release.json."""
        content = {
            "schema": 1,
            "product": PRODUCT,
            "version": self.version,
            "commit": self.commit,
            "built_at": self.built_at,
            "packages": self.packages,
        }
        return json.dumps(content, indent=1) + "\n"


def read_version(project: Path) -> str:
    """Give the version that pyproject.toml names."""
    with (project / "pyproject.toml").open("rb") as stream:
        version = tomllib.load(stream)["project"]["version"]
    return str(version)


def read_commit(runner: Runner, project: Path) -> str:
    """Give the git commit, with `-dirty` when files differ from it; `unknown` outside a git checkout."""
    try:
        argv = ["git", "-C", str(project), "describe", "--always", "--dirty", "--abbrev=12"]
        return runner.run(argv).stdout.strip()
    except CommandError:
        return "unknown"


def parse_manifest(text: str) -> dict[str, str]:
    """Read mkosi's JSON manifest: package -> version."""
    return {str(row["name"]): str(row["version"]) for row in json.loads(text)["packages"]}


def make_release(runner: Runner, project: Path, manifest: Path) -> Release:
    """Collect the identity of this build."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    packages = parse_manifest(manifest.read_text(encoding="utf-8"))
    return Release(read_version(project), read_commit(runner, project), now.isoformat(), packages)


def make_layer(runner: Runner, mkosi: Mkosi, release: Release, work: Path, level: int) -> Path:
    """Lay out our files below `work` and pack them. Gives the squashfs. Raises CommandError, OSError."""
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    project = mkosi.project
    shutil.copytree(project / "image/layer", tree, symlinks=True)
    library = tree / "usr/lib/slipway"
    for package in PACKAGES:
        shutil.copytree(project / package, library / package, ignore=shutil.ignore_patterns("__pycache__"))
    write_atomic(tree / str(RELEASE).lstrip("/"), release.render())
    for path, text in render_units().items():
        write_atomic(tree / path, text)
    for path, target in render_links().items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(target)
    # By the tools tree's Python, which is the image's. Else each start of the installer compiles all of it anew. A source
    # that somebody changes on a node is noticed by its hash.
    paths = ["-s", str(tree), "-p", "/", str(library)]
    mkosi.run_tool(
        runner, ["python3", "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", *paths]
    )
    # systemd compares these with the age of /usr: without them it runs ldconfig and rebuilds its catalogues
    # at each boot of the live system (systemd-update-done.service(8)).
    for folder in ("etc", "var"):
        write_atomic(tree / folder / ".updated", "")
    for path in tree.rglob("*"):
        # Whatever umask the checkout was made with, everybody may read and only root may write.
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    tree.chmod(0o755)
    os.utime(tree / "usr", (0, 0))
    squashfs = work / "slipway.squashfs"
    squashfs.unlink(missing_ok=True)
    mkosi.run_tool(
        runner,
        ["mksquashfs", str(tree), str(squashfs), "-all-root", "-comp", "zstd", "-Xcompression-level", str(level),
         "-noappend", "-no-progress", "-quiet"],
    )  # fmt: skip
    return squashfs
