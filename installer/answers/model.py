"""The answer file as types. Its format is that of the Proxmox installer; see docs/answer-file.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    SecretStr,
    StrictBool,
    Tag,
    ValidationInfo,
    field_validator,
)

from installer.answers.disks import DiskSetup
from installer.answers.enrollment import Enrollment
from installer.answers.section import Filter, Fingerprint, Section, Url
from installer.answers.ssh_keys import check_ssh_keys
from installer.answers.tables import KEYBOARDS
from installer.answers.urls import check_token
from installer.answers.values import (
    check_allowable,
    check_cidr,
    check_country,
    check_domain,
    check_fqdn,
    check_gateway,
    check_hash,
    check_interface_name,
    check_ip,
    check_mac,
    check_mail,
    check_mapping,
    check_network,
    check_password,
    check_timezone,
    is_locked,
)

Event = Literal["started", "phase", "succeeded", "failed"]
EVENTS: Final[tuple[Event, ...]] = ("started", "phase", "succeeded", "failed")
MOST_NETWORKS: Final = 64
T = TypeVar("T")


class FqdnFromDhcp(Section):
    """`fqdn` as a table: the host name that DHCP gives."""

    source: Literal["from-dhcp"] = "from-dhcp"
    domain: Annotated[str, AfterValidator(check_domain)] = ""


def _fqdn_form(value: object) -> str:
    return "table" if isinstance(value, Mapping | FqdnFromDhcp) else "text"


Fqdn = Annotated[
    Annotated[str, AfterValidator(check_fqdn), Tag("text")] | Annotated[FqdnFromDhcp, Tag("table")],
    Discriminator(_fqdn_form),
]
Ip = Annotated[str, AfterValidator(check_ip)]


class Global(Section):
    """`[global]`."""

    keyboard: Literal[tuple(KEYBOARDS)]  # type: ignore[valid-type] # the table is the list
    country: Annotated[str, AfterValidator(check_country)]
    timezone: Annotated[str, AfterValidator(check_timezone)]
    fqdn: Fqdn
    mailto: Annotated[str, AfterValidator(check_mail)]
    root_password_hashed: Annotated[SecretStr, AfterValidator(check_hash)] | None = None
    root_password: Annotated[SecretStr, AfterValidator(check_password)] | None = Field(
        default=None, validate_default=True
    )
    root_ssh_keys: tuple[Annotated[str, AfterValidator(check_ssh_keys)], ...] = Field(
        default=(), validate_default=True
    )
    """One key each, without comments and empty lines."""
    reboot_on_error: StrictBool = False
    reboot_mode: Literal["reboot", "power-off"] = "reboot"
    subscription_key: SecretStr | None = None
    """Of the peer; has no meaning here."""

    @field_validator("root_password")
    @classmethod
    def _one_password(cls, plain: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if "root_password_hashed" in info.data:
            hashed = info.data["root_password_hashed"]
            if plain is not None and hashed is not None:
                raise ValueError("root-password-hashed is set too; keep one of the two")
            if plain is None and hashed is None:
                raise ValueError("there is no password for root; set it or 'root-password-hashed'")
        return plain

    @field_validator("root_ssh_keys")
    @classmethod
    def _way_in(cls, keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        hashed = info.data.get("root_password_hashed")
        found = tuple(line for key in keys for line in key.splitlines())
        if hashed is not None and is_locked(hashed) and not found:
            raise ValueError(
                "root-password-hashed locks the password and there is no key; add one of the two"
            )
        return found


class Pinning(Section):
    """`[network.interface-name-pinning]`: names of NICs that stay, whatever slot they are in."""

    enabled: StrictBool
    mapping: Annotated[
        dict[Annotated[str, AfterValidator(check_mac)], Annotated[str, AfterValidator(check_interface_name)]],
        BeforeValidator(check_mapping),
    ] = Field(default_factory=dict)
    """MAC address in lower case -> name."""


class Network(Section):
    """`[network]`."""

    source: Literal["from-dhcp", "from-answer"]
    cidr: Annotated[str, AfterValidator(check_cidr)] | None = Field(default=None, validate_default=True)
    gateway: Ip | None = Field(default=None, validate_default=True)
    dns: Ip | None = Field(default=None, validate_default=True)
    filter: Filter | None = Field(default=None, validate_default=True)
    management: tuple[Annotated[str, AfterValidator(check_network)], ...] = ()
    """Networks from which the node's ports can be reached; none: from everywhere."""
    interface_name_pinning: Pinning | None = None

    @field_validator("management")
    @classmethod
    def _few(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        if len(networks) > MOST_NETWORKS:
            raise ValueError(f"{len(networks)} networks are listed; give {MOST_NETWORKS} at most")
        return networks

    @field_validator("cidr", "gateway", "dns", "filter")
    @classmethod
    def _fits_source(cls, value: T, info: ValidationInfo) -> T:
        source = info.data.get("source")
        if source == "from-dhcp" and value is not None:
            raise ValueError("source 'from-dhcp' does not take it; remove it or use source 'from-answer'")
        if source == "from-answer" and not value:
            raise ValueError("source 'from-answer' needs it; add it")
        return value

    @field_validator("gateway")
    @classmethod
    def _fits_cidr(cls, gateway: str | None, info: ValidationInfo) -> str | None:
        if gateway and (cidr := info.data.get("cidr")):
            check_gateway(gateway, cidr)
        return gateway


class Checks(Section):
    """`[checks]`: what does not stop the installation although a check of the hardware would."""

    allow: tuple[Annotated[str, AfterValidator(check_allowable)], ...] = ()


class FirstBoot(Section):
    """`[first-boot]`: a program that runs once on the finished node."""

    source: Literal["from-iso", "from-url"]
    ordering: Literal["before-network", "network-online", "fully-up"] = "fully-up"
    url: Url | None = Field(default=None, validate_default=True)
    cert_fingerprint: Fingerprint | None = None

    @field_validator("url")
    @classmethod
    def _fits_source(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None and info.data.get("source") == "from-url":
            raise ValueError("source 'from-url' needs it; add it")
        return url


class Webhook(Section):
    """`[post-installation-webhook]`: what is told of the finished node, in the peer's format."""

    url: Url
    cert_fingerprint: Fingerprint | None = None
    auth_token: SecretStr | None = None


class Report(Section):
    """`[report]`: where the course of the installation is told."""

    url: Url
    cert_fingerprint: Fingerprint | None = None
    auth_token: Annotated[SecretStr, AfterValidator(check_token)] | None = None
    events: tuple[Event, ...] = EVENTS

    @field_validator("events")
    @classmethod
    def _some(cls, events: tuple[Event, ...]) -> tuple[Event, ...]:
        if not events:
            raise ValueError("it is empty; name at least one, or leave the key out for all")
        return events


class Answers(Section):
    """A whole answer file."""

    global_: Global
    network: Network
    disk_setup: DiskSetup
    checks: Checks | None = None
    enrollment: Enrollment | None = None
    first_boot: FirstBoot | None = None
    post_installation_webhook: Webhook | None = None
    report: Report | None = None


def render_schema() -> str:
    """Give the JSON Schema of the answer file."""
    return json.dumps(Answers.model_json_schema(by_alias=True), indent=2) + "\n"
