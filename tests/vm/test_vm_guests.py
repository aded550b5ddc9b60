"""Guests of a node out of the box: a nested virtual machine, a container's backup, an ISO image."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.vm.guest.guests import ISO, KEPT, SAYS
from tests.vm.lab.bench import Lab, Shared
from tests.vm.lab.installs import node_spec
from tests.vm.lab.spec import GuestProgram
from tests.vm.scenarios import BIOS_CD
from tests.vm.waits import NODE_SECONDS

GUESTS_SECONDS: Final = NODE_SECONDS + 1500.0
"""First boot, and a machine inside the machine, whose firmware alone takes minutes without KVM."""


@pytest.mark.matrix
def test_guests(lab: Lab, shared: Shared) -> None:
    installed, overlay = shared.overlay(BIOS_CD, lab.folder / "node.qcow2")
    program = GuestProgram(module="guests", parameters={"emulated": lab.accel != "kvm"})
    with lab.vm(node_spec(BIOS_CD, installed, overlay, program)) as vm:
        guests: dict[str, Any] = vm.report.wait("guests", GUESTS_SECONDS)
    broken = [f"{name}: {found['error']}" for name, found in guests.items() if "error" in _dict(found)]
    assert not broken, "\n".join(broken)
    for guest in ("backup", "machine"):
        for name, seconds in guests[guest].items():
            if name.endswith("_seconds"):
                lab.timings.add(f"guests: {guest}: {name.removesuffix('_seconds')}", seconds)
    assert guests["kvm"], "the node has no /dev/kvm, which Incus needs for virtual machines"
    _check_machine(guests["machine"])
    _check_backup(guests["backup"])
    _check_iso(guests["iso"])


def _dict(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _check_machine(machine: dict[str, Any]) -> None:
    assert SAYS in machine["console"], machine["console"]
    assert machine["status"] == "Running"
    assert machine["bridges"] == ["vmbr0"]
    # Its disk, and the small volume with its firmware's variables.
    assert [volume["pool_lv"] for volume in machine["volumes"]] == ["data", "data"]


def _check_backup(backup: dict[str, Any]) -> None:
    assert backup["text"] == KEPT
    assert backup["status"] == "Running"
    assert backup["bridges"] == ["vmbr0"]
    assert [volume["pool_lv"] for volume in backup["volumes"]] == ["data"]
    assert backup["archive_bytes"] > 0


def _check_iso(iso: dict[str, Any]) -> None:
    assert (iso["type"], iso["content_type"]) == ("custom", "iso")
    assert any(ISO in path for path in iso["files"]), iso["files"]
