"""The webhook after an installation: what the node is, in the peer's JSON (schema 1.2). See docs/reporting.md."""

from __future__ import annotations

import json
import logging
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hostlib.checks import allow_findings, check_installation
from hostlib.http import HttpError, Request, send_patiently
from hostlib.inventory import Disk, Inventory, Nic
from hostlib.paths import RUN
from hostlib.release import Release
from installer.config import Endpoint, InstallConfig
from installer.report import TAKEN
from installer.report_checks import plan_checks

LOG = logging.getLogger("slipway.webhook")
SCHEMA: Final = "1.2"
PRODUCT_SHORT: Final = "slipway"
RECORD: Final = RUN / "webhook.json"
"""What will be posted, without the token."""
LIMIT_SECONDS: Final = 120.0
REQUEST_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What only the machine and the new root tell. What could not be read is empty."""

    debian_version: str = ""
    kernel: dict[str, str] = field(default_factory=dict)
    cpu: dict[str, Any] = field(default_factory=dict)
    dmi: dict[str, dict[str, str]] = field(default_factory=dict)
    ssh_keys: dict[str, str] = field(default_factory=dict)
    """Kind -> public host key, as in its file."""
    fingerprint: str = ""
    """Of the web console's certificate."""


def parse_kernel(head: bytes) -> dict[str, str]:
    """Read the names of a kernel, as `uname` gives them, from the first 64 KiB of its image (x86).

    The boot protocol keeps the text at 0x200 behind what 0x20e holds. Gives empty texts for anything else.
    """
    text = ""
    if head[0x202:0x206] == b"HdrS":
        start = struct.unpack_from("<H", head, 0x20E)[0] + 0x200
        text = head[start : start + 512].partition(b"\x00")[0].decode(errors="replace")
    release, _, rest = text.partition(" ")
    version = rest[rest.find("#") :] if "#" in rest else ""
    return {"sysname": "Linux", "release": release, "version": version, "machine": "x86_64"}


def parse_cpu(text: str) -> dict[str, Any]:
    """Read /proc/cpuinfo. Cores are counted for each socket: their numbers begin anew in the next one."""
    processors = [_fields(block) for block in text.split("\n\n") if block.strip()]
    first = processors[0] if processors else {}
    flags = first.get("flags", "")
    threads = range(len(processors))
    cores = {
        (p.get("physical id", "0"), p.get("core id", str(n)))
        for p, n in zip(processors, threads, strict=True)
    }
    return {
        "cores": len(cores),
        "cpus": len(processors),
        "flags": flags,
        "hvm": bool({"vmx", "svm"} & set(flags.split())),
        "model": first.get("model name", ""),
        "sockets": len({processor.get("physical id", "0") for processor in processors}),
    }


def _fields(block: str) -> dict[str, str]:
    return dict(re.findall(r"^(.+?)[ \t]*:[ \t]*(.*?)[ \t]*$", block, re.MULTILINE))


def plan_webhook(
    config: InstallConfig, inventory: Inventory, facts: Facts, release: Release
) -> dict[str, Any]:
    """Give the JSON object without the token. It holds no secret.

    The node makes its machine-id when it starts for the first time: it is empty here.
    """
    boot: dict[str, Any] = {"mode": "efi" if config.firmware == "uefi" else "bios"}
    if config.secure_boot:
        boot["secureboot"] = True
    return {
        "$schema": {"version": SCHEMA},
        "debian-version": facts.debian_version,
        "product": {"fullname": release.product, "short": PRODUCT_SHORT, "version": release.version},
        "iso": {"release": release.version, "isorelease": release.commit},
        "kernel-version": facts.kernel,
        "boot-info": boot,
        "cpu-info": facts.cpu,
        "dmi": facts.dmi,
        "filesystem": config.filesystem,
        "fqdn": config.fqdn,
        "machine-id": "",
        "disks": [_disk(disk, config) for disk in inventory.disks if not disk.boot_medium],
        "network-interfaces": [_nic(nic, config) for nic in inventory.nics if nic.physical],
        "ssh-public-host-keys": facts.ssh_keys,
        "web-console": {"url": config.url, "cert-fingerprint": facts.fingerprint},
        "reboot-mode": config.reboot_mode,
        "checks": _checks(config, inventory),
    }


def _checks(config: InstallConfig, inventory: Inventory) -> list[dict[str, Any]]:
    target = next((disk for disk in inventory.disks if disk.stable_path == config.target.path), None)
    findings = check_installation(inventory, target)
    return plan_checks(allow_findings(findings, config.allowed_checks), inventory)


def _disk(disk: Disk, config: InstallConfig) -> dict[str, Any]:
    target = {"is-bootdisk": True} if disk.stable_path == config.target.path else {}
    return {"size": disk.size_bytes, **target, "udev-properties": disk.udev}


def _nic(nic: Nic, config: InstallConfig) -> dict[str, Any]:
    network = config.network
    mac = (nic.permanent_mac or nic.mac).lower()
    # In upper case as the peer writes it, also when it asks for its answer.
    entry: dict[str, Any] = {"name": network.pinned.get(mac, nic.name), "mac": mac.upper()}
    # Compared by address: the name may be one that only the node will know.
    if mac == network.mac.lower():
        entry |= {"address": network.address, "is-management": True}
    if mac in network.pinned:
        entry["is-pinned"] = True
    return {**entry, "udev-properties": nic.udev}


def render_webhook(data: dict[str, Any]) -> str:
    """Give the text of the copy that is kept."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def render_post(text: str, endpoint: Endpoint) -> bytes:
    """Give the body of the request: the kept copy, and the token in it as the peer does it."""
    data = json.loads(text)
    if endpoint.auth_token:
        data["token"] = endpoint.auth_token.get_secret_value()
    return json.dumps(data, ensure_ascii=False).encode()


def run_webhook(endpoint: Endpoint, warn: Callable[[str], None]) -> None:
    """Post what the installation has left in RECORD. Never raises: the node is installed, whatever comes of this.

    Takes at most 2 minutes. `warn` is told each failure.
    """
    try:
        body = render_post(RECORD.read_text(encoding="utf-8"), endpoint)
        request = Request(
            url=endpoint.url,
            method="POST",
            body=body,
            fingerprint=endpoint.cert_fingerprint,
            timeout_seconds=REQUEST_SECONDS,
            success=TAKEN,
        )
        send_patiently(
            request, limit_seconds=LIMIT_SECONDS, tell=lambda text: warn(f"post-installation-webhook: {text}")
        )
    except HttpError as error:
        warn(f"post-installation-webhook: {error.reason}; the node is installed all the same")
    except Exception as error:
        LOG.exception("a bug in the webhook")
        warn(
            f"post-installation-webhook: {type(error).__name__}: {error}; the node is installed all the same"
        )
    else:
        LOG.info("the webhook has been delivered")
