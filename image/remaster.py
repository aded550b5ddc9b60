"""Copies an ISO that is already built with other files at its root, so that it starts as before."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hostlib.errors import CommandError, Problem, SlipwayError, UserError
from hostlib.files import write_atomic
from hostlib.paths import PRODUCT
from hostlib.run import ENVIRONMENT, Completed, Runner
from hostlib.sizes import MIB, render_size
from image.answer import OWNED
from image.mirror import read_mirrors
from image.report import Report
from image.tools import ensure_mkosi

XORRISO_TIMEOUT_SECONDS: Final = 1800.0
# No start-up files; what cannot be done is not passed over. Extraction is for reading .disk/info.
XORRISO: Final = ("-no_rc", "-abort_on", "FAILURE", "-osirrox", "on")
ESP_TYPE: Final = "28732ac11ff8d211ba4b00a0c93ec93b"
"""GUID of an EFI system partition, in the order of bytes in which xorriso prints it."""

Xorriso = Callable[[list[str]], Completed]
"""Runs xorriso with arguments. Raises CommandError."""


class BootLostError(SlipwayError):
    """The new ISO lacks something that firmware boots from."""


def find_xorriso(runner: Runner, project: Path) -> Xorriso:
    """Give the host's own xorriso, else that of the build's tools tree. Raises UserError when there is none."""
    if shutil.which("xorriso", path=ENVIRONMENT["PATH"]):
        return lambda arguments: runner.run(
            ["xorriso", *XORRISO, *arguments], timeout_seconds=XORRISO_TIMEOUT_SECONDS
        )
    if (project / ".build/mkosi/tools/usr/bin/xorriso").exists():
        mkosi = ensure_mkosi(runner, project, read_mirrors(runner))
        return lambda arguments: mkosi.run_tool(runner, ["xorriso", *XORRISO, *arguments])
    what = "this host does not have it, and no ISO was built in this folder"
    raise UserError(Problem("xorriso", what, "install it (on Debian: apt-get install xorriso)"))


def write_answer_iso(
    iso: Path, output: Path | None, content: Mapping[str, bytes], *, xorriso: Xorriso, report: Report
) -> Path:
    """Copy `iso` with the files of `content` at its root, all or nothing, readable by its owner only.

    Files of an earlier answer are left out. Gives the new ISO: `output`, else `<stem>-answer.iso` beside `iso`;
    its checksum is put beside it. Raises UserError, CommandError, BootLostError, OSError.
    """
    if not iso.is_file():
        raise UserError(Problem(str(iso), "there is no such file", "give the path of the ISO"))
    # Programs of the tools tree run in another folder.
    iso = iso.resolve()
    output = (output or iso.with_name(f"{iso.stem}-answer.iso")).absolute()
    _check_output(iso, output)
    before = read_boot(iso, xorriso)
    sums = output.with_name(output.name + ".sha256")
    # A folder that only the owner can enter: neither the answer nor the new ISO is open to others at any time.
    work = output.with_name(f".{output.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        with report.step(f"{iso.name} with {', '.join(content)}"):
            unfinished = _assemble(iso, work, content, xorriso)
            if lost := before - read_boot(unfinished, xorriso):
                what = f"xorriso lost {', '.join(sorted(lost))}"
                raise BootLostError(f"{output}: not made, because {what}; use a newer xorriso")
            with unfinished.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            sums.unlink(missing_ok=True)
            unfinished.replace(output)
            write_atomic(sums, f"{digest}  {output.name}\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.say(
        f"{output}: {render_size(output.stat().st_size)}; keep it like a password, it is not encrypted"
    )
    return output


def _assemble(iso: Path, work: Path, content: Mapping[str, bytes], xorriso: Xorriso) -> Path:
    for name, data in content.items():
        write_atomic(work / name, data, mode=0o600)
    unfinished = work / "iso"
    xorriso(write_arguments(iso, unfinished, work, list(content)))
    unfinished.chmod(0o600)
    return unfinished


def _check_output(iso: Path, output: Path) -> None:
    if not output.parent.is_dir():
        raise UserError(Problem(str(output), "its folder does not exist", "make the folder, or name another"))
    if output.exists():
        if output.samefile(iso):
            raise UserError(Problem(str(output), "this is the ISO to read from", "name another --output"))
        if not output.is_file() or output.suffix.lower() != ".iso":
            todo = "name a new file that ends with .iso as --output"
            raise UserError(Problem(str(output), "something else is there", todo))
    needed = iso.stat().st_size + 16 * MIB
    free = shutil.disk_usage(output.parent).free
    if free < needed:
        what = f"{render_size(free)} are free, the ISO needs {render_size(needed)}"
        raise UserError(Problem(str(output.parent), what, "free some space, or name another --output"))


def write_arguments(iso: Path, output: Path, folder: Path, names: list[str]) -> list[str]:
    """Give xorriso's arguments that copy `iso` to `output` with the files `names` of `folder` at its root.

    `replay` repeats what made the ISO bootable, at the places that the parts have now (xorriso(1), -boot_image).
    """
    old = [word for name in OWNED for word in ("-or", "-name", name)][1:]
    inside = [f"/{name}" for name in names]
    return [
        "-indev", f"stdio:{iso}",
        "-find", "/", "-maxdepth", "1", "-type", "f", "(", *old, ")", "-exec", "rm", "--",
        "-outdev", f"stdio:{output}",
        "-boot_image", "any", "replay",
        *(word for name in names for word in ("-map", str(folder / name), f"/{name}")),
        "-chown", "0", *inside, "--", "-chgrp", "0", *inside, "--", "-chmod", "0400", *inside, "--",
        "-commit", "-end",
    ]  # fmt: skip


def read_boot(iso: Path, xorriso: Xorriso) -> frozenset[str]:
    """Give what firmware boots from in an ISO of ours, one text each. Raises UserError for any other file."""
    report = ["-report_el_torito", "plain", "-report_system_area", "plain"]
    try:
        done = xorriso(
            ["-indev", f"stdio:{iso}", *report, "-concat", "overwrite", "-", "/.disk/info", "--", "-end"]
        )
    except CommandError as error:
        failures = re.findall("FAILURE : (.*)", error.output)
        reason = failures[0] if failures else error.reason
    else:
        *lines, info = done.stdout.splitlines() or [""]
        if info.startswith(f"{PRODUCT} "):
            return parse_boot("\n".join(lines))
        reason = f"its /.disk/info is {info[:60]!r}"
    raise UserError(
        Problem(str(iso), f"this is no whole {PRODUCT} ISO ({reason})", "give one that `make iso` made")
    )


def parse_boot(text: str) -> frozenset[str]:
    """Read xorriso's reports on El Torito and the system area; what may change, such as places, is left out."""
    found, types = set(), {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        match name.strip():
            case "El Torito boot img":
                found.add(f"El Torito image {' '.join(words[:-1])}")
            case "System area summary":
                # Whether cylinders are aligned is xorriso's reading of the image's size: whole MiB are "on".
                found.add(f"system area {' '.join(word for word in words if 'cyl-align' not in word)}")
            case "GPT type GUID":
                types[words[0]] = words[1]
            case "GPT start and size" if types.get(words[0]) == ESP_TYPE:
                found.add(f"EFI system partition of {words[2]} sectors")
    return frozenset(found)
