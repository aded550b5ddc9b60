"""Rules for single values of the answer file. Pure; each ValueError reads `what is wrong; what to do`."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections import Counter
from typing import Final

from pydantic import SecretStr

from hostlib.checks import CHECK_IDS, NEVER_ALLOWED
from installer.answers.tables import COUNTRIES, known_timezones
from installer.match import quote

LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
# The pattern of HTML's <input type=email>, which the peer uses.
MAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
INTERFACE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,14}", re.IGNORECASE)
# The loopback, our bridges, and names that mean something else in /proc/sys/net/ipv4/conf.
RESERVED_NAME: Final = re.compile(r"lo|vmbr\d+|all|default")
MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
# The methods that Debian's libxcrypt checks a password with; see crypt(5).
CRYPT_HASH: Final = re.compile(
    r"\$(y|gy|7|5)\$[!-9;-~]*\$[./0-9A-Za-z]{43}|\$2[abxy]\$\d\d\$[./0-9A-Za-z]{53}"
    r"|\$6\$[!-9;-~]*\$[./0-9A-Za-z]{86}|\$sha1\$[!-9;-~]*\$[./0-9A-Za-z]{28}|\$1\$[!-9;-~]*\$[./0-9A-Za-z]{22}"
)
LOCKED: Final = frozenset({"!", "!!", "*", "!*"})
PASSWORD_BYTES: Final = 8
PASSWORD_LIMIT_BYTES: Final = 511
"""crypt(3) refuses a longer one, and it would do so after the disk has been erased."""
FQDN_RULE: Final = "give host.domain.tld: labels of letters, digits and inner dashes, host not only digits"


def check_fqdn(name: str) -> str:
    """Raise ValueError unless `name` is a fully qualified host name (RFC 1123)."""
    labels = name.split(".")
    if (
        len(name) > 253
        or len(labels) < 2
        or not all(LABEL.fullmatch(part) for part in labels)
        or labels[0].isdigit()
    ):
        raise ValueError(f"{quote(name)} is no fully qualified domain name; {FQDN_RULE}")
    return name


def check_domain(name: str) -> str:
    """Raise ValueError unless `name` is empty or a host name can be put before it."""
    if name and (len(name) > 253 or not all(LABEL.fullmatch(part) for part in name.split("."))):
        raise ValueError(f"{quote(name)} is no domain; give one such as 'example.test'")
    return name


def check_mail(address: str) -> str:
    """Raise ValueError unless `address` is an e-mail address."""
    if not MAIL.fullmatch(address) or address == "mail@example.invalid":
        raise ValueError(f"{quote(address)} is no e-mail address; give user@domain.tld")
    return address


def check_country(code: str) -> str:
    """Raise ValueError unless `code` is a country."""
    if code not in COUNTRIES:
        near = {"uk": "gb"}.get(code.lower(), code.lower())
        todo = (
            f"did you mean '{near}'?"
            if near in COUNTRIES
            else "give a lower-case code of ISO 3166-1 such as 'at'"
        )
        raise ValueError(f"{quote(code)} is no country; {todo}")
    return code


def check_timezone(zone: str) -> str:
    """Raise ValueError unless `zone` is a time zone."""
    zones = known_timezones()
    if (zones and zone not in zones) or not re.fullmatch(r"[A-Za-z0-9_+/-]+", zone):
        lower = {name.lower(): name for name in zones}
        near = difflib.get_close_matches(zone.lower(), lower, n=1, cutoff=0.8)
        todo = f"did you mean '{lower[near[0]]}'?" if near else "give one such as 'Europe/Vienna' or 'UTC'"
        raise ValueError(f"{quote(zone)} is no time zone; {todo}")
    return zone


def check_cidr(text: str) -> str:
    """Give an address with prefix length in its usual form; without one it stands alone (/32, /128).

    Raises ValueError unless a host can have it.
    """
    wrong = f"{quote(text)} is no address with prefix length; give one such as '192.0.2.10/24'"
    if "%" in text:
        raise ValueError(wrong)
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(wrong) from None
    address, network = interface.ip, interface.network
    if network.version == 4 and network.prefixlen < 31 and address == network.broadcast_address:
        raise ValueError(f"'{text}' is the broadcast address of its subnet; give a host's address")
    if address.is_loopback or address.is_multicast or address.is_unspecified:
        raise ValueError(f"'{text}' is no address that a node can be reached by; give a host's address")
    return str(interface)


def check_ip(text: str) -> str:
    """Give an address in its usual form. Raises ValueError unless a machine can have it."""
    wrong = f"{quote(text)} is no machine's IP address; give one such as '192.0.2.1'"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(wrong) from None
    if "%" in text or address.is_unspecified or address.is_multicast:
        raise ValueError(wrong)
    return str(address)


def check_network(text: str) -> str:
    """Give a network in its usual form. Raises ValueError unless it is one."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        interface = None
    if interface is None or "%" in text or "/" not in text:
        raise ValueError(f"{quote(text)} is no network; give one such as '192.0.2.0/24'")
    if interface.ip != interface.network.network_address:
        raise ValueError(f"'{text}' is an address in a network; give '{interface.network}'")
    return str(interface.network)


def check_gateway(gateway: str, cidr: str) -> None:
    """Raise ValueError unless the kernel takes `gateway` for a node with the address `cidr`.

    One outside the subnet is reached over the link: ifupdown2 adds the route with `onlink`.
    """
    router, interface = ipaddress.ip_address(gateway), ipaddress.ip_interface(cidr)
    network = interface.network
    if router.version != network.version:
        what = f"{router} is IPv{router.version} and cidr is IPv{network.version}"
        raise ValueError(f"{what}: the node would have no way out; give both in one address family")
    if router == interface.ip:
        raise ValueError(f"{gateway} is the node's own address; give the router's")
    if network.version == 4 and network.prefixlen < 31 and router == network.broadcast_address:
        raise ValueError(f"{gateway} is the broadcast address of {network}; give the router's")
    if router.is_loopback:
        raise ValueError(f"{gateway} is a loopback address; give the router's")


def check_allowable(check: str) -> str:
    """Raise ValueError unless `check` is the id of a check that an answer may allow to find what it finds."""
    if check in NEVER_ALLOWED:
        raise ValueError(f"'{check}' cannot be allowed: no installation is possible with it; remove it")
    if check not in CHECK_IDS:
        near = difflib.get_close_matches(check.lower().replace("_", "-"), sorted(CHECK_IDS - NEVER_ALLOWED))
        known = " or ".join(f"'{name}'" for name in near)
        todo = (
            f"did you mean {known}?"
            if near
            else "the ids are in docs/checks.md and in `slipway-install check`"
        )
        raise ValueError(f"{quote(check)} is no check; {todo}")
    return check


def check_password(password: SecretStr) -> SecretStr:
    """Raise ValueError unless root can have this password. The message does not repeat it."""
    secret = password.get_secret_value()
    length = len(secret.encode())
    if length < PASSWORD_BYTES:
        raise ValueError(f"the password is shorter than {PASSWORD_BYTES} bytes; choose a longer one")
    if length > PASSWORD_LIMIT_BYTES:
        raise ValueError(f"the password has {length} bytes; choose one of {PASSWORD_LIMIT_BYTES} at most")
    if set(secret) & set("\r\n\0"):
        raise ValueError("the password holds a line break; give it on one line")
    return password


def is_locked(value: SecretStr) -> bool:
    """Tell whether this stands for no password at all, as in shadow(5)."""
    return value.get_secret_value() in LOCKED


def check_hash(value: SecretStr) -> SecretStr:
    """Raise ValueError unless this is a hash that a password can be compared with, or locks the password."""
    if not is_locked(value) and not CRYPT_HASH.fullmatch(value.get_secret_value()):
        raise ValueError(
            "this is no password hash of crypt(5); make one with `mkpasswd` or `openssl passwd -6`"
        )
    return value


def check_mac(mac: str) -> str:
    """Give a MAC address in lower case. Raises ValueError unless it is one."""
    if not MAC.fullmatch(mac.lower()):
        raise ValueError(f"{quote(mac)} is no MAC address; give one such as '52:54:00:12:34:56'")
    return mac.lower()


def check_interface_name(name: str) -> str:
    """Raise ValueError unless a network card can be called `name`."""
    if not INTERFACE_NAME.fullmatch(name):
        todo = "give 2 to 15 letters, digits and underscores, a letter first"
        raise ValueError(f"{quote(name)} cannot name an interface; {todo}")
    if RESERVED_NAME.fullmatch(name):
        raise ValueError(f"'{name}' has a meaning of its own; give another name")
    return name


def check_mapping(mapping: object) -> object:
    """Raise ValueError when a raw mapping of MAC addresses to names holds one of either twice."""
    if isinstance(mapping, dict):
        macs = Counter(mac.lower() for mac in mapping)
        names = Counter(name for name in mapping.values() if isinstance(name, str))
        for found, count in (*macs.items(), *names.items()):
            if count > 1:
                raise ValueError(f"{quote(found)} is there {count} times; give each card its own name once")
    return mapping
