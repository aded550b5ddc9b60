"""Machines with more of everything than 24 lines hold: all can be seen, and all can be reached."""

from __future__ import annotations

import pytest

from hostlib.inventory import Content, Disk, Inventory, Nic
from installer.tui.page import Scroll
from tests.tui.harness import (
    ENTER_LOCALE,
    ENTER_PASSWORD,
    TO_DISK,
    Console,
    Demo,
    check_screens,
    machine,
)

ODD = machine("odd-disks-bios")
TO_CHOSEN = TO_DISK + "home enter enter "
TO_NETWORK = TO_CHOSEN + ENTER_LOCALE + ENTER_PASSWORD
TO_SUMMARY = TO_NETWORK + "tab 'node1.example.test' tab tab tab tab tab enter tab tab enter "


def disk(number: int) -> Disk:
    name = f"sd{chr(97 + number)}"
    pv = Content(device=f"{name}3", type="LVM2_member", vg="pve", vg_uuid=f"uuid{number}")
    others = tuple(Content(device=f"{name}{part}", type="ext4", label=f"DATA{part}") for part in range(4, 40))
    return Disk(
        name=name,
        path=f"/dev/{name}",
        ids=(f"usb-EXAMPLE_DISK_{number:02}",),
        size_bytes=64 * 2**30,
        model="EXAMPLE DISK",
        serial=f"SN{number:04}",
        bus="usb",
        contents=(Content(device=name, type="gpt"), pv, *(others if number == 0 else ())),
    )


def nic(number: int) -> Nic:
    name = f"enp{number}s0f0np0"
    return Nic(name=name, mac=f"52:54:00:00:00:{number:02x}", udev={"INTERFACE": name})


BIG = ODD.model_copy(
    update={
        "disks": tuple(disk(number) for number in range(12)),
        "nics": (ODD.nics[0], *(nic(number) for number in range(1, 24))),
        "memory_bytes": 1900 * 2**20,
        "cpu": ODD.cpu.model_copy(update={"virtualisation": ""}),
    }
)


def start(recorded: Inventory = BIG) -> Console:
    demo = Demo(recorded)
    demo.rescan()
    return Console(demo).work()


def everything(console: Console, keys: list[str]) -> str:
    """All that is seen while these keys are pressed, as words."""
    return " ".join([console.words, *(console.keys(key).words for key in keys)])


def test_welcome() -> None:
    console = start()
    assert "more below: arrows" in console.text
    assert "[ Next ]" in console.text
    seen = everything(console, ["up"] + ["down"] * 12 + ["up"] * 12)
    for wanted in (
        "warn processor",
        "ok network: there is a network link",
        "turn on Intel VT-x",
        "more above",
    ):
        assert wanted in seen


def test_all_disks_and_all_that_is_on_one() -> None:
    console = start().keys(TO_DISK)
    seen = everything(console, ["down"] * 11 + ["home"])
    for number in range(12):
        assert f"usb-EXAMPLE_DISK_{number:02}" in seen
    assert "more above and below: arrows" in seen
    # What is on the disk is longer than what the table leaves.
    assert "... more: choose Details" in console.text
    assert "sda39: ext4, DATA39" not in console.text
    assert "[ Details ]" in console.focus or console.keys("tab tab tab tab").focus == "[ Details ]"
    seen = everything(console.keys("enter"), ["down"] * 60)
    for wanted in ("Holds", "sda39: ext4, DATA39", "is removable", "[ Close ]"):
        assert wanted in seen


def test_every_field_of_the_network_with_what_is_wrong_with_it() -> None:
    console = start().keys(TO_NETWORK)
    console.keys("tab 'x' tab '/1' tab 'g' tab 'd' tab shift-tab shift-tab shift-tab shift-tab shift-tab")
    assert "more below: arrows" in console.text
    labels = ("Name (FQDN)", "Address/prefix", "Gateway", "DNS server", "Card names", "[ Next ]")
    for label in labels:
        assert label in console.keys("tab").text
    assert console.text.count("; ") >= 4


def test_summary() -> None:
    console = start().keys(TO_SUMMARY)
    assert console.title == "Summary"
    for wanted in ("To erase it, type", "more"):
        assert wanted in console.text
    seen = everything(console, ["up"] + ["down"] * 16 + ["up"] * 30 + ["shift-tab"] * 2)
    for wanted in (
        "Node node1.example.test",
        "Note: volume group pve on another disk is renamed",
        "is removable",
    ):
        assert wanted in seen
    console.app.screen.page.go_to("confirmation")
    console.keys("'0000' enter enter enter")
    assert console.state == "confirmed"


def test_a_summary_that_tells_only_what_is_wrong_can_be_read_to_its_top() -> None:
    console = start().keys(TO_SUMMARY)
    for field in ("cidr", "gateway", "dns", "fqdn", "mailto", "country", "timezone", "keyboard", "password"):
        console.controller.set(field, "")
    for field in ("hdsize", "swapsize", "minfree", "maxvz", "maxroot"):
        console.controller.set(field, "x")
    console.app.refresh()
    seen = everything(console, ["up"] * 20 + ["down"] * 20)
    for wanted in ("It cannot be installed yet", "disk-setup.lvm.maxvz", "global.keyboard", "[ Install ]"):
        assert wanted in seen


@pytest.mark.parametrize(("name", "keys"), [("tall-disk", TO_DISK), ("tall-summary", TO_SUMMARY)])
def test_picture(name: str, keys: str, update: bool) -> None:  # noqa: FBT001 - a fixture
    check_screens(start().keys(keys), name, update=update)


@pytest.mark.parametrize("changed", ["abcdef", "cdefg", "xyz", "ab", "", "bcxef", "aabcd"])
def test_lines_that_scroll_follow_what_they_show(changed: str) -> None:
    now = list("abcde")
    for end in (False, True):
        lines = Scroll(lambda: now, end=end)
        now[:] = changed
        lines.refresh()
        shown = [line.decode().strip() for line in lines.render((9, 20), focus=True).text]
        assert "".join(shown) == changed
        focus = [text for row in lines.render((9, 20), focus=True).content() for attr, _, text in row if attr]
        assert [text.decode().strip() for text in focus] == (
            [] if not changed else [changed[-1] if end else changed[0]]
        )
        now[:] = "abcde"
