"""What the screens know: plain types and one controller. No urwid, no files, no processes.

A field is called by the name of its attribute in `draft.Draft`. Every method returns at once: what takes longer is
begun, and its outcome is seen in a later `refresh` of the screen. All texts are ready to be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from installer.tui.draft import Draft, Value


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a check."""

    severity: Literal["ok", "warning", "blocking"]
    device: str
    text: str
    """What was found out, with the measured value."""
    todo: str
    """What to do about it; empty when all is well."""
    check: str = ""
    """Id of the check, where a person may allow what it found (the field `allow`); else empty."""

    def stops(self, allow: str) -> bool:
        """Tell whether it stands against an installation, given the field `allow`."""
        return self.severity == "blocking" and self.check not in allow.split()


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine in short."""

    facts: tuple[tuple[str, str], ...]
    """Name and value: what it is."""
    findings: tuple[Finding, ...]
    """The worst first."""

    def blocked(self, allow: str) -> bool:
        """Whether nothing can be installed on it, given the field `allow`."""
        return any(finding.stops(allow) for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of the machine."""

    path: str
    """Value of the field `disk`: /dev/disk/by-id/…"""
    name: str
    """Without its folder, as a table has it."""
    kernel_name: str
    size: str
    model: str
    serial: str
    bus: str
    contents: tuple[str, ...]
    """What is on it: `sda1: ext4, backup`, `sda3: LVM, volume group pve`. Empty: the disk is empty."""
    held: str
    """The same in a word or two: `VG pve`."""
    findings: tuple[Finding, ...]
    """Only what is not well."""
    boot_medium: bool = False
    hardware: tuple[str, ...] = ()
    """Lines: what kind of disk it is and what it hangs on, how it is; where that is known."""

    @property
    def selectable(self) -> bool:
        """Whether it can be installed on as it is."""
        return not self.boot_medium and all(finding.severity != "blocking" for finding in self.findings)

    @property
    def allowable(self) -> bool:
        """Whether it can be installed on, where a person allows what blocks."""
        blocking = (finding for finding in self.findings if finding.severity == "blocking")
        return not self.boot_medium and all(finding.check for finding in blocking)


@dataclass(frozen=True, slots=True)
class Nic:
    """A network card of the machine."""

    key: str
    """Value of the field `nic`."""
    name: str
    mac: str
    driver: str
    speed: str
    link: Literal["link", "no link", "down"]
    addresses: tuple[str, ...]
    proposal: str
    """What DHCP gave, in a line; empty when it gave nothing."""
    switch: str = ""
    """The other end of the cable, `sw1.rack4 port Gi1/0/17`; empty while it has not told."""
    port_note: str = ""
    """What the switch's administrator calls the port."""
    pinned: str = ""
    """What the card is called when names are pinned; empty when they cannot be."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the disk, in the order on it."""

    mark: str
    """One letter that fills its place in a bar, such as `R`."""
    name: str
    size_bytes: int
    size: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How the disk will be divided."""

    parts: tuple[Part, ...] = ()
    """Empty when it cannot be told: `problem` says why."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Intent:
    """What will be done, for the summary."""

    rows: tuple[tuple[str, str], ...]
    """Name and value of all that will be installed."""
    disk: str
    """The disk by its id; in a second line model, serial and size."""
    lost: tuple[str, ...]
    """What is on the disk and will be lost. Empty: the disk is empty."""
    also: tuple[str, ...]
    """What changes besides the disk, and warnings."""
    confirmation: str
    """What must be typed before; empty: nothing."""
    confirmation_hint: str = ""
    """What is to be typed, in words: `the last 4 characters of its serial number`."""
    disk_changes: int = 0
    """How often the chosen disk has changed under its name: two disks may look the same in all the rest."""


class State(StrEnum):
    """Where the installation is."""

    EDITING = "editing"
    CONFIRMED = "confirmed"
    """It has been asked for, and the machine is looked at a last time. Nothing has been written."""
    INSTALLING = "installing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the installation is."""

    phase: str = ""
    percent: int = 0
    elapsed_seconds: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the installation ended."""

    reason: str = ""
    """What failed, and what has been written so far; several lines."""
    url: str = ""
    """Of the node's web console."""
    certificate: tuple[str, ...] = ()
    """Lines that show the SHA-256 fingerprint of its certificate as browsers do."""
    node: str = ""
    """The node's name."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that was begun by a key and takes its time, see `JobName`."""

    state: Literal["idle", "running", "done", "failed"] = "idle"
    text: str = ""
    """What is being done, was done, or went wrong and what to do."""


JobName = Literal["fetch-key", "keyboard", "reboot", "save-answer", "save-log", "shell"]


class Controller(Protocol):
    """The only object that the screens see. Several consoles share one."""

    @property
    def draft(self) -> Draft:
        """What has been entered."""

    @property
    def version(self) -> str:
        """Slipway's."""

    @property
    def state(self) -> State:
        """Where the installation is."""

    def watch(self, wake: Callable[[], None]) -> None:
        """Have `wake` called after every change, from any thread: it must only make the screen refresh itself."""

    def tick(self) -> None:
        """Do what is due by the clock. Called by every console once a second."""

    # What has been entered.

    def set(self, field: str, value: Value) -> None:
        """Enter something; what follows from it (the time zone from the country) changes too."""

    def leave(self, fields: Iterable[str]) -> None:
        """Say that fields have been left: what is wrong with them is shown from now on."""

    def problems(self, fields: Iterable[str]) -> dict[str, str]:
        """Give what is wrong with these fields, as `what is wrong; what to do`."""

    def shown_problems(self, fields: Iterable[str]) -> dict[str, str]:
        """Give what is wrong with those of the fields that have been left."""

    # The machine.

    def machine(self) -> Machine | None:
        """Give the machine; None while it is being read."""

    def rescan(self) -> None:
        """Read the machine again: a cable or a disk has been plugged in."""

    def disks(self) -> Sequence[Disk]:
        """Give all disks, the boot medium too."""

    def nics(self) -> Sequence[Nic]:
        """Give the physical network cards."""

    def layout(self) -> Layout:
        """Give how the chosen disk will be divided."""

    def choices(self, field: str) -> Sequence[Choice]:
        """Give what can be chosen for `country`, `timezone` (those of the country first) or `keyboard`."""

    # The installation.

    def intent(self) -> Intent | None:
        """Give what will be done; None while something entered is wrong, or the machine is being read."""

    def open_problems(self) -> tuple[str, ...]:
        """Give what stands against the installation, each with its place."""

    def start_install(self, shown: Intent | None) -> str:
        """Begin what a person has been shown. Gives why it does not begin, in a line, or nothing."""

    def progress(self) -> Progress:
        """Give how far it is."""

    def outcome(self) -> Outcome:
        """Give how it ended."""

    def log(self) -> Sequence[str]:
        """Give the last lines of the log."""

    def retry(self) -> None:
        """Go back from a failure to what has been entered."""

    def reboot_seconds(self) -> int | None:
        """Give the seconds until the machine is restarted; None when it is not going to be."""

    def stop_reboot(self) -> None:
        """Stop the countdown."""

    def reboot(self) -> None:
        """Restart or switch off the machine, as has been entered."""

    # Things on the side.

    def targets(self) -> Sequence[Choice]:
        """Give the sticks that a file can be saved to."""

    def answer_text(self) -> str:
        """Give the answer file as it would be saved, for reading it off the screen."""

    def save_answer(self, target: str) -> None:
        """Begin to save the answer file, without the plain password, to one of `targets`."""

    def save_log(self, target: str) -> None:
        """Begin to save the log to one of `targets`, or to send it to a URL."""

    def fetch_ssh_key(self, url: str) -> None:
        """Begin to fetch ssh keys; they become the field `ssh_keys`."""

    def job(self, name: JobName) -> Job:
        """Give how something that was begun is going."""

    def show_shell(self) -> None:
        """Begin to show the machine's second screen, which has a shell."""

    def remote(self) -> Sequence[tuple[str, str]]:
        """Give how to log in over the network, as rows of name and value; none where that is off."""
