"""Looks at an installed node from inside and reports everything as one message of kind `node`."""

from __future__ import annotations

import hashlib
import json
import ssl
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.vm.guest.commands import collect, read_json, read_output, run
from tests.vm.guest.container import try_container
from tests.vm.guest.enrolled import read_exposure, read_own_memory, wait_settled
from tests.vm.guest.facts import SYSTEM
from tests.vm.guest.port import send
from tests.vm.guest.secrets import find_secrets

WEB_CONSOLE: Final = ("127.0.0.1", 8006)
_BLOCK_COLUMNS: Final = "NAME,PATH,TYPE,SIZE,FSTYPE,LABEL,UUID,MOUNTPOINTS,PARTTYPE,PTTYPE,SERIAL,LOG-SEC"
_LV_COLUMNS: Final = "lv_name,vg_name,lv_attr,lv_size,pool_lv,lv_metadata_size,lv_active"
_SECURE_BOOT: Final = Path("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
_LOGIN_FIELD: Final = b"login-user-input"
"""Name of a field of Cockpit's login page."""


def main(parameters: Mapping[str, Any]) -> None:
    """Report the node.

    Args:
        parameters: `container` true to start one too; `files`: paths whose text is reported as `files`; `secrets`:
            texts to look for, reported as `secrets`; `power_off` true to switch the machine off at the end.
    """
    state = run("systemctl", "is-system-running", "--wait")
    facts = collect(
        {
            # First: the rest is looked at once the node is in its cluster.
            "enrollment": wait_settled,
            "own_memory_kib": read_own_memory,
            "exposure": read_exposure,
            **SYSTEM,
            **_STORAGE,
            **_NETWORK,
            **_SERVICES,
        }
    )
    if parameters.get("container"):
        facts |= collect({"container": try_container})
    if "files" in parameters:
        paths = [str(path) for path in parameters["files"]]
        facts |= collect({"files": lambda: {path: Path(path).read_text(encoding="utf-8") for path in paths}})
    if "secrets" in parameters:
        facts |= collect({"secrets": lambda: find_secrets(parameters["secrets"])})
    send("report", {"kind": "node", "time": time.time(), "state": str(state["stdout"]).strip(), **facts})
    if parameters.get("power_off"):
        run("systemctl", "--no-block", "poweroff")


def _lvm(command: str, columns: str) -> object:
    options = ("--reportformat", "json", "--units", "b", "--nosuffix")
    return read_json(command, *options, "--options", columns)


def _web_console() -> dict[str, object]:
    # The node signs for itself; the test compares the fingerprint with what the console says.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = WEB_CONSOLE
    with urllib.request.urlopen(f"https://{host}:{port}/", context=context, timeout=60) as answer:
        body = answer.read()
        status = answer.status
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(WEB_CONSOLE, timeout=60))
    return {
        "status": status,
        "login_page": _LOGIN_FIELD in body,
        "sha256": hashlib.sha256(der).hexdigest(),
    }


def _secure_boot() -> bool | None:
    """Tell whether Secure Boot is on; None on a machine without UEFI. The first four bytes are attributes."""
    return bool(_SECURE_BOOT.read_bytes()[4]) if _SECURE_BOOT.exists() else None


def _issue() -> dict[str, str]:
    files = [Path("/etc/issue"), *sorted(Path("/etc/issue.d").glob("*"))]
    return {str(path): path.read_text(encoding="utf-8") for path in files if path.exists()}


def _check() -> dict[str, object]:
    """Let the node check its hardware as its timer does, and give what it has written down."""
    started = time.monotonic()
    read_output("systemctl", "start", "slipway-check.service")
    saved = json.loads(Path("/var/lib/slipway/findings.json").read_text(encoding="utf-8"))
    timer = read_output("systemctl", "is-active", "slipway-check.timer").strip()
    return {**saved, "timer": timer, "seconds": time.monotonic() - started}


_STORAGE: Final = {
    "blocks": lambda: read_json("lsblk", "--json", "--bytes", "--output", _BLOCK_COLUMNS),
    "vgs": lambda: _lvm("vgs", "vg_name,vg_size,vg_free,pv_count,lv_count"),
    "lvs": lambda: _lvm("lvs", _LV_COLUMNS),
    "pvs": lambda: _lvm("pvs", "pv_name,vg_name,pv_size"),
    "fstab": lambda: Path("/etc/fstab").read_text(encoding="utf-8"),
    "mounts": lambda: read_json("findmnt", "--json", "--real"),
}
_NETWORK: Final = {
    "addresses": lambda: read_json("ip", "-json", "address"),
    "routes": lambda: read_json("ip", "-json", "route"),
    "interfaces": lambda: Path("/etc/network/interfaces").read_text(encoding="utf-8"),
    "resolv_conf": lambda: Path("/etc/resolv.conf").read_text(encoding="utf-8"),
    "hostname": lambda: read_output("hostname", "--fqdn").strip(),
}
_SERVICES: Final = {
    "pools": lambda: read_json("incus", "storage", "list", "--format", "json"),
    # `profile show` prints YAML only.
    "profile": lambda: read_json("incus", "query", "/1.0/profiles/default"),
    "web_console": _web_console,
    "issue": _issue,
    "check": _check,
    "secure_boot": _secure_boot,
    "prompts": lambda: read_output("systemctl", "is-active", "getty@tty1", "serial-getty@ttyS0").split(),
    "machine_id": lambda: Path("/etc/machine-id").read_text(encoding="ascii").strip(),
    "firstboot_done": lambda: Path("/var/lib/slipway/firstboot-done").exists(),
    "firstboot_journal": lambda: read_output(
        "journalctl", "--boot", "--no-pager", "--output=cat", "--unit=slipway-firstboot"
    )[-8000:],
}
