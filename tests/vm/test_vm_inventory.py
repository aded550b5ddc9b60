"""A machine with several controllers at once: what the live system says about it, and that it changes nothing."""

from __future__ import annotations

import json
from typing import Any, Final, cast

from hostlib.checks import run_checks
from hostlib.inventory import parse_inventory
from hostlib.probe import LIMIT_SECONDS
from tests.vm.lab.bench import Lab
from tests.vm.lab.media import content_digest
from tests.vm.lab.spec import GuestProgram
from tests.vm.machines import MACHINES, RECORD_SECONDS, RECORDED, build_spec

NAME: Final = "mixed"
VOLATILE: Final = ("udev", "name", "path", "temperature_celsius", "power_on_hours")
"""Of a disk: what depends on the order in which the kernel found them, or on the hour."""
MEASURE: Final = """
import time
from hostlib.probe import read_inventory
from hostlib.run import SystemRunner
started = time.monotonic()
read_inventory(SystemRunner())
print(time.monotonic() - started)
"""


def test_inventory_of_a_machine_with_several_controllers(lab: Lab) -> None:
    """RAID, JBOD, NVMe, AHCI and a disk that cannot be read, at once: as recorded, and the disks are as they were."""
    commands = [
        ["slipway-install", "inventory"],
        ["slipway-install", "check", "--purpose", "ceph", "--json"],
        ["slipway-install", "check", "--purpose", "system"],
        ["env", "PYTHONPATH=/usr/lib/slipway", "python3", "-c", MEASURE],
    ]
    guest = GuestProgram(module="run_commands", parameters={"commands": commands})
    spec = build_spec(NAME, MACHINES[NAME], lab.folder, lab.iso, guest)
    before = {disk.path: content_digest(disk.path) for disk in spec.disks}
    with lab.vm(spec) as vm:
        inventory, ceph, system, measured = (vm.report.wait("output", RECORD_SECONDS) for _ in commands)
        lab.timings.add("inventory: the command", _seconds(inventory))
        lab.timings.add("inventory: reading eight disks on five controllers", float(str(measured["stdout"])))
    recorded = json.loads((RECORDED / NAME / "inventory.json").read_text(encoding="utf-8"))
    assert comparable(json.loads(str(inventory["stdout"]))) == comparable(recorded)
    assert float(str(measured["stdout"])) < LIMIT_SECONDS
    assert ceph["status"] == 3
    findings = json.loads(str(ceph["stdout"]))["findings"]
    wanted = run_checks(parse_inventory(json.dumps(recorded)), "ceph")
    assert _troubles(findings) == _troubles([finding.model_dump() for finding in wanted]) != []
    assert system["status"] == 0, system["stdout"]
    (lab.folder / "check.txt").write_text(str(system["stdout"]), encoding="utf-8")
    assert {path: content_digest(path) for path in before} == before


def _seconds(message: dict[str, object]) -> float:
    return cast("float", message["seconds"])


def _troubles(findings: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return sorted((f["id"], f["severity"], f["device"]) for f in findings if f["severity"] != "ok")


def comparable(inventory: dict[str, Any]) -> dict[str, Any]:
    """Give what must be the same whenever this machine is started."""
    return {
        "schema": inventory["schema"],
        "firmware": inventory["firmware"],
        "tpm": inventory["tpm"],
        "controllers": inventory["controllers"],
        "disks": {disk["serial"]: _without(disk, VOLATILE) for disk in inventory["disks"]},
        "nics": [_without(nic, ("udev", "neighbour")) for nic in inventory["nics"]],
    }


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    return [_without(item, keys) for item in value] if isinstance(value, list) else value
