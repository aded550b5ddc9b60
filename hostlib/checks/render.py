"""Findings as text for a console of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from hostlib.finding import Finding, Severity

_MARKS: Final[dict[Severity, str]] = {"blocking": "BLOCKING", "warning": "warning", "ok": "ok"}
_COLUMNS: Final = 79
_INDENT: Final = " " * 10


def render_findings(findings: Sequence[Finding]) -> str:
    """Give the findings, the worst first: what is wrong with which devices, and on the next line what to do.

    Devices of one check with the same complaint share its text. What the
    answer allows is marked `allowed` and comes after what blocks.
    """
    order = list(_MARKS)

    def key(finding: Finding) -> tuple[int, bool, str, str]:
        return order.index(finding.severity), finding.allowed, finding.id, finding.todo

    ids = list(dict.fromkeys(finding.id for finding in findings))
    ordered = sorted(findings, key=lambda finding: (*key(finding)[:2], ids.index(finding.id), finding.todo))
    lines = [line for _, group in groupby(ordered, key) for line in _render_group(list(group))]
    return "".join(f"{_printable(line)}\n" for line in lines)


def _render_group(group: Sequence[Finding]) -> Iterator[str]:
    first = group[0]
    if first.severity == "ok":
        for finding in group:
            text = f"{finding.device}: {finding.text} ({finding.measured})"
            yield from _wrap(text, f"{'ok':<8}  ", _INDENT)
        return
    mark = "allowed" if first.allowed else _MARKS[first.severity]
    yield f"{mark:<8}  {first.id}"
    if len(group) == 1:
        yield from _wrap(f"{first.device}: {first.text} ({first.measured})", _INDENT, _INDENT)
    else:
        yield from _wrap(f"each of these {len(group)} {first.text}:", _INDENT, _INDENT)
        for finding in group:
            yield from _wrap(f"{finding.device} ({finding.measured})", f"{_INDENT}  ", f"{_INDENT}    ")
    yield from _wrap(first.todo, f"{_INDENT}-> ", f"{_INDENT}   ")


def _wrap(text: str, first: str, rest: str) -> Iterable[str]:
    # A path or a command that is broken cannot be copied.
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _printable(line: str) -> str:
    """Models, serial numbers and labels come from hardware and may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
