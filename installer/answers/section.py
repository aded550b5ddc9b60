"""What the sections of the answer file have in common. Pure."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from installer.answers.urls import check_fingerprint, check_url
from installer.match import check_pattern

MAX_GIB: Final = 2**30
"""1 EiB: sizes above are slips, and too large to reckon with."""


def _to_kebab(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


class Section(BaseModel):
    """Base of the sections: kebab-case keys, nothing unknown, never changed.

    Rules between keys are validators of the later key, which see only the keys that are right by themselves:
    so that they are told together with what is wrong elsewhere, and never because of it.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_to_kebab, hide_input_in_errors=True
    )


Pattern = Annotated[str, AfterValidator(check_pattern)]
Filter = dict[str, Pattern]
"""Property of udev -> pattern."""
Gib = Annotated[float, Field(strict=True, ge=0, le=MAX_GIB, allow_inf_nan=False)]
Url = Annotated[str, AfterValidator(check_url)]
Fingerprint = Annotated[str, AfterValidator(check_fingerprint)]
