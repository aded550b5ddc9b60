"""The answer file as types. Its format is that of the Proxmox installer; see docs/answer-file.md."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    StrictBool,
    Tag,
    ValidationInfo,
    field_validator,
)

from installer.answers.tables import KEYBOARDS
from installer.answers.values import (
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
    check_password,
    check_ssh_key,
    check_timezone,
)

MAX_GIB: Final = 2**30
"""1 EiB: sizes above are slips, and too large to reckon with."""
T = TypeVar("T")


def _to_kebab(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


class Section(BaseModel):
    """Base of the sections: kebab-case keys, nothing unknown, never changed.

    Rules between keys are validators of the later key, which see only the keys that are right by themselves:
    so that they are told together with what is wrong elsewhere, and never because of it.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_to_kebab, hide_input_in_errors=True
    )


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
Filter = dict[str, str]
Gib = Annotated[float, Field(strict=True, ge=0, le=MAX_GIB, allow_inf_nan=False)]


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
    root_ssh_keys: tuple[Annotated[str, AfterValidator(check_ssh_key)], ...] = ()
    reboot_on_error: StrictBool = False
    reboot_mode: Literal["reboot", "power-off"] = "reboot"

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
    interface_name_pinning: Pinning | None = None

    @field_validator("cidr", "gateway", "dns", "filter")
    @classmethod
    def _fits_source(cls, value: T, info: ValidationInfo) -> T:
        source = info.data.get("source")
        if source == "from-dhcp" and value is not None:
            raise ValueError("source 'from-dhcp' does not take it; remove it or use source 'from-answer'")
        if source == "from-answer" and not value:
            raise ValueError("source 'from-answer' needs it; add it")
        return value

    @field_validator("gateway", "dns")
    @classmethod
    def _fits_cidr(cls, value: str | None, info: ValidationInfo) -> str | None:
        cidr = info.data.get("cidr")
        if cidr and value:
            wanted, given = ipaddress.ip_interface(cidr).version, ipaddress.ip_address(value).version
            if given != wanted:
                raise ValueError(
                    f"{value} is IPv{given} and cidr is IPv{wanted}; give all in one address family"
                )
            if info.field_name == "gateway":
                check_gateway(value, cidr)
        return value


class LvmOptions(Section):
    """`[disk-setup.lvm]`: sizes in GiB."""

    hdsize: Annotated[Gib, Field(gt=0)] | None = None
    swapsize: Gib | None = None
    maxroot: Gib | None = None
    maxvz: Gib | None = None
    minfree: Gib | None = None

    @field_validator("swapsize")
    @classmethod
    def _fits_hdsize(cls, swapsize: float | None, info: ValidationInfo) -> float | None:
        hdsize = info.data.get("hdsize")
        if swapsize is not None and hdsize is not None and swapsize > hdsize / 2:
            raise ValueError(
                f"{swapsize:g} GiB is more than half of hdsize ({hdsize:g} GiB); make it smaller"
            )
        return swapsize


class DiskSetup(Section):
    """`[disk-setup]`."""

    filesystem: Literal["ext4", "xfs"]
    disk_list: tuple[str, ...] | None = None
    filter: Filter | None = Field(default=None, validate_default=True)
    filter_match: Literal["any", "all"] = "any"
    lvm: LvmOptions = LvmOptions()

    @field_validator("disk_list")
    @classmethod
    def _one_disk(cls, names: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if names and len(names) > 1:
            filesystem = info.data.get("filesystem", "the file system")
            raise ValueError(f"{len(names)} disks are listed, {filesystem} takes one; leave one in the list")
        return names

    @field_validator("filter")
    @classmethod
    def _list_or_filter(cls, value: Filter | None, info: ValidationInfo) -> Filter | None:
        if "disk_list" in info.data:
            names = info.data["disk_list"]
            if names is not None and value is not None:
                raise ValueError("disk-list is set too; keep one of the two")
            if not names and not value:
                raise ValueError("neither disk-list nor filter names a disk; set one of them")
        return value


class Answers(Section):
    """A whole answer file."""

    global_: Global
    network: Network
    disk_setup: DiskSetup


def render_schema() -> str:
    """Give the JSON Schema of the answer file."""
    return json.dumps(Answers.model_json_schema(by_alias=True), indent=2) + "\n"
