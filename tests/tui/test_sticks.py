"""Which sticks a file can be saved to."""

from __future__ import annotations

from hostlib.inventory import Content
from installer.tui.sticks import find_sticks
from tests.tui.harness import machine


def test_a_file_system_that_the_kernel_shows_twice_is_one() -> None:
    server = machine("nvme-server")
    stick = server.disks[0].model_copy(update={"name": "sdz", "ids": ("usb-DISK-0:0",), "bus": "usb"})
    contents = (
        Content(device="sdz", type="vfat", uuid="799B-4707"),
        Content(device="sdz1", type="vfat", uuid="799B-4707"),
        Content(device="sdz2", type="vfat"),
        Content(device="sdz3", type="vfat"),
    )
    found = find_sticks(
        server.model_copy(update={"disks": (stick.model_copy(update={"contents": contents}),)})
    )
    assert [choice.key.rpartition("/")[2] for choice in found] == [
        "usb-DISK-0:0",
        "usb-DISK-0:0-part2",
        "usb-DISK-0:0-part3",
    ]
