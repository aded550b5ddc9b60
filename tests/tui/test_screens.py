"""Every screen as it looks, on a small and on a large terminal, reached by keys."""

from __future__ import annotations

import pytest

from tests.tui.harness import SIZES, Console, Demo, check_screen, machine

TO_DISK = "enter "
PICTURES = {
    # name of the picture -> machine, keys
    "welcome": ("nvme-server", ""),
    "welcome-help": ("nvme-server", "f1"),
    "leave": ("nvme-server", "ctrl-c"),
    "disk": ("nvme-server", TO_DISK + "down enter"),
    "disk-none-chosen": ("nvme-server", TO_DISK + "tab enter"),
    "disk-not-empty": ("four-scsi-bios", TO_DISK + "down down down"),
    "disk-boot-medium": ("four-scsi-bios", TO_DISK + "down down down down enter"),
    "disk-odd": ("odd-disks-bios", TO_DISK + "down down down"),
    "sizes": ("nvme-server", TO_DISK + "down enter tab tab enter tab '64' tab '8' tab '16'"),
    "sizes-wrong": (
        "nvme-server",
        TO_DISK + "down enter tab tab enter tab '4' tab '1..' tab '1' tab '1..' tab ',' tab",
    ),
}  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PICTURES)
def test_picture(name: str, size: tuple[int, int], update: bool) -> None:  # noqa: FBT001 - a fixture
    recorded, keys = PICTURES[name]
    demo = Demo(machine(recorded))
    demo.rescan()
    console = Console(demo, size).work().keys(keys).work()
    check_screen(console, name, update=update)
