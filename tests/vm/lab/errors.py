"""What can go wrong in the lab itself, apart from a failed assertion of a test."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot do what was asked: a program is missing, QEMU refused, an input is wrong."""


class LabTimeout(LabError):  # noqa: N818 - the name says it
    """Something was awaited and did not come in time. The text holds what the machine last showed."""


class MachineDied(LabError):  # noqa: N818 - the name says it
    """QEMU ended while something was awaited from its guest."""
