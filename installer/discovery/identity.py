"""What an answer server is told about this machine: the peer's document, version 1.0, with our inventory added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hostlib.files import read_if_there
from hostlib.inventory import Inventory
from hostlib.paths import PRODUCT
from hostlib.release import Release

DMI: Final = Path("/sys/class/dmi/id")
DMI_FILES: Final[Mapping[str, Mapping[str, str]]] = {
    "system": {
        "serial": "product_serial",
        "sku": "product_sku",
        "uuid": "product_uuid",
        "name": "product_name",
    },
    "baseboard": {"asset_tag": "board_asset_tag", "serial": "board_serial", "name": "board_name"},
    "chassis": {"serial": "chassis_serial", "sku": "chassis_sku", "asset_tag": "chassis_asset_tag"},
}
"""Group -> key -> file of the kernel."""

DmiGroups = dict[str, dict[str, str]]


def read_dmi_groups(folder: Path = DMI) -> DmiGroups:
    """Read the machine's identity; what the firmware does not give is left out."""
    return {
        group: {
            key: text for key, name in files.items() if (text := read_if_there(folder / name)) is not None
        }
        for group, files in DMI_FILES.items()
    }


def render_identity(inventory: Inventory, dmi: DmiGroups, release: Release) -> bytes:
    """Give the JSON document that is sent with POST; our own part stands under `slipway`."""
    document: dict[str, Any] = {
        "$schema": {"version": "1.0"},
        "product": {"fullname": PRODUCT, "product": PRODUCT.lower(), "enable_btrfs": False},
        "iso": {"release": release.version, "isorelease": release.commit},
        "dmi": dmi,
        "network_interfaces": [{"link": nic.name, "mac": nic.mac.upper()} for nic in inventory.nics],
        "slipway": {
            "version": release.version,
            "inventory": inventory.model_dump(mode="json", by_alias=True),
        },
    }
    return json.dumps(document, ensure_ascii=False).encode()
