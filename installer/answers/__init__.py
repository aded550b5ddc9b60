"""The answer file: its model, and the parser that says all that is wrong with one at once."""

from installer.answers.model import Answers, DiskSetup, Global, LvmOptions, Network, render_schema
from installer.answers.parse import parse_answers
from installer.answers.tables import KEYBOARDS

__all__ = [
    "KEYBOARDS",
    "Answers",
    "DiskSetup",
    "Global",
    "LvmOptions",
    "Network",
    "parse_answers",
    "render_schema",
]
