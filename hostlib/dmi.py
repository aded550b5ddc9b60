"""Which machine this is, by SMBIOS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hostlib.files import read_if_there
from hostlib.record import Dmi

_DMI: Final = Path("sys/class/dmi/id")
_UNSET: Final = re.compile(
    r"|[0f.\s-]+|not specified|not applicable|none|unknown|default string|system serial number|to be filled by o\.e\.m\.?",
    re.IGNORECASE,
)
"""What firmware gives that was never told; QEMU too, where it is given no serial or UUID."""


def read_dmi(root: Path = Path("/")) -> Dmi:
    """Read the machine's identity. The serial and the UUID are readable by root only."""

    def value(name: str) -> str:
        return read_if_there(root / _DMI / name) or ""

    return Dmi(
        vendor=value("sys_vendor"),
        product=value("product_name"),
        serial=value("product_serial"),
        uuid=value("product_uuid").lower(),
    )


def is_other_machine(one: Dmi, other: Dmi) -> bool:
    """Tell whether these are two machines: a UUID or serial that both are known to have differs. Pure."""
    pairs = ((one.uuid.lower(), other.uuid.lower()), (one.serial, other.serial))
    return any(a != b and not _UNSET.fullmatch(a) and not _UNSET.fullmatch(b) for a, b in pairs)
