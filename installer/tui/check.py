"""What is wrong with a draft, by field: the messages of the parser and the resolver. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hostlib.errors import Problem, UserError
from hostlib.inventory import Inventory
from hostlib.join_string import JoinString, is_join_string, render_join_string
from hostlib.sizes import GIB, render_size
from installer.answers import Answers, parse_answers
from installer.config import InstallConfig
from installer.resolve import resolve
from installer.tui.draft import PLACES, SIZES, Draft, is_url, render_tables, to_tables

SOURCE: Final = "the screens"
MACHINE: Final = ""
"""Stands for a field: what is wrong with the machine and no field can mend."""
MISSING_TEXTS: Final = {
    "disk": "no disk is chosen; choose one with Enter",
    "nic": "no network card is chosen; choose one with Enter",
    "password": "there is no password for root; type one",
    "keyboard": "no layout is chosen; choose one",
    "country": "no country is chosen; choose one",
    "timezone": "no time zone is chosen; choose one",
    "mailto": "no address is given; give one such as ops@example.test",
    "fqdn": "no name is given; give one such as node1.example.test",
    "cidr": "no address is given; give one such as 192.0.2.10/24",
    "gateway": "no address is given; give the router's, such as 192.0.2.1",
    "dns": "no address is given; give a name server's, such as 192.0.2.1",
    "token": "nothing is given; paste the line that `slipway token create` prints on a member",
}
NO_LINE: Final = (
    "this is not the line; paste all of what `slipway token create` prints, which begins with slipway1."
)
NO_NUMBER: Final = "it is no number; give a size in GiB such as 64 or 7.5, or nothing"
URL_FOR_KEY: Final = "this is a URL; choose Fetch key"
TWO_PASSWORDS: Final = "the two entries differ; type the password again"
RIGHT: Final = Draft(
    disk="none",
    country="at",
    timezone="UTC",
    keyboard="en-us",
    password="long enough",  # noqa: S106 - a value that is right, for a field that is not
    mailto="root@example.test",
    nic="INTERFACE=*",
    fqdn="node.example.test",
    cidr="192.0.2.2/24",
    gateway="192.0.2.1",
    dns="192.0.2.1",
    token=render_join_string(JoinString(("https://192.0.2.1",), "0" * 64, "0" * 64)),
)
"""A value that is right by itself for each field."""


def parse_draft(draft: Draft) -> tuple[Answers, list[str]]:
    """Give the answers and warnings about them. Raises UserError with every problem."""
    return parse_answers(render_tables(to_tables(draft)), SOURCE)


def resolve_draft(draft: Draft, inventory: Inventory) -> InstallConfig:
    """Give all that the draft leads to on this machine. Raises UserError with every problem."""
    return resolve(parse_draft(draft)[0], inventory)


def problems_of(draft: Draft, inventory: Inventory) -> dict[str, str]:
    """Give what is wrong, as field -> `what is wrong; what to do`; the key MACHINE for what is no field's.

    The resolver needs a whole answer. So a field that is wrong by itself is taken as right for the second look, which
    tells what the others lead to on this machine.
    """
    problems = _look(draft, inventory)
    if problems:
        mended = replace(draft, **{name: getattr(RIGHT, name) for name in problems if name})
        if mended != draft:
            problems = _look(mended, inventory) | problems
    if draft.password != draft.password_again and "password" not in problems:
        problems["password_again"] = TWO_PASSWORDS
    problems = _slips(draft, inventory) | problems
    return {field: _worded(draft, field, message) for field, message in problems.items()}


def _slips(draft: Draft, inventory: Inventory) -> dict[str, str]:
    """Give what an answer file may say, but hardly anybody who types it means."""
    found: dict[str, str] = {}
    address = draft.cidr.strip()
    if address and "/" not in address:
        example = f"{address}/{64 if ':' in address else 24}"
        found["cidr"] = f"'{address}' has no prefix length; give one such as {example}"
    disk = next((disk for disk in inventory.disks if disk.stable_path == draft.disk), None)
    size = to_tables(draft)["disk-setup"].get("lvm", {}).get("hdsize")
    if disk and isinstance(size, int | float) and size * GIB > disk.size_bytes:
        has = render_size(disk.size_bytes)
        found["hdsize"] = (
            f"{size} GiB are more than the disk has ({has}); make it smaller, or nothing for all"
        )
    return found


def _look(draft: Draft, inventory: Inventory) -> dict[str, str]:
    try:
        resolve_draft(draft, inventory)
    except UserError as error:
        found: dict[str, str] = {}
        for problem in error.problems:
            # The first is the one that matters; a field has room for one.
            found.setdefault(_field(problem, draft), f"{problem.what}; {problem.todo}")
        return found
    return {}


def _field(problem: Problem, draft: Draft) -> str:
    where = problem.where
    if draft.disk and where.startswith(draft.disk):
        return "disk"
    if where == "disk-setup.lvm":
        return "maxroot" if draft.maxroot else "swapsize"
    if where in {"enrollment.url", "enrollment.fingerprint"}:
        return "token"
    if where == "disk-setup.filter":
        return "disk"
    places = ((place, field) for field, place in PLACES.items())
    fitting = [(place, field) for place, field in places if where.startswith(place)]
    return max(fitting)[1] if fitting else MACHINE


def _worded(draft: Draft, field: str, message: str) -> str:
    """Give the message as it is said to somebody who sees a screen and not an answer file."""
    if not field:
        return message
    value = getattr(draft, field)
    if value == "" and field in MISSING_TEXTS:
        return MISSING_TEXTS[field]
    if field == "ssh_keys" and is_url(value):
        return URL_FOR_KEY
    if field == "token" and not is_join_string(value):
        return NO_LINE
    if field in SIZES and "is a text" in message:
        return NO_NUMBER
    return message
