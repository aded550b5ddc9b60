"""The base of all records that are stored or sent as JSON, and the one that names a machine.

They stand apart from the inventory, whose many models take a second to be made under emulation: a node's services,
its commands and its first boot need only these.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of the frozen, closed records that are stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Dmi(Record):
    """Identity of the machine from SMBIOS."""

    vendor: str = ""
    product: str = ""
    serial: str = ""
    uuid: str = ""
