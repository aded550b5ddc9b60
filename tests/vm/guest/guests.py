"""What a node does with guests: a virtual machine, a backup, an ISO image. All of them are made on the node itself."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.vm.guest.commands import collect, read_json, read_output, run
from tests.vm.guest.container import POOL, write_image
from tests.vm.guest.enrolled import wait_settled
from tests.vm.guest.port import send

MACHINE: Final = "lab-machine"
SAVED: Final = "lab-saved"
ISO: Final = "lab-iso"
SAYS: Final = "the nested machine runs"
"""What the virtual machine's boot loader writes to its serial line."""
# cld; xor ax,ax; mov ds,ax; xor bx,bx; mov si,0x7c18; next: lodsb; test al,al; jz end; mov ah,14; int 0x10; jmp next;
# end: hlt; jmp end. SeaBIOS sends to the serial line what is written with interrupt 0x10.
_MBR: Final = bytes.fromhex("fc31c08ed831dbbe187cac84c07406b40ecd10ebf5f4ebfd") + SAYS.encode() + b"\0"
BACKUPS: Final = Path("/var/lib/vz/backups")
KEPT: Final = "kept in the backup"
_CONSOLE_SECONDS: Final = 900.0
"""From QEMU's start to the boot loader: firmware under an emulated processor that emulates one."""
_POLL_SECONDS: Final = 2.0
_EMULATED: Final = "security.csm=true"
"""SeaBIOS for firmware. QEMU that emulates AMD-V (7.2, 10.0) ends with a failed assertion, bql_locked, where its guest's
guest writes CR8 while an interrupt waits, which OVMF does after each interrupt and SeaBIOS never."""
_MIB: Final = 1024 * 1024
_ESP_BYTES: Final = 8 * _MIB
# Only what GRUB's rescue parser knows: one command a line. Behind it is its prompt, for ever.
_GRUB: Final = f"""\
serial --unit=0 --speed=115200
terminal_output serial
echo "{SAYS}"
"""


def main(parameters: Mapping[str, Any]) -> None:
    """Report everything as one message of kind `guests`: what each of the functions below gives.

    Parameters: `emulated`, whether this node's processor is QEMU's own work.
    """
    # While the node makes its cluster, Incus takes no orders.
    wait_settled()
    machine = partial(try_virtual_machine, emulated=parameters["emulated"])
    facts = collect({"backup": try_backup, "iso": try_iso, "machine": machine})
    send("report", {"kind": "guests", "kvm": Path("/dev/kvm").exists(), **facts})


def try_virtual_machine(*, emulated: bool) -> dict[str, object]:
    """Launch a virtual machine from an image of a boot loader that says a word, and delete both.

    Args:
        emulated: this node's processor is QEMU's own work.

    Returns:
        `status`, the `console` as far as it was said, `volumes` in LVM, the `bridges` of its network cards; seconds:
        `launch_seconds` until Incus has started it, `boot_seconds` from there until the word.

    Raises:
        RuntimeError: a program failed; the text holds its stderr.
    """
    with tempfile.TemporaryDirectory(prefix="lab-machine-", dir="/var/tmp") as folder:
        disk = write_disk(Path(folder))
        metadata = write_metadata(Path(folder))
        _incus("image", "import", str(metadata), str(disk), "--alias", MACHINE)
    settings = ["limits.memory=256MiB", "security.secureboot=false"]
    if emulated:
        settings.append(_EMULATED)
    options = [part for setting in settings for part in ("--config", setting)]
    try:
        start = time.monotonic()
        _incus("launch", MACHINE, MACHINE, "--vm", "--storage", POOL, *options)
        launched = time.monotonic()
        console = _read_console()
        return {
            "launch_seconds": round(launched - start, 1),
            "boot_seconds": round(time.monotonic() - launched, 1),
            "console": console,
            **_look(MACHINE),
        }
    finally:
        run("incus", "delete", "--force", MACHINE)
        run("incus", "image", "delete", MACHINE)


def write_disk(folder: Path) -> Path:
    """Write a disk that says the word with either firmware: a boot sector, and GRUB in an ESP; give its qcow2 file.

    Raises:
        RuntimeError: a program failed; the text holds its stderr.
    """
    raw, loader, settings = folder / "disk.raw", folder / "BOOTX64.EFI", folder / "early.cfg"
    settings.write_text(_GRUB, encoding="ascii")
    grub = ("grub-mkimage", "--format=x86_64-efi", "--prefix=/boot/grub", f"--config={settings}")
    read_output(*grub, f"--output={loader}", "serial", "terminal", "echo")
    with raw.open("wb") as file:
        # One MiB before the partition, and one behind it for the second copy of the table.
        file.truncate(_ESP_BYTES + 2 * _MIB)
    # Incus moves that copy to the end of the volume, so there must be a table.
    read_output("sgdisk", f"--new=1:2048:+{_ESP_BYTES // 1024}K", "--typecode=1:ef00", str(raw))
    read_output("mkfs.vfat", "--offset=2048", str(raw), str(_ESP_BYTES // 1024))
    inside = folder / "esp"
    inside.mkdir()
    read_output("mount", "-o", f"loop,offset={_MIB},sizelimit={_ESP_BYTES}", str(raw), str(inside))
    try:
        (inside / "EFI/BOOT").mkdir(parents=True)
        shutil.copyfile(loader, inside / "EFI/BOOT" / loader.name)
    finally:
        read_output("umount", str(inside))
    with raw.open("r+b") as file:
        file.write(_MBR)
    disk = folder / "disk.qcow2"
    read_output("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk))
    return disk


def write_metadata(folder: Path) -> Path:
    """Write the half of a split image that says what the other half is."""
    text = {"architecture": read_output("uname", "-m").strip(), "creation_date": int(time.time())}
    (folder / "metadata.yaml").write_text(json.dumps(text), encoding="ascii")  # JSON is YAML too
    path = folder / "metadata.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(folder / "metadata.yaml", "metadata.yaml")
    return path


def _read_console() -> str:
    """Wait for the boot loader's word; give what the serial line has said, with it or without."""
    deadline = time.monotonic() + _CONSOLE_SECONDS
    said = ""
    while SAYS not in said and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        # QEMU's buffer may be emptied by each reading.
        said += str(run("incus", "console", MACHINE, "--show-log")["stdout"])
    return said[-4000:]


def _look(name: str) -> dict[str, object]:
    instance: Any = read_json("incus", "query", f"/1.0/instances/{name}")
    cards = [value for key, value in instance["config"].items() if key.endswith(".host_name")]
    report: Any = read_json("lvs", "--reportformat", "json", "--options", "lv_name,vg_name,pool_lv")
    return {
        "status": instance["status"],
        # LVM doubles the dashes of a name for Incus's sake.
        "volumes": [lv for lv in report["report"][0]["lv"] if name.replace("-", "--") in lv["lv_name"]],
        "bridges": [Path(f"/sys/class/net/{card}/master").resolve().name for card in cards],
    }


def try_backup() -> dict[str, object]:
    """Save a running container, lose it, and bring it back from the file.

    Returns:
        `text` that a file in the container has afterwards, `status`, `archive_bytes`; `export_seconds`,
        `import_seconds`.

    Raises:
        RuntimeError: a program failed; the text holds its stderr.
    """
    archive = BACKUPS / f"{SAVED}.tar.gz"
    with _container_image():
        try:
            _incus("launch", SAVED, SAVED, "--storage", POOL)
            _shell(f"echo '{KEPT}' >/root/file")
            start = time.monotonic()
            _incus("export", SAVED, str(archive))
            exported = time.monotonic()
            _incus("delete", "--force", SAVED)
            again = time.monotonic()
            _incus("import", str(archive), "--storage", POOL)
            imported = time.monotonic()
            _incus("start", SAVED)
            return {
                "text": _shell('read -r line </root/file; echo "$line"').strip(),
                "archive_bytes": archive.stat().st_size,
                "export_seconds": round(exported - start, 1),
                "import_seconds": round(imported - again, 1),
                **_look(SAVED),
            }
        finally:
            run("incus", "delete", "--force", SAVED)
            archive.unlink(missing_ok=True)


@contextmanager
def _container_image() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="lab-saved-") as folder:
        image = Path(folder) / "image.tar"
        write_image(image)
        _incus("image", "import", str(image), "--alias", SAVED)
    try:
        yield
    finally:
        run("incus", "image", "delete", SAVED)


def _shell(line: str) -> str:
    return _incus("exec", SAVED, "--", "/usr/bin/sh", "-c", line)


def _incus(*argv: str) -> str:
    return read_output("incus", "--quiet", *argv)


def try_iso() -> dict[str, object]:
    """Put an ISO image into the pool `local`, as an administrator does with an installer's, and take it out again.

    Returns:
        `type` and `content_type` that Incus gives the volume, and the `files` below /var/lib/vz that hold it.

    Raises:
        RuntimeError: a program failed; the text holds its stderr.
    """
    with tempfile.TemporaryDirectory(prefix="lab-iso-") as folder:
        path = Path(folder) / "lab.iso"
        # The signature of ISO 9660 in its sector 16.
        path.write_bytes(b"\0" * 32768 + b"\x01CD001\x01" + b"\0" * (_MIB - 32775))
        _incus("storage", "volume", "import", "local", str(path), ISO, "--type=iso")
    try:
        volume: Any = read_json("incus", "query", f"/1.0/storage-pools/local/volumes/custom/{ISO}")
        files = [str(path) for path in Path("/var/lib/vz/custom").rglob("*") if path.is_file()]
        return {"type": volume["type"], "content_type": volume["content_type"], "files": files}
    finally:
        run("incus", "storage", "volume", "delete", "local", ISO)
