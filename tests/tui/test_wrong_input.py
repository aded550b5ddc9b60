"""A wrong value in each field of each screen, typed as a person types it: told when it is left, and no way on."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from installer.tui.check import problems_of
from installer.tui.draft import Draft
from tests.tui.harness import (
    TO_CLUSTER,
    TO_DISK,
    TO_LOCALE,
    TO_NETWORK,
    TO_PASSWORD,
    TO_SUMMARY_OF_FULL_DISK,
    Console,
    Demo,
    machine,
)

TO_SIZES = TO_DISK + "down enter tab tab enter "
KEY = "'ssh-ed25519 AAAA'"
# field, keys to it, what is typed, the beginning of what is said; each is left with Tab
WRONG = [
    ("disk", TO_DISK, "", "no disk is chosen; choose one with Enter"),
    ("hdsize", TO_SIZES + "tab", "'4'", "4 is out of range; give a number greater than"),
    ("swapsize", TO_SIZES + "tab tab", "'480'", "swap and maxroot leave 0 B for the root, 2 GiB are needed; "),
    ("maxroot", TO_SIZES + "tab tab tab", "'1'", "1 GiB do not hold the root, 2 are needed; "),
    ("minfree", TO_SIZES + "tab tab tab tab", "'1..'", "it is no number; give a size in GiB"),
    ("maxvz", TO_SIZES + "tab tab tab tab tab", "','", "it is no number; give a size in GiB"),
    ("country", TO_LOCALE, "", "no country is chosen; choose one"),
    ("timezone", TO_LOCALE + "tab", "'nowhere' esc", "no time zone is chosen; choose one"),
    ("keyboard", TO_LOCALE + "tab tab", "", "no layout is chosen; choose one"),
    ("password", TO_PASSWORD, "", "there is no password for root; type one"),
    ("password", TO_PASSWORD, "'short'", "the password is shorter than 8 bytes; choose a longer one"),
    ("password_again", TO_PASSWORD + "'long enough' tab", "'long enoug'", "the two entries differ; "),
    ("mailto", TO_PASSWORD + "tab tab", "'nobody'", "'nobody' is no e-mail address; "),
    ("mailto", TO_PASSWORD + "tab tab", "", "no address is given; give "),
    ("ssh_keys", TO_PASSWORD + "tab tab tab", KEY, "the ssh-ed25519 key is cut off or damaged; "),
    ("ssh_keys", TO_PASSWORD + "tab tab tab", "'https://example.test/me.keys'", "this is a URL; choose Fetch key"),
    ("fqdn", TO_NETWORK + "tab", "'node1'", "'node1' is no fully qualified domain name; "),
    ("fqdn", TO_NETWORK + "tab", "'no_de.example.test'", "'no_de.example.test' is no "),
    ("cidr", TO_NETWORK + "tab tab", "'192.0.2.300/24'", "'192.0.2.300/24' is no address with prefix length; "),
    ("cidr", TO_NETWORK + "tab tab", "'192.0.2.255/24'", "'192.0.2.255/24' is the broadcast address of its subnet; "),
    ("gateway", TO_NETWORK + "tab tab tab", "", "no address is given; give "),
    ("gateway", TO_NETWORK + "tab tab tab", "'192.0.2.256'", "'192.0.2.256' is no machine's IP address; "),
    ("dns", TO_NETWORK + "tab tab tab tab", "'one.example.test'", "'one.example.test' is no machine's IP address; "),
    ("cluster_name", TO_CLUSTER + "tab", "'rack 4'", "'rack 4' cannot name a cluster; "),
    ("token", TO_CLUSTER + "space tab", "", "nothing is given; paste the line"),
    ("token", TO_CLUSTER + "space tab", "'slipway1.ab'", "it is cut off or changed; "),
]  # fmt: skip


def start(recorded: str) -> Console:
    demo = Demo(machine(recorded))
    demo.rescan()
    return Console(demo).work()


@pytest.mark.parametrize(("field", "way", "typed", "said"), WRONG)
def test_wrong_input(field: str, way: str, typed: str, said: str) -> None:
    no_lease = way.startswith(TO_NETWORK) and not way.startswith(TO_CLUSTER)
    console = start("no-lease-uefi" if no_lease else "nvme-server").keys(f"{way} {typed}")
    title = console.title
    before = "".join(console.text.split())
    console.keys("tab")
    message = problems_of(console.controller.draft, console.controller._machine)[field]
    assert message.startswith(said)
    # A long message is broken into lines, at hyphens too.
    shown = "".join(console.text.replace("│", "").split())
    wanted = "".join(message.split())
    assert wanted in shown
    assert wanted not in before or not typed
    console.keys("esc" if way.startswith(TO_SIZES) else "")
    for _ in range(12):
        if console.focus == "[ Next ]":
            break
        console.keys("tab")
    assert console.focus == "[ Next ]"
    assert console.keys("enter").title == title
    shown = "".join(console.text.replace("│", "").split())
    assert wanted in shown


def test_a_wrong_confirmation() -> None:
    console = start("nvme-server").keys(TO_SUMMARY_OF_FULL_DISK + "'6093' tab tab enter")
    assert "'6093' is not the last 4 characters of its serial number; type" in console.words
    assert (console.title, console.state, console.app.screen.page.field) == (
        "Summary",
        "editing",
        "confirmation",
    )


def test_every_field_that_can_be_wrong_is_in_the_list() -> None:
    cannot = {"filesystem", "pin_names", "reboot_mode", "cluster", "nic", "allow"}
    """Switches, what a dialog fills in, and the card: one is always chosen, and a machine without any goes no further than the welcome."""
    assert {field for field, *_ in WRONG} | cannot | {"confirmation"} == set(asdict(Draft()))
