"""What the lab puts into a guest: units and programs, handed over as systemd credentials.

The image that is tested is the image that is shipped. systemd reads credentials from the firmware (SMBIOS strings and
QEMU's fw_cfg) and its debug generator makes units of those named `systemd.extra-unit.*` and `systemd.unit-dropin.*`,
so nothing has to be added to the image. The programs travel as one zip archive that python3 runs.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.vm.lab.errors import LabError
from tests.vm.lab.spec import GuestProgram

PROGRAMS: Final = Path(__file__).resolve().parent.parent / "guest"
PORTS: Final = ("report", "events")
"""Virtio-serial ports `org.slipway.<name>`. A port has one writer at a time, so judge and relay have one each."""
FW_CFG_NAME: Final = "slipway-lab.pyz"
"""Credential with the archive. fw_cfg leaves 28 characters for it."""
_PACKAGE: Final = "tests.vm.guest"
"""The programs keep their module names inside the guest, so that they import each other there as here."""
LARGEST_ARCHIVE_BYTES: Final = 900 * 1024
"""systemd takes 1 MiB of credentials in all."""

_JUDGE: Final = "slipway-lab-judge.service"
_RELAY: Final = "slipway-lab-relay.service"
_BECOME: Final = "slipway-lab-become.service"

_JUDGE_UNIT: Final = """\
[Unit]
Description=VM lab: judge
After={after} slipway-firstboot.service
{ordering}[Service]
Type={kind}
ImportCredential=slipway-lab.pyz
ExecStart=/usr/bin/python3 %d/slipway-lab.pyz judge
"""

_RELAY_UNIT: Final = """\
[Unit]
Description=VM lab: event relay
DefaultDependencies=no
After=systemd-udevd.service
Before=slipway-installer.service slipway-identity.service slipway-firstboot.service
Conflicts=shutdown.target
Before=shutdown.target
[Service]
Type=exec
ImportCredential=slipway-lab.pyz
ExecStart=/usr/bin/python3 %d/slipway-lab.pyz relay
"""

_BECOME_UNIT: Final = """\
[Unit]
Description=VM lab: name and address of a copied disk
DefaultDependencies=no
After=local-fs.target systemd-remount-fs.service
Before=networking.service slipway-identity.service nftables.service lldpd.service
[Service]
Type=oneshot
RemainAfterExit=yes
ImportCredential=slipway-lab.pyz
ExecStart=/usr/bin/python3 %d/slipway-lab.pyz become
"""


def smbios_credentials(guest: GuestProgram | None, *, relay: bool, become: bool = False) -> list[str]:
    """Give the values of the SMBIOS type 11 strings that add the lab's units to a guest.

    Args:
        guest: program for the judge unit, or None.
        relay: add the unit that relays events.
        become: add the unit that gives a copied disk its own name.

    Returns:
        Strings `io.systemd.credential.binary:NAME=BASE64`.
    """
    credentials: dict[str, str] = {}
    if guest is not None:
        credentials |= _unit(_JUDGE, _judge_unit(guest), wanted_by=guest.after)
    if relay:
        credentials |= _unit(_RELAY, _RELAY_UNIT, wanted_by="sysinit.target")
    if become:
        credentials |= _unit(_BECOME, _BECOME_UNIT, wanted_by="sysinit.target")
    return [f"io.systemd.credential.binary:{name}={_base64(text)}" for name, text in credentials.items()]


def _judge_unit(guest: GuestProgram) -> str:
    if guest.before:
        return _JUDGE_UNIT.format(after=guest.after, ordering=f"Before={guest.before}\n", kind="oneshot")
    # Not `oneshot`: the boot is finished, and its time can be asked for, while the judge still runs.
    return _JUDGE_UNIT.format(after=guest.after, ordering="", kind="exec")


def _unit(name: str, text: str, *, wanted_by: str) -> dict[str, str]:
    return {
        f"systemd.extra-unit.{name}": text,
        # The drop-in's own name differs for each unit: both may hang on the same target.
        f"systemd.unit-dropin.{wanted_by}~{name.removesuffix('.service')}": f"[Unit]\nWants={name}\n",
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def build_archive(
    guest: GuestProgram | None, folder: Path = PROGRAMS, identity: Mapping[str, object] | None = None
) -> bytes:
    """Pack the guest programs and the parameters of the one that judges.

    Args:
        guest: program for the judge unit, or None when only the relay runs.
        folder: where the modules are.
        identity: what a copied disk becomes.

    Returns:
        A zip archive that `python3 ARCHIVE judge|relay` runs.

    Raises:
        LabError: the module does not exist, or the archive is larger than systemd takes.
    """
    if guest is not None and not (folder / f"{guest.module}.py").is_file():
        raise LabError(f"{folder / guest.module}.py: no such guest program")
    order: dict[str, object] = (
        {"module": guest.module, "parameters": dict(guest.parameters)} if guest is not None else {}
    )
    order |= {"identity": dict(identity)} if identity else {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _members(folder, order):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    if len(buffer.getvalue()) > LARGEST_ARCHIVE_BYTES:
        raise LabError(
            f"guest programs and parameters take {len(buffer.getvalue())} bytes, more than systemd takes"
        )
    return buffer.getvalue()


def _members(folder: Path, order: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield "__main__.py", f"from {_PACKAGE}.main import main\n\nmain()\n"
    parts = _PACKAGE.split(".")
    for depth in range(1, len(parts) + 1):
        # zipimport finds no folder that the archive does not name.
        yield "/".join([*parts[:depth], "__init__.py"]), ""
    inside = "/".join(parts)
    for path in sorted(folder.glob("*.py")):
        yield f"{inside}/{path.name}", path.read_text(encoding="utf-8")
    yield f"{inside}/order.json", json.dumps(order)
