"""InstallConfig: everything an installation will do, fully resolved and frozen. Secrets never print."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Final, Literal

from pydantic import ConfigDict, Field, SecretStr

from hostlib.netconfig import NetworkConfig
from hostlib.ports import WEB_CONSOLE
from hostlib.record import Record
from hostlib.seed import Mode

SCHEMA: Final = 1


class DiskTarget(Record):
    """The disk that will be erased, named so that it cannot be mistaken."""

    path: str
    """/dev/disk/by-id/…"""
    kernel_name: str
    """Such as `sda`: only for messages while the live system runs."""
    size_bytes: int
    logical_sector_bytes: int
    model: str
    serial: str


class Layout(Record):
    """Sizes of the partitions and LVs, in bytes; 0 for an LV that is not made."""

    bios_boot: bool
    """False on 4Kn disks, which no BIOS boots from."""
    esp_bytes: int
    disk_end_bytes: int
    """Where the LVM partition ends: the end of the disk, or less with `hdsize`; 0 = end of disk."""
    swap_bytes: int
    root_bytes: int
    data_bytes: int
    """The thin pool's data LV."""
    metadata_bytes: int


class Endpoint(Record):
    """Something that is reached over HTTP(S)."""

    url: str
    cert_fingerprint: str = ""
    """SHA-256 of the certificate as 64 hex digits; empty: the certificate must be one that the system trusts."""
    auth_token: SecretStr | None = None


class ReportTarget(Record):
    """Where the course of the installation is reported to."""

    endpoint: Endpoint
    events: tuple[str, ...]


class FirstBootHook(Record):
    """A program that runs once on the finished node."""

    source: Literal["from-iso", "from-url"]
    ordering: Literal["before-network", "network-online", "fully-up"]
    endpoint: Endpoint | None
    """Where it is fetched from; None with `from-iso`."""


class EnrollmentConfig(Record):
    """How the node comes to be in a cluster."""

    mode: Mode = "bootstrap"
    cluster_name: str = ""
    """Of the new cluster."""
    urls: tuple[str, ...] = ()
    """Of members of the cluster to join, `https://host:port`."""
    fingerprint: str = ""
    """SHA-256 of its CA certificate, 64 hex digits in lower case."""
    token: SecretStr | None = None
    token_file: str = ""
    """Path on the medium where the token is; what it holds is read before the installation begins."""


class InstallConfig(Record):
    """A resolved installation. `plan.plan_install` turns it into steps."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    target: DiskTarget
    filesystem: Literal["ext4", "xfs"]
    layout: Layout
    rename_vgs: dict[str, str] = Field(default_factory=dict)
    """VGs named `pve` on other disks: UUID of the VG -> its new name."""
    fqdn: str
    mailto: str
    country: str
    timezone: str
    keyboard: str
    """Layout id of the answer file, such as `de-ch`."""
    root_password: SecretStr | None = None
    """Plain text; hashed in memory when it is written. Exactly one of the two is set."""
    root_password_hash: SecretStr | None = None
    root_ssh_keys: tuple[str, ...] = ()
    network: NetworkConfig
    firmware: Literal["bios", "uefi"]
    secure_boot: bool = False
    kernel_args: tuple[str, ...] = ()
    """Kernel parameters carried from the live system to the node."""
    reboot_mode: Literal["reboot", "power-off"] = "reboot"
    reboot_on_error: bool = False
    on_existing: Literal["rename", "refuse", "wipe"] = "rename"
    """What becomes of what is on the disks; the guard before the first write reads it."""
    enrollment: EnrollmentConfig = Field(default_factory=EnrollmentConfig)
    first_boot: FirstBootHook | None = None
    webhook: Endpoint | None = None
    report: ReportTarget | None = None
    allowed_checks: tuple[str, ...] = ()
    """Ids of the checks that the answer allows and that did find something on this machine."""
    warnings: tuple[str, ...] = ()
    """What an administrator should know about the answers on this machine; stops nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @property
    def hostname(self) -> str:
        """First label of the FQDN."""
        return self.fqdn.split(".", 1)[0]

    @property
    def url(self) -> str:
        """Address of the node's web console."""
        address = ip_interface(self.network.address).ip
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"https://{host}:{WEB_CONSOLE}/"
