import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from hostlib.inventory import Disk, parse_inventory, render_inventory

MACHINES = sorted((Path(__file__).parents[1] / "machines").glob("*.json"))


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_recorded_machines_are_valid_and_keep_their_text(path: Path) -> None:
    text = path.read_text()
    assert render_inventory(parse_inventory(text)) + "\n" == text
    assert json.loads(text)["schema"] == 1


@pytest.mark.parametrize("change", [{"schema": 2}, {"disk": []}, {"memory_bytes": None}])
def test_an_inventory_that_is_not_understood_is_refused(change: dict[str, object]) -> None:
    recorded = json.loads(MACHINES[0].read_text())
    with pytest.raises(ValidationError):
        parse_inventory(json.dumps({**recorded, **change}))


def test_a_disk_is_named_by_id_where_udev_gave_one() -> None:
    disk = Disk(name="vda", path="/dev/vda", size_bytes=1)
    assert disk.stable_path == "/dev/vda"
    named = disk.model_copy(update={"ids": ("virtio-SLIPWAY0", "wwn-0x1")})
    assert named.stable_path == "/dev/disk/by-id/virtio-SLIPWAY0"


def test_an_inventory_is_frozen() -> None:
    inventory = parse_inventory(MACHINES[0].read_text())
    with pytest.raises(ValidationError, match="frozen"):
        inventory.memory_bytes = 0
