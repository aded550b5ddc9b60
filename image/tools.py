"""mkosi: the host's own when it is new enough, else Debian trixie's package unpacked beside the build."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostlib.errors import CommandError, Problem, UserError
from hostlib.files import write_atomic
from hostlib.run import Completed, Runner
from image.mirror import RELEASE, Mirrors, render_sources

OLDEST: Final = (25, 3)
BUILD_TIMEOUT_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Mkosi:
    """How to call mkosi, and the folder of the project it works in."""

    command: tuple[str, ...]
    project: Path

    def build(self, runner: Runner, *, level: int) -> Completed:
        """Build the image with squashfs compression `level` (zstd, 1 to 22). Raises CommandError."""
        environment = f"--environment=SLIPWAY_ZSTD_LEVEL={level}"
        return self._run(runner, ["--force", environment, "build"])

    def run_tool(self, runner: Runner, argv: list[str]) -> Completed:
        """Run a program of the tools tree, in the project's folder. Raises CommandError."""
        return self._run(runner, ["sandbox", "--", *argv])

    def _run(self, runner: Runner, arguments: list[str]) -> Completed:
        # env(1) changes the folder: `mkosi --directory=` and its verb `sandbox` do not go together in 25.3.
        argv = ["env", f"--chdir={self.project}", *self.command, *arguments]
        return runner.run(argv, timeout_seconds=BUILD_TIMEOUT_SECONDS)


def parse_version(text: str) -> tuple[int, int]:
    """Read `mkosi 25.3` or `mkosi 26~devel`; (0, 0) when there is no number in it."""
    found = re.search(r"(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def ensure_mkosi(runner: Runner, project: Path, mirrors: Mirrors) -> Mkosi:
    """Give a mkosi of at least version 25.3. Raises UserError when none can be had."""
    if shutil.which("mkosi"):
        try:
            version = parse_version(runner.run(["mkosi", "--version"]).stdout)
        except CommandError:
            version = (0, 0)
        if version >= OLDEST:
            return Mkosi(("mkosi",), project)
    folder = project / ".build/tools/mkosi"
    if not (folder / "mkosi/__main__.py").exists():
        _unpack_mkosi(runner, project / ".build/tools", folder, mirrors)
    return Mkosi((f"PYTHONPATH={folder}", sys.executable, "-m", "mkosi"), project)


def _unpack_mkosi(runner: Runner, tools: Path, folder: Path, mirrors: Mirrors) -> None:
    apt = tools / "apt"
    for part in ("lists/partial", "cache/archives/partial", "sources"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    write_atomic(apt / "sources/debian.sources", render_sources(mirrors))
    options = [
        "-oDir::Etc::SourceList=/dev/null",
        f"-oDir::Etc::SourceParts={apt}/sources",
        f"-oDir::State::Lists={apt}/lists",
        "-oDir::State::status=/dev/null",
        f"-oDir::Cache={apt}/cache",
        "-oAPT::Sandbox::User=root",
        "-oAPT::Architecture=amd64",
    ]
    unpacked = tools / "unpacked"
    try:
        runner.run(["apt-get", *options, "update"], timeout_seconds=600)
        runner.run(["env", f"--chdir={apt}", "apt-get", *options, "download", "mkosi"], timeout_seconds=600)
        package = max(apt.glob("mkosi_*.deb"))
        shutil.rmtree(unpacked, ignore_errors=True)
        runner.run(["dpkg-deb", "--extract", str(package), str(unpacked)])
    except (CommandError, ValueError) as error:
        what = f"Debian {RELEASE}'s package cannot be fetched: {str(error).splitlines()[-1].strip()}"
        todo = "check the network and the mirror, or install mkosi 25.3 or newer"
        raise UserError(Problem("mkosi", what, todo)) from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    (unpacked / "usr/lib/python3/dist-packages").rename(folder)
    shutil.rmtree(unpacked)
