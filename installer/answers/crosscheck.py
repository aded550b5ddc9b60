"""Rules over several keys. They read the raw document, so that they speak even where single values are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic_core import PydanticCustomError

from hostlib.errors import Problem
from installer.answers import rules

Table = Mapping[str, object]


def check_document(document: Table) -> Iterator[Problem]:
    """Give every problem between keys of a document whose keys are in kebab-case."""
    yield from _check_passwords(_table(document, "global"))
    network = _table(document, "network")
    if network.get("source") == "from-answer":
        yield from _check_addresses(network)
    yield from _check_names(_table(network, "interface-name-pinning"))
    yield from _check_disks(_table(document, "disk-setup"))


def warn_document(document: Table) -> Iterator[str]:
    """Give what is allowed but most likely not meant."""
    network = _table(document, "network")
    pinning = _table(network, "interface-name-pinning")
    if pinning.get("enabled") is False and pinning.get("mapping"):
        yield "network.interface-name-pinning.mapping: not used, because enabled = false"
    cidr, gateway = _interface(network.get("cidr")), _address(network.get("gateway"))
    if not cidr or not gateway or cidr.version != gateway.version:
        return
    # Behind an IPv6 router the gateway is most often its link-local address.
    if gateway not in cidr.network and not gateway.is_link_local:
        yield f"network.gateway: {gateway} is outside of {cidr.network}; the node may not reach it"


def _table(document: Table, key: str) -> Table:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _interface(value: object) -> rules.Interface | None:
    try:
        return rules.parse_cidr(value) if isinstance(value, str) else None
    except PydanticCustomError:
        return None


def _address(value: object) -> rules.Address | None:
    try:
        return rules.parse_address(value) if isinstance(value, str) else None
    except PydanticCustomError:
        return None


def _check_passwords(section: Table) -> Iterator[Problem]:
    given = [key for key in ("root-password", "root-password-hashed") if key in section]
    if section and not given:
        todo = "give `root-password` or `root-password-hashed`"
        yield Problem("global.root-password", "there is no password for root", todo)
    if len(given) == 2:
        what = "there is `root-password-hashed` too"
        yield Problem("global.root-password", what, "remove one of the two")


def _check_addresses(network: Table) -> Iterator[Problem]:
    cidr = _interface(network.get("cidr"))
    if not cidr:
        return
    for key in ("gateway", "dns"):
        address = _address(network.get(key))
        if address and address.version != cidr.version:
            what = f"{address} is IPv{address.version}, but `cidr` is IPv{cidr.version}"
            yield Problem(f"network.{key}", what, f"give an IPv{cidr.version} address")
    if _address(network.get("gateway")) == cidr.ip:
        what = f"{cidr.ip} is the node's own address"
        yield Problem("network.gateway", what, "give the address of the router")


def _check_names(pinning: Table) -> Iterator[Problem]:
    macs: dict[str, list[str]] = {}
    for mac, name in _table(pinning, "mapping").items():
        if isinstance(name, str):
            macs.setdefault(name.lower(), []).append(mac)
    for name, users in macs.items():
        if len(users) > 1:
            what = f'"{name}" is given to {len(users)} interfaces: {", ".join(users)}'
            yield Problem("network.interface-name-pinning.mapping", what, "give each its own name")
    seen: set[str] = set()
    for mac in _table(pinning, "mapping"):
        if mac.lower() in seen:
            what = f"{mac.lower()} is there twice in different letter case"
            yield Problem("network.interface-name-pinning.mapping", what, "remove one")
        seen.add(mac.lower())


def _check_disks(setup: Table) -> Iterator[Problem]:
    if not setup:
        return
    if "disk-list" in setup and "filter" in setup:
        what = "`disk-list` and `filter` are both there"
        yield Problem("disk-setup", what, "remove one of the two")
    if "disk-list" not in setup and "filter" not in setup:
        todo = "name the disk in `disk-list`, or give a `filter`"
        yield Problem("disk-setup", "neither `disk-list` nor `filter` says which disk to erase", todo)
    if "filter-match" in setup and "filter" not in setup:
        yield Problem("disk-setup.filter-match", "there is no `filter`", "remove it, or give a `filter`")
    disks = setup.get("disk-list")
    if isinstance(disks, list) and len(disks) != 1:
        what = f"{len(disks)} disks are named, ext4 and xfs take exactly one"
        yield Problem("disk-setup.disk-list", what, "name the one disk to install on")
