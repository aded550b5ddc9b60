"""The answer file as frozen types. Units: sizes in it are GiB, as in the peer's format."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
)

from installer.answers import rules
from installer.answers.sshkey import check_ssh_key
from installer.data.countries import COUNTRIES
from installer.data.keyboards import KEYBOARDS

LATER_SECTIONS: Final = ("post-installation-webhook", "first-boot")
"""Sections of the peer that this version does not support."""
LATER_DISK_TABLES: Final = ("zfs", "btrfs")


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Section(BaseModel):
    """Base of the tables of the answer file: closed, frozen, no guessing of types."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=_kebab,
        # An input may be a password.
        hide_input_in_errors=True,
    )


Keyboard = Annotated[
    str, AfterValidator(rules.check_keyboard), Field(json_schema_extra={"enum": list(KEYBOARDS)})
]
Country = Annotated[
    str, AfterValidator(rules.check_country), Field(json_schema_extra={"enum": sorted(COUNTRIES)})
]
Address = Annotated[str, AfterValidator(rules.check_address)]
Glob = Annotated[str, AfterValidator(rules.check_glob)]
Filter = Annotated[dict[str, Glob], Field(min_length=1)]
# TOML has lists only; the types here are frozen.
Gib = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FqdnFromDhcp(Section):
    """The host's name comes from the DHCP server."""

    source: Annotated[Literal["from-dhcp"], BeforeValidator(rules.one_of("from-dhcp"))] = "from-dhcp"
    domain: Annotated[str, AfterValidator(rules.check_domain)] = Field(
        default="", description="domain of the node; goes before the one that DHCP gives"
    )


def _fqdn_form(value: object) -> str:
    return "table" if isinstance(value, dict | FqdnFromDhcp) else "text"


Fqdn = Annotated[
    Annotated[str, AfterValidator(rules.check_fqdn), Tag("text")] | Annotated[FqdnFromDhcp, Tag("table")],
    Discriminator(_fqdn_form),
]


class GlobalSection(Section):
    """`[global]`."""

    keyboard: Keyboard = Field(description="keyboard layout, such as `de` or `en-us`")
    country: Country = Field(description="lower-case country code, such as `at`")
    timezone: Annotated[str, AfterValidator(rules.check_timezone)] = Field(
        description="time zone, such as `Europe/Vienna`, or `UTC`"
    )
    fqdn: Fqdn = Field(
        description='full name of the node, such as `node1.example.com`, or `{ source = "from-dhcp" }`'
    )
    mailto: Annotated[str, AfterValidator(rules.check_mail)] = Field(
        description="the administrator's mail address"
    )
    root_password: Annotated[SecretStr, AfterValidator(rules.check_password)] | None = Field(
        default=None, description="root's password, at least 8 bytes in UTF-8"
    )
    root_password_hashed: Annotated[SecretStr, AfterValidator(rules.check_password_hash)] | None = Field(
        default=None, description="root's password as a hash of crypt(5), from `mkpasswd`"
    )
    root_ssh_keys: Annotated[
        tuple[Annotated[str, AfterValidator(check_ssh_key)], ...], Field(strict=False)
    ] = Field(default=(), description="public ssh keys of root, one an entry")
    reboot_on_error: bool = Field(
        default=False, description="restart the machine when the installation fails"
    )
    reboot_mode: Annotated[
        Literal["reboot", "power-off"], BeforeValidator(rules.one_of("reboot", "power-off"))
    ] = Field(default="reboot", description="what the machine does after the installation")


class Pinning(Section):
    """`interface-name-pinning`: names of network interfaces that do not change with the hardware."""

    enabled: bool = Field(description="true to pin the names; false is the same as no table")
    mapping: dict[
        Annotated[str, AfterValidator(rules.check_mac)],
        Annotated[str, AfterValidator(rules.check_nic_name)],
    ] = Field(
        default_factory=dict, description="MAC -> name; every other physical interface becomes nic0, nic1 …"
    )


class NetworkFromDhcp(Section):
    """`[network]` with what DHCP gave to the live system, kept as the node's static configuration."""

    source: Literal["from-dhcp"]
    interface_name_pinning: Pinning | None = None


class NetworkFromAnswer(Section):
    """`[network]` with a static address."""

    source: Literal["from-answer"]
    cidr: Annotated[str, AfterValidator(rules.check_cidr)] = Field(
        description="the node's address with prefix length, such as `192.0.2.10/24`"
    )
    dns: Address = Field(description="address of the DNS server")
    gateway: Address = Field(description="address of the default gateway")
    filter: Filter = Field(description="udev property -> glob; picks the one interface")
    interface_name_pinning: Pinning | None = None


class LvmOptions(Section):
    """`[disk-setup.lvm]`: sizes in GiB, None where the default rule holds."""

    hdsize: Gib | None = Field(default=None, description="GiB of the disk to use; the rest stays free")
    swapsize: Gib | None = Field(default=None, description="GiB of the LV swap; 0 for none")
    maxroot: Gib | None = Field(default=None, description="most GiB for the LV root; 0 for the default of 96")
    maxvz: Gib | None = Field(
        default=None, description="most GiB for the thin pool data with its metadata; 0 for no pool"
    )
    minfree: Gib | None = Field(default=None, description="GiB to leave free in the VG")


class DiskSetup(Section):
    """`[disk-setup]`. Exactly one of `disk_list` and `filter` is there."""

    filesystem: Annotated[
        Literal["ext4", "xfs"], BeforeValidator(rules.one_of("ext4", "xfs", later=("zfs", "btrfs")))
    ] = Field(description="file system of the node, `ext4` or `xfs`")
    disk_list: Annotated[tuple[str, ...], Field(strict=False)] | None = Field(
        default=None, description="the one disk, by its name in /dev/disk/by-id or its kernel name"
    )
    filter: Filter | None = Field(default=None, description="udev property -> glob; picks the one disk")
    filter_match: Annotated[Literal["any", "all"], BeforeValidator(rules.one_of("any", "all"))] = Field(
        default="any", description="whether any or all of the filter's pairs must match"
    )
    lvm: LvmOptions = LvmOptions()


class Answers(Section):
    """A whole answer file that keeps all rules which need no machine."""

    global_: GlobalSection = Field(alias="global")
    network: Annotated[NetworkFromDhcp | NetworkFromAnswer, Field(discriminator="source")]
    disk_setup: DiskSetup
