"""What a person has been shown and agrees to, and whether it is still what would be done. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hostlib.errors import CheckBlocksError, Problem
from hostlib.inventory import Content, Disk, Inventory
from installer.config import InstallConfig
from installer.tui.check import parse_draft, resolve_draft
from installer.tui.controller import Intent
from installer.tui.draft import Draft
from installer.tui.views import disk_at, view_intent

TOLD: Final = 3
"""How many differences are told; one is enough to look again."""
WORDS: Final = {"target": "disk", "rename_vgs": "new name of volume group"}
"""Fields of InstallConfig by words that say more than their names."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the summary shows, and what it stands for: that is installed, or nothing."""

    draft: Draft
    intent: Intent
    config: InstallConfig
    disk: Disk


def make_agreement(draft: Draft, machine: Inventory) -> Agreement:
    """Give what the draft leads to on this machine. Raises UserError with every problem."""
    config = resolve_draft(draft, machine)
    disk = disk_at(machine, config.target.path)
    if disk is None:
        raise ValueError(f"the resolver chose {config.target.path}, which this machine lacks")
    return Agreement(draft, view_intent(config, machine, parse_draft(draft)[1]), config, disk)


def check_agreed(agreed: Agreement, config: InstallConfig, machine: Inventory) -> None:
    """Raise CheckBlocksError unless this is what a person has been shown; `machine` is as it was read just now."""
    seen = _facts(agreed.config, agreed.disk)
    now = _facts(config, disk_at(machine, config.target.path))
    names = [name for name in {**seen, **now} if seen.get(name) != now.get(name)]
    if not names:
        return
    changes = [
        f"{_worded(name)} was {_value(seen, name)} and is {_value(now, name)}" for name in names[:TOLD]
    ]
    more = [f"and {len(names) - TOLD} more"] if len(names) > TOLD else []
    what = f"this is not what the summary showed: {', '.join([*changes, *more])}"
    raise CheckBlocksError(Problem(config.target.path, what, "try again and look at the summary"))


def _facts(config: InstallConfig, disk: Disk | None) -> dict[str, object]:
    """Give all that matters by its place. The names of new VGs follow from the old ones' UUIDs: nothing is random."""
    found = {"target.contents": tuple(map(_content, disk.contents)), "target.wwn": disk.wwn} if disk else {}
    # The warnings tell of the same facts, some with values that differ each time they are measured. What of the
    # checks that the draft allows has found something depends on a drive that may answer only sometimes.
    return found | _flat(config.model_dump(exclude={"warnings", "allowed_checks"}))


def _content(content: Content) -> str:
    texts = (f"{content.device}: {content.type}", content.label, content.vg, content.vg_uuid, content.uuid)
    mounted = f"mounted on {', '.join(content.mountpoints)}" if content.mountpoints else ""
    return " ".join(text for text in (*texts, *content.vg_tags, mounted) if text)


def _flat(values: Mapping[str, object], place: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in values.items():
        inner = f"{place}{key}"
        found |= _flat(value, f"{inner}.") if isinstance(value, Mapping) else {inner: value}
    return found


def _worded(name: str) -> str:
    head, _, rest = name.partition(".")
    return f"{WORDS.get(head, head)} {rest}".strip().replace("_", " ")


def _value(facts: Mapping[str, object], name: str) -> str:
    value = facts.get(name)
    if isinstance(value, tuple):
        value = "; ".join(str(part) for part in value)
    # A password, which cannot differ, would show itself as asterisks.
    return f"'{value}'" if value not in {None, ""} else "nothing"
