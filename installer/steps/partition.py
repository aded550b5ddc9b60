"""Writes the partition table: BIOS boot, ESP and the LVM partition, by the rules of the peer's layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from hostlib.sizes import MIB
from installer.config import DiskTarget, Layout
from installer.steps.base import Context, Preview, Progress
from installer.steps.udev import settle, wait_command
from installer.steps.wipe import partition_path

BIOS_BOOT, ESP, PV = 1, 2, 3
"""Numbers of the partitions; the ESP is 2 even where there is no BIOS boot partition."""
BIOS_BOOT_TYPE: Final = "21686148-6449-6E6F-744E-656564454649"
ESP_TYPE: Final = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
LVM_TYPE: Final = "E6D6D379-F507-44C2-A23C-238F2A3DF928"
BIOS_BOOT_START: Final = 34
"""In sectors of 512 bytes: right behind the GPT, so that the ESP can start at 1 MiB."""


def render_sfdisk(layout: Layout, sector_bytes: int) -> str:
    """Give the script for sfdisk. Starts and sizes are in the disk's own sectors."""
    esp_start = MIB // sector_bytes
    esp_size = layout.esp_bytes // sector_bytes
    pv_start = esp_start + esp_size
    lines = ["label: gpt", "unit: sectors"]
    if layout.bios_boot:
        # sfdisk keeps the first MiB free unless it is told where the table ends.
        lines += [f"first-lba: {BIOS_BOOT_START}", ""]
        size = esp_start - BIOS_BOOT_START
        lines.append(f"{BIOS_BOOT}: start={BIOS_BOOT_START}, size={size}, type={BIOS_BOOT_TYPE}")
    else:
        lines.append("")
    lines.append(f"{ESP}: start={esp_start}, size={esp_size}, type={ESP_TYPE}")
    end = layout.disk_end_bytes // sector_bytes
    pv_size = f" size={end - pv_start}," if end else ""
    lines.append(f"{PV}: start={pv_start},{pv_size} type={LVM_TYPE}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Partition:
    """Step: the new table is on the disk, and udev knows its partitions."""

    target: DiskTarget
    layout: Layout
    name: ClassVar[str] = "partition"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = True

    @property
    def script(self) -> str:
        """What goes to sfdisk's standard input."""
        return render_sfdisk(self.layout, self.target.logical_sector_bytes)

    def commands(self) -> list[tuple[str, ...]]:
        """Give the commands; the first one takes the script."""
        numbers = (BIOS_BOOT, ESP, PV) if self.layout.bios_boot else (ESP, PV)
        return [
            # The lock keeps udev from opening the disk meanwhile. sfdisk's own check that nobody uses the
            # disk stays on: it is the last one before an old table is gone for good.
            (
                "sfdisk",
                "--lock=yes",
                "--wipe=always",
                "--wipe-partitions=always",
                "--color=never",
                self.target.path,
            ),
            wait_command(*(partition_path(self.target.path, number) for number in numbers)),
        ]

    def describe(self) -> list[Preview]:
        """Give the commands and the script."""
        script = Preview(path="(standard input of sfdisk)", content=self.script)
        return [script, *(Preview(command=command) for command in self.commands())]

    def run(self, context: Context, progress: Progress) -> None:
        """Write the table."""
        partition, wait = self.commands()
        context.runner.run(partition, input_text=self.script)
        progress(0.5)
        settle(context.runner)
        context.runner.run(wait)
