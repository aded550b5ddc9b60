"""The search itself: one kind of source after the other, the first that has an answer counts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pyudev

from hostlib.errors import Problem, UserError
from hostlib.inventory import Inventory
from hostlib.paths import MEDIUM
from hostlib.probe import read_inventory
from hostlib.run import Runner
from installer.answers.urls import check_fingerprint, check_url
from installer.discovery.fetch import Server, fetch_answer
from installer.discovery.mode_file import MODE_FILE, ModeFile, parse_mode_file
from installer.discovery.search import Search, Trust
from installer.discovery.txt import LookupFailedError, read_txt
from installer.leases import apply_resolver, domains_of, wait_for_lease, wait_for_leases
from installer.volumes import ANSWER, LABELS, Answer, find_on_volumes, read_answer

LOG = logging.getLogger("slipway.discovery")
VOLUME_SECONDS: Final = 3
"""How long a USB volume may take to appear after the system is up."""
NETWORK_SECONDS: Final = 10
REQUIRED_VOLUME_SECONDS: Final = 30
"""The same where an answer must come: nobody is there to try again."""
REQUIRED_NETWORK_SECONDS: Final = 60
URL_NAME: Final = "proxmox-auto-installer"
FINGERPRINT_NAME: Final = "proxmox-auto-installer-cert-fingerprint"
"""Names of TXT records in a search domain. The peer's, as the numbers of the DHCP options are."""

Say = Callable[[str], None]


def find_answer(
    search: Search, runner: Runner, *, say: Say, warn: Say, medium: Path = MEDIUM
) -> Answer | None:
    """Find the answer of this machine: command line, medium, labelled volume, DHCP, DNS; the first found counts.

    `say` is told what is waited for, in whole lines; `warn` what is odd and each failure of a server, as a text
    without a line's end. A source that names an answer which cannot be had ends the search.
    Gives None when there is none and `search` does not require one. Raises UserError.
    """
    return _Finder(search, runner, say, warn, medium).find()


class _Finder:
    """One search. Keeps what each source gave, for the error at its end."""

    def __init__(self, search: Search, runner: Runner, say: Say, warn: Say, medium: Path) -> None:
        self._search = search
        self._required = search.required
        self._runner = runner
        self._say = say
        self._warn = warn
        self._medium = medium
        self._attempts: list[str] = []

    def find(self) -> Answer | None:
        answer = self._find()
        if answer:
            LOG.info("the answer is %s", answer.source)
        elif self._required:
            raise self._nothing()
        return answer

    def _find(self) -> Answer | None:
        search = self._search
        if search.url:
            return self._fetch(search.url, search.trust, "kernel command line")
        asked = {"": "no slipway.answer", "medium": "only the medium"}.get(search.kind, "only a label")
        self._note(f"kernel command line: {asked}")
        if search.kind != "label" and (answer := self._on_medium()):
            return answer
        if search.kind != "medium" and (answer := self._on_volumes(search.labels)):
            return answer
        return None if search.kind else self._by_network(Trust())

    def _note(self, attempt: str) -> None:
        LOG.info("%s", attempt)
        self._attempts.append(attempt)

    def _nothing(self) -> UserError:
        what = f"no answer file was found ({'; '.join(self._attempts)})"
        return UserError(Problem("answer", what, "docs/answer-sources.md lists the ways to give one"))

    # The medium and volumes.

    def _on_medium(self) -> Answer | None:
        if _is_there(self._medium / MODE_FILE):
            text = read_answer(self._medium / MODE_FILE, f"{MODE_FILE} on the live medium").text
            return self._follow(parse_mode_file(text))
        if _is_there(self._medium / ANSWER):
            return self._read_medium()
        self._note(f"medium: no {MODE_FILE}, no {ANSWER}")
        return None

    def _read_medium(self) -> Answer:
        return read_answer(self._medium / ANSWER, f"{ANSWER} on the live medium")

    def _follow(self, mode: ModeFile) -> Answer:
        """Do what the mode file says, and nothing else: who made this medium wants an answer from there."""
        self._note(f'medium: {MODE_FILE} with mode = "{mode.mode}"')
        self._required = True
        http = mode.http
        trust = Trust(fingerprint=http.cert_fingerprint, token=http.token, method=http.method)
        found: Answer | None
        match mode.mode:
            case "iso":
                found = self._read_medium()
            case "partition":
                found = self._on_volumes((mode.partition_label,) if mode.partition_label else LABELS)
            case "http" if http.url:
                found = self._fetch(http.url, trust, f"{MODE_FILE} on the live medium")
            case "http":
                found = self._by_network(trust)
        if found is None:
            raise self._nothing()
        return found

    def _on_volumes(self, labels: tuple[str, ...]) -> Answer | None:
        """Look at the volumes, and again at each change of a block device."""
        monitor = pyudev.Monitor.from_netlink(pyudev.Context())
        monitor.filter_by("block")
        monitor.start()
        self._runner.run(["udevadm", "settle", "--timeout=30"], ok=(0, 1))
        end = time.monotonic() + (REQUIRED_VOLUME_SECONDS if self._required else VOLUME_SECONDS)
        told: set[str] = set()

        def once(text: str) -> None:
            if text not in told:
                told.add(text)
                self._warn(text)

        while (answer := find_on_volumes(self._runner, labels, warn=once)) is None:
            if (rest := end - time.monotonic()) <= 0:
                self._note(f"volumes labelled {' or '.join(labels)}: {'; '.join(sorted(told)) or 'none'}")
                return None
            monitor.poll(rest)
        return answer

    # The network.

    def _fetch(self, url: str, trust: Trust, source: str, inventory: Inventory | None = None) -> Answer:
        if inventory is None:
            inventory = read_inventory(self._runner)
            inventory = wait_for_leases(inventory, self._say, REQUIRED_NETWORK_SECONDS)
            apply_resolver(inventory)
        return fetch_answer(Server(url, trust, source), inventory, say=self._say, warn=self._warn)

    def _by_network(self, trust: Trust) -> Answer | None:
        """Let DHCP or DNS name the server; what the mode file says about a fingerprint and a token holds."""
        inventory = self._wait_for_all()
        apply_resolver(inventory)
        return self._by_dhcp(trust, inventory) or self._by_dns(trust, inventory)

    def _wait_for_all(self) -> Inventory:
        """Give the machine with the leases of all interfaces that have a link, or of those that came in time."""
        seconds = REQUIRED_NETWORK_SECONDS if self._required else NETWORK_SECONDS
        inventory = read_inventory(self._runner)
        if not any(nic.physical and nic.link for nic in inventory.nics):
            self._say(f"waiting for the network, at most {seconds} s\n")
            inventory = wait_for_lease(inventory, seconds, everywhere=False)
        leased = {lease.nic for lease in inventory.leases if lease.dhcp}
        waiting = [nic.name for nic in inventory.nics if nic.physical and nic.link and nic.name not in leased]
        # Whichever comes first must not decide.
        if waiting:
            self._say(f"waiting for DHCP on {', '.join(waiting)}, at most {seconds} s\n")
            inventory = wait_for_lease(inventory, seconds, everywhere=True)
        return inventory

    def _by_dhcp(self, trust: Trust, inventory: Inventory) -> Answer | None:
        given = [lease for lease in inventory.leases if lease.answer_url]
        if not given:
            on = ", ".join(lease.nic for lease in inventory.leases)
            self._note(f"DHCP option 250: not given on {on}" if on else "DHCP option 250: no lease")
            return None
        source = f"DHCP option 250 of {', '.join(lease.nic for lease in given)}"
        if len({(lease.answer_url, lease.answer_fingerprint) for lease in given}) > 1:
            what = "the servers of these networks give different URLs or fingerprints"
            raise UserError(Problem(source, what, "let one of them give the options"))
        url = _checked(check_url, given[0].answer_url, source)
        own = given[0].answer_fingerprint
        fingerprint = trust.fingerprint or _checked(check_fingerprint, own, source.replace("250", "251"))
        return self._fetch(url, _pinned(trust, fingerprint), source, inventory)

    def _by_dns(self, trust: Trust, inventory: Inventory) -> Answer | None:
        asked = list(
            dict.fromkeys(
                (domain, lease.dns)
                for lease in inventory.leases
                if lease.dns
                for domain in domains_of([lease])
            )
        )
        if not asked:
            self._note("DNS TXT: no lease gives a domain and a name server")
        for domain, servers in asked:
            source = f"DNS TXT {URL_NAME}.{domain}"
            try:
                text = read_txt(f"{URL_NAME}.{domain}", servers)
            except LookupFailedError as error:
                self._note(f"DNS TXT {error}")
                continue
            if not text:
                self._note(f"{source}: none")
                continue
            url = _checked(check_url, text, source)
            fingerprint = trust.fingerprint or _read_fingerprint(domain, servers)
            return self._fetch(url, _pinned(trust, fingerprint), source, inventory)
        return None


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # Reading it tells what is wrong with the medium.
        return True


def _pinned(trust: Trust, fingerprint: str) -> Trust:
    return Trust(fingerprint=fingerprint, token=trust.token, method=trust.method)


def _read_fingerprint(domain: str, servers: Sequence[str]) -> str:
    """Give the fingerprint that belongs to a URL from DNS. A server that cannot tell is no reason to go without."""
    name = f"{FINGERPRINT_NAME}.{domain}"
    try:
        return _checked(check_fingerprint, read_txt(name, servers), f"DNS TXT {name}")
    except LookupFailedError as error:
        todo = "mend the name server; without it the server of the answer cannot be told from another"
        raise UserError(Problem(f"DNS TXT {name}", str(error), todo)) from error


def _checked(check: Callable[[str], str], text: str, where: str) -> str:
    """Check a text from the network; an empty one is none. Raises UserError."""
    try:
        return text and check(text)
    except ValueError as error:
        raise UserError(Problem(where, str(error), "correct what the network gives")) from error
