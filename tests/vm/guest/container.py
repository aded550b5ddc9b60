"""Starts a container from a root file system that is made of this system's own programs."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.vm.guest.commands import read_json, read_output, run

NAME: Final = "lab-container"
IMAGE: Final = "lab-image"
POOL: Final = "local-lvm"
PROGRAMS: Final = ("sh", "sleep", "ip")
_FOLDERS: Final = (
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "etc",
    "root",
    "var",
    "mnt",
    "sbin",
    "usr/bin",
    "usr/sbin",
)
_INIT: Final = "#!/usr/bin/sh\nwhile :; do /usr/bin/sleep 3600; done\n"
_LIBRARY: Final = re.compile(r"(/\S+) \(0x")


def try_container() -> dict[str, object]:
    """Import the image, launch a container, look at it, and delete both.

    Returns:
        `status` of the instance, its `volumes` in LVM, `ports` of the bridge that are its network cards, the
        output of `ip address` inside it, and `seconds` that the launch took.

    Raises:
        RuntimeError: a program failed; the text holds its stderr.
    """
    with tempfile.TemporaryDirectory(prefix="lab-container-") as folder:
        archive = Path(folder) / "image.tar"
        write_image(archive)
        read_output("incus", "image", "import", str(archive), "--alias", IMAGE)
    try:
        start = time.monotonic()
        read_output("incus", "launch", IMAGE, NAME, "--storage", POOL)
        return {"seconds": round(time.monotonic() - start, 1), **_look()}
    finally:
        run("incus", "delete", "--force", NAME)
        run("incus", "image", "delete", IMAGE)


def _look() -> dict[str, object]:
    state: Any = read_json("incus", "query", f"/1.0/instances/{NAME}/state")
    cards = [card["host_name"] for card in (state["network"] or {}).values() if card.get("host_name")]
    report: Any = read_json("lvs", "--reportformat", "json", "--options", "lv_name,vg_name,pool_lv,lv_attr")
    return {
        "status": state["status"],
        # LVM doubles the dashes of a name for Incus's sake.
        "volumes": [lv for lv in report["report"][0]["lv"] if NAME.replace("-", "--") in lv["lv_name"]],
        "ports": {card: _bridge_of(card) for card in cards},
        "inside": run("incus", "exec", NAME, "--", "/usr/bin/ip", "address"),
    }


def _bridge_of(card: str) -> str:
    return Path(f"/sys/class/net/{card}/master").resolve().name


def write_image(path: Path) -> None:
    """Write a unified Incus image: metadata and a root file system in one tar archive.

    Raises:
        RuntimeError: ldd failed.
    """
    metadata = {
        "architecture": read_output("uname", "-m").strip(),
        "creation_date": int(time.time()),
        "properties": {"description": "VM lab"},
    }
    with tarfile.open(path, "w") as archive:
        # JSON is YAML too.
        _add_text(archive, "metadata.yaml", json.dumps(metadata), 0o644)
        for folder in _FOLDERS:
            entry = tarfile.TarInfo(f"rootfs/{folder}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        _add_text(archive, "rootfs/sbin/init", _INIT, 0o755)
        for source, inside in _program_files().items():
            archive.add(source, f"rootfs{inside}", recursive=False)


def _add_text(archive: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), mode
    archive.addfile(entry, io.BytesIO(text.encode()))


def _program_files() -> dict[Path, str]:
    """Give the real files to pack, each with the path that programs expect it at."""
    files: dict[Path, str] = {}
    for name in PROGRAMS:
        found = shutil.which(name)
        if found is None:
            raise RuntimeError(f"{name}: not on this system")
        files[Path(found).resolve()] = f"/usr/bin/{name}"
        listing = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in _LIBRARY.findall(listing):
            files[Path(library).resolve()] = library
    return files
