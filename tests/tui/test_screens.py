"""Every screen as it looks, on a small and on a large terminal, reached by keys."""

from __future__ import annotations

import pytest

from installer.progress import Event
from tests.tui.harness import (
    TO_CLUSTER,
    TO_DISK,
    TO_LOCALE,
    TO_NETWORK,
    TO_PASSWORD,
    TO_SUMMARY,
    TO_SUMMARY_OF_FULL_DISK,
    Console,
    Demo,
    check_screens,
    machine,
)

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
    "locale": ("nvme-server", TO_LOCALE),
    "locale-search": ("nvme-server", TO_LOCALE + "'united'"),
    "locale-chosen": ("nvme-server", TO_LOCALE + "'switz' enter tab 'fr' enter"),
    "locale-none-chosen": ("nvme-server", TO_LOCALE + "tab tab tab tab enter"),
    "password": ("nvme-server", TO_PASSWORD + "'long enough' tab 'long'"),
    "password-wrong": (
        "nvme-server",
        TO_PASSWORD + "'short' tab 'longer' tab 'nobody' tab 'ssh-rsa AAAA' tab enter",
    ),
    "password-key": ("nvme-server", TO_PASSWORD + "tab tab tab 'https://example.test/me.keys' tab tab tab enter"),
    "network": ("nvme-server", TO_NETWORK),
    "network-no-lease": ("no-lease-uefi", TO_NETWORK),
    "network-unpinned": ("nvme-server", TO_NETWORK + "tab tab tab tab tab space"),
    "network-wrong": (
        "no-lease-uefi",
        TO_NETWORK + "tab 'node1' tab '192.0.2.255/24' tab '192.0.2.256' tab '::' tab tab enter",
    ),
    "cluster": ("nvme-server", TO_CLUSTER),
    "cluster-join": ("nvme-server", TO_CLUSTER + "space tab 'slipway1.abc' tab enter"),
    "cluster-none": ("nvme-server", TO_CLUSTER + "left"),
    "summary": ("nvme-server", TO_SUMMARY),
    "summary-question": ("nvme-server", TO_SUMMARY + "enter"),
    "summary-not-empty": ("nvme-server", TO_SUMMARY_OF_FULL_DISK),
    "summary-wrong-confirmation": ("nvme-server", TO_SUMMARY_OF_FULL_DISK + "'0001' tab tab enter"),
    "summary-save": ("nvme-server", TO_SUMMARY + "tab tab enter enter"),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_picture(name: str, update: bool) -> None:  # noqa: FBT001 - a fixture
    recorded, keys = PICTURES[name]
    demo = Demo(machine(recorded))
    demo.rescan()
    console = Console(demo).work().keys(keys).work()
    check_screens(console, name, update=update)


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Console:
    """A console on which the installation has been asked for; it waits for `work`."""
    demo = Demo(machine("nvme-server"), fail_at="copy" if "failure" in request.node.name else "")
    demo.rescan()
    return Console(demo).work().keys(TO_SUMMARY + "enter tab enter")


def test_progress(started: Console, update: bool) -> None:  # noqa: FBT001 - a fixture
    check_screens(started, "progress-before", update=update)
    demo = started.controller
    demo.installation.begin()
    demo.installation.take(Event("phase", "copy", 30))
    demo.installation.take(Event("warning", text="the clock is 3 hours behind"))
    demo.installation.take(Event("progress", "copy", 42))
    demo.seconds += 83
    started.app.refresh()
    check_screens(started, "progress", update=update)
    check_screens(started.keys("f10"), "progress-leave", update=update)


def test_done(started: Console, update: bool) -> None:  # noqa: FBT001 - a fixture
    check_screens(started.work(), "done", update=update)
    check_screens(started.keys("f3"), "log", update=update)


def test_done_with_something_to_do(started: Console, update: bool) -> None:  # noqa: FBT001 - a fixture
    demo = started.controller
    demo.installation.take(
        Event("warning", text="/dev/disk/by-id/ata-B0RKEN: take it out before the restart")
    )
    check_screens(started.work(), "done-warning", update=update)
    demo.seconds += 3600
    demo.tick()
    assert demo.job("reboot").state == "idle", "the machine waits until a person has read it"
    assert "waits for you" in started.keys("tab enter").text


def test_failure(started: Console, update: bool) -> None:  # noqa: FBT001 - a fixture
    check_screens(started.work(), "failure", update=update)
    check_screens(
        started.keys("tab enter tab 'https://logs.example.test/' enter"),
        "failure-save",
        update=update,
    )
