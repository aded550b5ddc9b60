"""Which accelerator really runs a guest here."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from pathlib import Path
from typing import Final, Literal

from filelock import FileLock

from tests.vm.lab.media import extract_from_iso
from tests.vm.lab.programs import run_program

Accel = Literal["kvm", "tcg"]
ARGUMENTS: Final[dict[Accel, tuple[str, ...]]] = {
    "kvm": ("-accel", "kvm", "-cpu", "max"),
    # Without ERMS: TCG runs `rep stosb` byte by byte, and a page that held code pays for each store, which
    # costs 30 s of every boot when the kernel clears what the initramfs left behind.
    "tcg": ("-accel", "tcg,thread=multi", "-cpu", "max,-erms,-fsrm"),
}
_PROBE_SECONDS: Final = 20.0
"""A kernel without a root file system gives up within a second under KVM."""
_GAVE_UP: Final = b"Kernel panic - not syncing: VFS"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def choose_accel(iso: Path, cache_folder: Path) -> Accel:
    """Find out whether KVM runs the kernel of an ISO; a `/dev/kvm` that exists is no proof.

    The answer is kept in `accel.json` of `cache_folder`, for this boot of the host, this QEMU and this kernel.

    Args:
        iso: image with the kernel to try.
        cache_folder: folder of the test run.

    Returns:
        `kvm`, or `tcg` where KVM is missing or hangs.

    Raises:
        LabError: QEMU or xorriso is missing, or the ISO has no kernel.
    """
    cache_folder.mkdir(parents=True, exist_ok=True)
    cache = cache_folder / "accel.json"
    # Both test workers come here at once; the second must find the first one's answer.
    with FileLock(cache_folder / "accel.lock"):
        key = _key(iso)
        known = _read(cache)
        if known.get("key") == key and known.get("accel") in ARGUMENTS:
            return "kvm" if known["accel"] == "kvm" else "tcg"
        kernel = extract_from_iso(iso, "/live/vmlinuz", cache_folder / "probe-vmlinuz")
        accel: Accel = "kvm" if Path("/dev/kvm").exists() and runs_kernel("kvm", kernel) else "tcg"
        cache.write_text(json.dumps({"key": key, "accel": accel}), encoding="utf-8")
        return accel


def _key(iso: Path) -> str:
    status = iso.stat()
    version = run_program(["qemu-system-x86_64", "--version"])
    text = f"{_BOOT_ID.read_text(encoding='ascii')}{version}{iso.name}{status.st_size}{status.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()


def _read(cache: Path) -> dict[str, object]:
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def runs_kernel(accel: Accel, kernel: Path, timeout_seconds: float = _PROBE_SECONDS) -> bool:
    """Boot a kernel without a root file system and see whether it comes as far as missing it.

    Args:
        accel: what to try.
        kernel: a Linux kernel with a serial console.
        timeout_seconds: after this it counts as hanging.

    Returns:
        Whether the kernel ran.
    """
    log = kernel.with_suffix(f".{accel}.log")
    command = [
        *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-user-config"),
        *ARGUMENTS[accel],
        *("-machine", "q35", "-m", "512", "-display", "none", "-no-reboot"),
        *("-chardev", f"file,id=log,path={log}", "-serial", "chardev:log"),
        *("-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"),
    ]
    log.unlink(missing_ok=True)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + timeout_seconds
        while process.poll() is None and time.monotonic() < deadline:
            if log.exists() and _GAVE_UP in log.read_bytes():
                break
            time.sleep(0.1)
        process.kill()
    return log.exists() and _GAVE_UP in log.read_bytes()
