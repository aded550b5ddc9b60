"""Stand-ins for the tests of plan, steps and execution: a recorded runner, a configuration, a context."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from hostlib.errors import CommandError
from hostlib.netconfig import NetworkConfig
from hostlib.run import Completed, redact, render_command
from hostlib.sizes import GIB, MIB
from installer.config import DiskTarget, InstallConfig, Layout
from installer.steps.base import Context

DISK = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_DISKA"
PASSWORD = "correct horse"


class FakeRunner:
    """Records what is run; gives the output and the failures that a test prepared, by the start of the line."""

    def __init__(self, outputs: dict[str, str] | None = None, failures: dict[str, str] | None = None) -> None:
        self.outputs = outputs or {}
        self.failures = failures or {}
        self.lines: list[str] = []
        self.inputs: list[str] = []
        self.pieces: list[str] = []
        self.before: Callable[[str], None] = lambda _: None

    def run(
        self,
        argv: Sequence[str],
        *,
        input_text: str | None = None,
        secrets: Sequence[str] = (),
        chroot: Path | None = None,
        on_output: Callable[[str], None] | None = None,
        **_: Any,
    ) -> Completed:
        line = ("in target: " if chroot else "") + " ".join(argv)
        self.before(line)
        self.lines.append(line)
        if input_text is not None:
            self.inputs.append(input_text)
        for start, output in self.failures.items():
            if line.startswith(start):
                raise CommandError(render_command(argv, secrets), "exit status 1", redact(output, secrets))
        for piece in self.pieces if on_output else ():
            assert on_output is not None
            on_output(piece)
        found = [output for start, output in self.outputs.items() if line.startswith(start)]
        return Completed(0, found[0] if found else "", "")


def target(**update: Any) -> DiskTarget:
    disk = DiskTarget(
        path=DISK,
        kernel_name="sda",
        size_bytes=32 * GIB,
        logical_sector_bytes=512,
        model="QEMU HARDDISK",
        serial="DISKA",
    )
    return disk.model_copy(update=update)


def layout(**update: Any) -> Layout:
    """The row of the reference for 32 GiB of disk and 16 GiB of memory."""
    sizes = Layout(
        bios_boot=True,
        esp_bytes=512 * MIB,
        disk_end_bytes=0,
        swap_bytes=3968 * MIB,
        root_bytes=14140 * MIB,
        data_bytes=12088 * MIB,
        metadata_bytes=1024 * MIB,
    )
    return sizes.model_copy(update=update)


def config(**update: Any) -> InstallConfig:
    network = NetworkConfig(
        nic="ens3",
        mac="52:54:00:12:34:56",
        address="192.0.2.10/24",
        gateway="192.0.2.1",
        dns=("192.0.2.53",),
        domain="example.test",
    )
    resolved = InstallConfig(
        target=target(),
        filesystem="ext4",
        layout=layout(),
        fqdn="node1.example.test",
        mailto="ops@example.test",
        country="at",
        timezone="Europe/Vienna",
        keyboard="de-ch",
        root_password=SecretStr(PASSWORD),
        network=network,
        firmware="uefi",
    )
    return resolved.model_copy(update=update)


def context(runner: FakeRunner, root: Path, warnings: list[str] | None = None, **update: Any) -> Context:
    told = warnings if warnings is not None else []
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/mountinfo").touch()
    return Context(
        runner=runner,
        warn=told.append,
        target=root / "target",
        sysfs=root / "sys",
        proc=root / "proc",
        install_id="7f1c",
        **update,
    )
