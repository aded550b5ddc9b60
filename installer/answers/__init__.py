"""The answer file: its model, and the parser that says all that is wrong with one at once."""

from installer.answers.disks import BtrfsOptions, DiskSetup, LvmOptions, Match, ZfsOptions
from installer.answers.enrollment import Enrollment
from installer.answers.model import Answers, FirstBoot, Global, Network, Report, Webhook, render_schema
from installer.answers.parse import parse_answers, parse_report
from installer.answers.tables import KEYBOARDS

__all__ = [
    "KEYBOARDS",
    "Answers",
    "BtrfsOptions",
    "DiskSetup",
    "Enrollment",
    "FirstBoot",
    "Global",
    "LvmOptions",
    "Match",
    "Network",
    "Report",
    "Webhook",
    "ZfsOptions",
    "parse_answers",
    "parse_report",
    "render_schema",
]
