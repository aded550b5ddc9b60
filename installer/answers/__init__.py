"""The answer file: its model, its reading, and every rule that needs no machine."""

from __future__ import annotations

from installer.answers.model import (
    Answers,
    DiskSetup,
    FqdnFromDhcp,
    GlobalSection,
    LvmOptions,
    NetworkFromAnswer,
    NetworkFromDhcp,
    Pinning,
)
from installer.answers.parse import parse_answers, read_answers, render_schema, validate_document
from installer.data.countries import COUNTRIES
from installer.data.keyboards import KEYBOARDS

__all__ = [
    "COUNTRIES",
    "KEYBOARDS",
    "Answers",
    "DiskSetup",
    "FqdnFromDhcp",
    "GlobalSection",
    "LvmOptions",
    "NetworkFromAnswer",
    "NetworkFromDhcp",
    "Pinning",
    "parse_answers",
    "read_answers",
    "render_schema",
    "validate_document",
]
