"""The rules for single values of the answer file. Each gives the value back or raises `wrong`."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from collections.abc import Callable
from functools import cache
from typing import Final

from pydantic import SecretStr

from hostlib.netconfig import BRIDGE
from installer.answers.hints import listed, suggest, wrong
from installer.data.countries import COUNTRIES
from installer.data.keyboards import KEYBOARDS

PASSWORD_MINIMUM_BYTES: Final = 8
FQDN_MAXIMUM: Final = 253
NIC_NAME_MAXIMUM: Final = 15
"""The kernel's limit."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LABEL_PATTERN: Final = re.compile(_LABEL)
# The pattern that HTML gives for <input type=email>.
_MAIL_PATTERN: Final = re.compile(rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*")
_MAIL_PLACEHOLDER: Final = "mail@example.invalid"
_ZONE_PATTERN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){1,2}")
_MAC_PATTERN: Final = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_NIC_PATTERN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
# crypt(5): $id$…; neither the separator of /etc/shadow nor white space can stand in a hash.
_HASH_PATTERN: Final = re.compile(r"\$[0-9a-z]+\$[^\s:]+")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def one_of(*values: str, later: tuple[str, ...] = ()) -> Callable[[object], object]:
    """Give the rule "one of these words"; `later` are words of the peer that this version does not support."""

    def check(value: object) -> object:
        if not isinstance(value, str) or value in values:
            return value
        if value in later:
            raise wrong(f'"{value}" is not supported by this version', f"use one of {listed(values)}")
        raise wrong(f'"{value}" is not known', suggest(value, values, f"use one of {listed(values)}"))

    return check


def check_keyboard(value: str) -> str:
    """Accept a layout id of the table."""
    if value in KEYBOARDS:
        return value
    todo = suggest(value, KEYBOARDS, f"use one of {listed(KEYBOARDS)}")
    raise wrong(f'keyboard layout "{value}" is not known', todo)


def check_country(value: str) -> str:
    """Accept a lower-case ISO 3166 code."""
    if value in COUNTRIES:
        return value
    otherwise = "use a lower-case code of two letters, such as `at`"
    todo = f"did you mean `{value.lower()}`?" if value.lower() in COUNTRIES else otherwise
    raise wrong(f'country code "{value}" is not known', todo)


@cache
def known_timezones() -> frozenset[str]:
    """Give the zones that this system knows; empty where it has no zone data."""
    return frozenset(zoneinfo.available_timezones())


def check_timezone(value: str) -> str:
    """Accept `UTC` or a zone that this system knows; where it knows none, anything that looks like one."""
    zones = known_timezones()
    if value == "UTC" or value in zones:
        return value
    if not zones and _ZONE_PATTERN.fullmatch(value):
        return value
    todo = suggest(value, zones, "use a name such as `Europe/Vienna`, or `UTC`")
    raise wrong(f'time zone "{value}" is not known', todo)


def check_fqdn(value: str) -> str:
    """Accept a host name with a domain, by the rules of RFC 1123 and at least two labels."""
    todo = "give a name such as `node1.example.com`"
    labels = value.split(".")
    if len(labels) < 2:
        raise wrong(f'"{value}" has no domain', todo)
    if len(value) > FQDN_MAXIMUM:
        raise wrong(f"the name has {len(value)} characters, {FQDN_MAXIMUM} at most are allowed", todo)
    if labels[0].isdigit():
        raise wrong(f'the host name "{labels[0]}" has only digits', todo)
    for label in labels:
        if not _LABEL_PATTERN.fullmatch(label):
            allowed = "1 to 63 letters, digits or dashes, no dash at either end"
            raise wrong(f'"{label}" in "{value}" is no valid part of a name', f"use {allowed}")
    return value


def check_domain(value: str) -> str:
    """Accept a domain, or nothing."""
    if value and not all(_LABEL_PATTERN.fullmatch(label) for label in value.split(".")):
        raise wrong(f'"{value}" is no valid domain', "give a domain such as `example.com`, or leave it out")
    return value


def check_mail(value: str) -> str:
    """Accept what a browser accepts as a mail address."""
    if value == _MAIL_PLACEHOLDER:
        raise wrong(f'"{value}" is only a placeholder', "give the administrator's mail address")
    if not _MAIL_PATTERN.fullmatch(value):
        raise wrong(f'"{value}" is no mail address', "give one such as `admin@example.com`")
    return value


def check_password(value: SecretStr) -> SecretStr:
    """Accept a password of at least 8 bytes in UTF-8 that can be typed at a login prompt."""
    text = value.get_secret_value()
    length = len(text.encode())
    if length < PASSWORD_MINIMUM_BYTES:
        todo = f"use at least {PASSWORD_MINIMUM_BYTES} characters"
        raise wrong(f"the password is too short ({length} bytes)", todo)
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise wrong("the password holds a line break or another control character", "remove it")
    return value


def check_password_hash(value: SecretStr) -> SecretStr:
    """Accept a hash of crypt(5)."""
    if not _HASH_PATTERN.fullmatch(value.get_secret_value()):
        todo = "give what `mkpasswd` prints ($y$… or $6$…), or put the plain password into `root-password`"
        raise wrong("this is no password hash", todo)
    return value


def parse_address(value: str) -> Address:
    """Read an IP address. Raises `wrong`."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise wrong(f'"{value}" is no IP address', "give one such as `192.0.2.1`") from None
    if getattr(address, "scope_id", None):
        raise wrong(f'"{value}" holds a zone', "leave out everything from the % sign on")
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        raise wrong(f"{address} is no address of another machine", "give the address of one host")
    return address


def check_address(value: str) -> str:
    """Accept an IPv4 or IPv6 address and give its usual form."""
    return str(parse_address(value))


def parse_cidr(value: str) -> Interface:
    """Read an address with prefix length; without one it stands alone (/32, /128). Raises `wrong`."""
    text, slash, prefix = value.partition("/")
    address = parse_address(text)
    if slash and not (prefix.isascii() and prefix.isdigit() and int(prefix) <= address.max_prefixlen):
        todo = f"give 0 to {address.max_prefixlen}, such as `{address}/{24 if address.version == 4 else 64}`"
        raise wrong(f'"{prefix}" is no prefix length', todo)
    interface = ipaddress.ip_interface(f"{address}/{int(prefix) if slash else address.max_prefixlen}")
    if interface.version == 4 and interface.network.prefixlen < 31:
        for name, taken in (
            ("network", interface.network.network_address),
            ("broadcast", interface.network.broadcast_address),
        ):
            if interface.ip == taken:
                todo = f"give the node's own address in {interface.network}"
                raise wrong(f"{interface.ip} is the {name} address of {interface.network}", todo)
    return interface


def check_cidr(value: str) -> str:
    """Accept a host's address with prefix length and give its usual form."""
    return str(parse_cidr(value))


def check_glob(value: str) -> str:
    """Accept a pattern with `?`, `*`, `[abc]` and `[!a]`."""
    # A ] right behind the opening bracket stands for itself.
    rest = re.sub(r"\[!?\]?[^\]]*\]", "", value)
    if "[" in rest:
        raise wrong(
            f'the pattern "{value}" has a `[` without its `]`', "close it, or write `[[]` for the sign"
        )
    return value


def check_mac(value: str) -> str:
    """Accept a MAC address in any letter case and give it in lower case."""
    mac = value.lower()
    if not _MAC_PATTERN.fullmatch(mac):
        raise wrong(f'"{value}" is no MAC address', "give one such as `52:54:00:12:34:56`")
    return mac


def check_nic_name(value: str) -> str:
    """Accept a name that an interface of the node can have for good."""
    if not 2 <= len(value) <= NIC_NAME_MAXIMUM:
        todo = f"use 2 to {NIC_NAME_MAXIMUM} characters"
        raise wrong(f'the interface name "{value}" has {len(value)} characters', todo)
    if not _NIC_PATTERN.fullmatch(value):
        todo = "begin with a letter and use letters, digits and underscores"
        raise wrong(f'"{value}" is no interface name', todo)
    if value in {"lo", BRIDGE} or re.fullmatch(r"eth\d+", value):
        taken = (
            "the kernel gives this name itself" if value.startswith("eth") else "it is taken on every node"
        )
        raise wrong(f'"{value}" cannot be used: {taken}', "choose another, such as `nic0`")
    return value
