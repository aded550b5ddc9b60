"""The interactive installer as a person goes through it: what is typed on each screen, right and wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.vm.lab.answers import FQDN, PASSWORD
from tests.vm.lab.console import Console
from tests.vm.lab.installs import INSTALL_SECONDS, LIVE_SECONDS, SWAP_GIB
from tests.vm.lab.person import Person, enter_keys

ON: Final = {
    "Target disk": "enter enter",
    "Country, time zone, keyboard": "tab tab tab tab enter",
    "Password, e-mail, ssh key": "tab tab tab tab enter",
    "Management network": "tab tab tab tab tab tab enter",
    "Cluster": "tab tab enter",
}
"""Title of a screen that is complete -> the keys that go on from its first field."""
BACK: Final = {
    "Country, time zone, keyboard": "tab tab tab tab tab enter",
    "Password, e-mail, ssh key": "tab tab tab tab tab enter",
    "Management network": "tab tab tab tab tab tab tab enter",
    "Cluster": "tab tab tab enter",
}
TO_SIZES: Final = "enter tab tab enter"
"""From the disk with the cursor to the dialog of its sizes."""
FROM_SIZES: Final = "ctrl-c shift-tab shift-tab enter"
BOOT_SECONDS: Final = 120.0
NEXT: Final = "\x0e"
"""Ctrl-N: the next line of GRUB's menu."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong entry: what is typed into the field, and what is said of it once it has been left."""

    typed: str
    said: str


WRONG_PASSWORDS: Final = (
    Wrong("short", r"shorter than 8 bytes"),
    Wrong("other", r"^"),
    Wrong("nobody", r"'nobody' is no e-mail address"),
    Wrong("ssh-rsa AAAA", r"the ssh-rsa key is cut off"),
)
WRONG_NETWORK: Final = (
    Wrong("node1", r"'node1' is no fully qualified domain name"),
    Wrong("10.0.2.255/24", r"is the broadcast address"),
    Wrong("10.0.2.300", r"'10\.0\.2\.300' is no machine's IP address"),
    Wrong("::", r"'::' is no machine's IP address"),
)
WRONG_SIZES: Final = (
    Wrong("4", r"4 is out of range"),
    Wrong("..", r"it is no number"),
    Wrong("1", r"1 GiB do not hold the root"),
    Wrong("9999", r"9999"),
    Wrong("9998", r"9998"),
)


def on(person: Person, title: str) -> None:
    """Go on from a screen that is complete, or was made so."""
    person.sees(title)
    enter_keys(person, ON[title])


def back(person: Person, title: str) -> None:
    """Go back from a screen."""
    person.sees(title)
    enter_keys(person, BACK[title])


def choose_ssh(console: Console) -> None:
    """Choose the installation that can be reached by ssh in the boot menu, on a BIOS machine's serial line."""
    console.wait_screen(r"\*Install Slipway", BOOT_SECONDS)
    console.send(NEXT)
    console.send(NEXT)
    console.wait_screen(r"\*Install, and ask over ssh too", BOOT_SECONDS)
    console.send("\r")


def log_in(console: Console) -> None:
    """Log in as root by the password, at the prompt of an installed node."""
    console.wait_for("Enter: login prompt", BOOT_SECONDS)
    console.send("\r")
    console.wait_for("login: ", BOOT_SECONDS)
    console.send("root\r")
    console.wait_for("Password: ", BOOT_SECONDS)
    console.send(f"{PASSWORD}\r")
    console.wait_for(r"root@\S+:~# ", BOOT_SECONDS)


def see_machine(person: Person) -> None:
    """Wait for the first screen, with the machine on it."""
    person.sees(r"Nothing has been changed", LIVE_SECONDS)
    person.sees(r"^ (ok|warn) +network: ", LIVE_SECONDS)


def welcome(person: Person) -> None:
    """Wait for the first screen, and go on."""
    see_machine(person)
    person.press("enter")
    person.sees("Target disk")


def choose_sizes(person: Person) -> None:
    """Choose the disk with the cursor, give it the swap that the judge expects, and go on."""
    enter_keys(person, TO_SIZES)
    person.sees("File system and sizes")
    enter_keys(person, f"tab tab '{SWAP_GIB}'")
    person.sees(rf"Swap +{SWAP_GIB} ")
    enter_keys(person, FROM_SIZES)


def enter_wrong(person: Person, entries: tuple[Wrong, ...]) -> None:
    """Fill fields below each other with wrong entries, see what is said of each, and empty them again."""
    for entry in entries:
        clear(person)
        enter_keys(person, f"'{entry.typed}' tab")
        person.sees(entry.said)
    for _ in entries:
        person.press("shift-tab")
        clear(person)


def clear(person: Person) -> None:
    """Empty a field with the cursor at its end."""
    for _ in range(24):
        person.press("backspace")


def fill(person: Person, *values: str) -> None:
    """Fill fields below each other, whatever is in them."""
    for value in values:
        clear(person)
        enter_keys(person, f"'{value}' tab")


def fill_password(person: Person) -> None:
    """Fill the screen of the password, and go on."""
    fill(person, PASSWORD, PASSWORD, "ops@lab.test", "")
    person.sees(r"E-mail +ops@lab\.test")
    person.press("enter")


def fill_network(person: Person) -> None:
    """Fill the screen of the network from its first field on, take a new cluster, and go on."""
    fill(person, FQDN, "10.0.2.15/24", "10.0.2.2", "10.0.2.3")
    enter_keys(person, "tab enter")
    on(person, "Cluster")


def save_answer(person: Person) -> None:
    """Save the answer file from the summary, with the cursor on Install, to the first stick."""
    enter_keys(person, "tab tab enter")
    person.sees(r"Save answer file [-─]")
    person.press("enter")
    person.sees(r"answer\.toml is on the stick")
    enter_keys(person, "ctrl-c shift-tab shift-tab")


def install(person: Person, end: str) -> None:
    """Wait for an installation that has been asked for."""
    person.sees(r"Installing")
    person.sees(end, INSTALL_SECONDS)
