"""The answer file as types. Its format is that of the Proxmox installer; see docs/answer-file.md."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from installer.answers.tables import COUNTRIES, KEYBOARDS, known_timezones

LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
# The pattern of HTML's <input type=email>, which the peer uses.
MAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)
INTERFACE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,14}", re.IGNORECASE)
MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
SSH_KEY: Final = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?")
CRYPT_HASH: Final = re.compile(r"\$[A-Za-z0-9]+\$[^\s:]+")
PASSWORD_BYTES: Final = 8
FQDN_RULE: Final = "give host.domain.tld: labels of letters, digits and inner dashes, host not only digits"


def _to_kebab(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


class Section(BaseModel):
    """Base of the sections: kebab-case keys, nothing unknown, never changed."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_to_kebab, hide_input_in_errors=True
    )


def check_fqdn(name: str) -> str:
    """Raise ValueError unless `name` is a fully qualified host name (RFC 1123)."""
    labels = name.split(".")
    if (
        len(name) > 253
        or len(labels) < 2
        or not all(LABEL.fullmatch(part) for part in labels)
        or labels[0].isdigit()
    ):
        raise ValueError(f"'{name}' is no fully qualified domain name; {FQDN_RULE}")
    return name


def _check_mail(address: str) -> str:
    if not MAIL.fullmatch(address) or address == "mail@example.invalid":
        raise ValueError(f"'{address}' is no e-mail address; give user@domain.tld")
    return address


def _check_country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError(f"'{code}' is no country; give a lower-case code of ISO 3166-1 such as 'at'")
    return code


def _check_timezone(zone: str) -> str:
    zones = known_timezones()
    if (zones and zone not in zones) or not re.fullmatch(r"[A-Za-z0-9_+/-]+", zone):
        raise ValueError(f"'{zone}' is no time zone; give one such as 'Europe/Vienna' or 'UTC'")
    return zone


def _check_cidr(text: str) -> str:
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(
            f"'{text}' is no address with prefix length; give one such as '192.0.2.10/24'"
        ) from None
    network = interface.network
    if (
        network.version == 4
        and network.prefixlen < 31
        and interface.ip in (network.network_address, network.broadcast_address)
    ):
        raise ValueError(f"'{text}' is the network's own or its broadcast address; give a host's address")
    return str(interface)


def _check_ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"'{text}' is no IP address; give one such as '192.0.2.1'") from None


def _check_password(password: SecretStr) -> SecretStr:
    secret = password.get_secret_value()
    if len(secret.encode()) < PASSWORD_BYTES:
        raise ValueError(f"the password is shorter than {PASSWORD_BYTES} bytes; choose a longer one")
    if "\n" in secret or "\0" in secret:
        raise ValueError("the password holds a line break; give it on one line")
    return password


def _check_hash(value: SecretStr) -> SecretStr:
    if not CRYPT_HASH.fullmatch(value.get_secret_value()):
        raise ValueError(
            "this is no password hash of crypt(5); make one with `mkpasswd` or `openssl passwd -6`"
        )
    return value


def _check_ssh_key(key: str) -> str:
    if not SSH_KEY.fullmatch(key.strip()):
        raise ValueError("this is no public ssh key; give the line of a .pub file")
    return key.strip()


Ip = Annotated[str, AfterValidator(_check_ip)]
Filter = dict[str, str]


class FqdnFromDhcp(Section):
    """`fqdn` as a table: the host name that DHCP gives."""

    source: Literal["from-dhcp"] = "from-dhcp"
    domain: str = ""


class Global(Section):
    """`[global]`."""

    keyboard: Literal[tuple(KEYBOARDS)]  # type: ignore[valid-type] # the table is the list
    country: Annotated[str, AfterValidator(_check_country)]
    timezone: Annotated[str, AfterValidator(_check_timezone)]
    fqdn: Annotated[str, AfterValidator(check_fqdn)] | FqdnFromDhcp
    mailto: Annotated[str, AfterValidator(_check_mail)]
    root_password: Annotated[SecretStr, AfterValidator(_check_password)] | None = None
    root_password_hashed: Annotated[SecretStr, AfterValidator(_check_hash)] | None = None
    root_ssh_keys: tuple[Annotated[str, AfterValidator(_check_ssh_key)], ...] = ()
    reboot_on_error: bool = False
    reboot_mode: Literal["reboot", "power-off"] = "reboot"


class Pinning(Section):
    """`[network.interface-name-pinning]`: names of NICs that stay, whatever slot they are in."""

    enabled: bool
    mapping: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Pinning:
        names = list(self.mapping.values())
        for mac, name in self.mapping.items():
            if not MAC.fullmatch(mac.lower()):
                raise ValueError(f"'{mac}' is no MAC address; give one such as '52:54:00:12:34:56'")
            if not INTERFACE_NAME.fullmatch(name):
                raise ValueError(
                    f"'{name}' for {mac} cannot name an interface; give 2 to 15 letters, digits and underscores, "
                    "a letter first"
                )
            if names.count(name) > 1:
                raise ValueError(
                    f"'{name}' is given to {names.count(name)} MAC addresses; give each its own name"
                )
        return self


class Network(Section):
    """`[network]`."""

    source: Literal["from-dhcp", "from-answer"]
    cidr: Annotated[str, AfterValidator(_check_cidr)] | None = None
    gateway: Ip | None = None
    dns: Ip | None = None
    filter: Filter | None = None
    interface_name_pinning: Pinning | None = None

    @model_validator(mode="after")
    def _check(self) -> Network:
        given = {"cidr": self.cidr, "gateway": self.gateway, "dns": self.dns, "filter": self.filter}
        if self.source == "from-dhcp":
            extra = [key for key, value in given.items() if value is not None]
            if extra:
                raise ValueError(
                    f"{_join(extra)} cannot be set with source 'from-dhcp'; use source 'from-answer'"
                )
            return self
        missing = [key for key, value in given.items() if not value]
        if missing:
            raise ValueError(f"source 'from-answer' needs {_join(missing)}; add them")
        self._check_family()
        return self

    def _check_family(self) -> None:
        if self.cidr and self.gateway and self.dns:
            version = ipaddress.ip_interface(self.cidr).version
            others = {"gateway": self.gateway, "dns": self.dns}
            wrong = [key for key, value in others.items() if ipaddress.ip_address(value).version != version]
            if wrong:
                raise ValueError(
                    f"cidr is IPv{version}, {_join(wrong)} is not; give all in one address family"
                )
            if self.gateway == str(ipaddress.ip_interface(self.cidr).ip):
                raise ValueError(f"gateway {self.gateway} is the node's own address; give the router's")


class LvmOptions(Section):
    """`[disk-setup.lvm]`: sizes in GiB."""

    hdsize: float | None = Field(default=None, gt=0)
    swapsize: float | None = Field(default=None, ge=0)
    maxroot: float | None = Field(default=None, ge=0)
    maxvz: float | None = Field(default=None, ge=0)
    minfree: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _check(self) -> LvmOptions:
        if self.swapsize is not None and self.hdsize is not None and self.swapsize > self.hdsize / 2:
            raise ValueError(
                f"swapsize {self.swapsize:g} GiB is more than half of hdsize {self.hdsize:g} GiB; make it smaller"
            )
        return self


class DiskSetup(Section):
    """`[disk-setup]`."""

    filesystem: Literal["ext4", "xfs"]
    disk_list: tuple[str, ...] | None = None
    filter: Filter | None = None
    filter_match: Literal["any", "all"] = "any"
    lvm: LvmOptions = LvmOptions()

    @model_validator(mode="after")
    def _check(self) -> DiskSetup:
        if self.disk_list is not None and self.filter is not None:
            raise ValueError("disk-list and filter are both set; keep one of them")
        if not self.disk_list and not self.filter:
            raise ValueError("neither disk-list nor filter names a disk; set one of them")
        if self.disk_list and len(self.disk_list) != 1:
            raise ValueError(
                f"{len(self.disk_list)} disks are listed, {self.filesystem} takes one; leave one in disk-list"
            )
        return self


class Answers(Section):
    """A whole answer file."""

    global_: Global
    network: Network
    disk_setup: DiskSetup


def _join(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def render_schema() -> str:
    """Give the JSON Schema of the answer file."""
    return json.dumps(Answers.model_json_schema(by_alias=True), indent=2) + "\n"
