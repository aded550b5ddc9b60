"""The status of a node as lines of a screen. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from agent.status import NOT_ENROLLED, Member, Status
from hostlib.errors import printable

COLUMNS, ROWS = 80, 24
LABEL: Final = 13
STATES: Final = {"serving": "good", "rejected": "critical", "removed": "critical", NOT_ENROLLED: ""}
"""State of enrolment -> style; any other is on its way."""
MORE: Final = "slipway status --json"
MEMBERS: Final = 3
"""Lines that the members of a cluster have in any case, of those that there are."""
REASON: Final = 5
"""Lines that the reason has, in which a node comes no further."""


class Line(NamedTuple):
    """A line of the screen."""

    text: str
    style: str = ""
    """`title`, `good`, `warning`, `critical`, or empty."""


def render_status(status: Status, columns: int = COLUMNS, rows: int = ROWS) -> list[Line]:
    """Give at most `rows` lines of at most `columns` characters; what does not fit is counted.

    78 columns and 23 rows are the least in which there is room for everything.
    """
    head = [*_render_node(status, columns), *_render_enrollment(status, columns)]
    cluster, services = _render_cluster(status, columns), _render_services(status, columns)
    widths = [min(24, max((len(text) for text in texts), default=0)) for texts in _member_columns(status)]
    members = [_render_member(member, widths) for member in status.members]
    findings = [
        _render_finding(f"{trouble.level}: {trouble}", trouble.level, columns)
        for trouble in status.health.troubles
    ]
    room = rows - len(head) - len(services) - 2
    lines_of_findings = sum(map(len, findings))
    for_members = min(len(members), max(min(MEMBERS, room // 2), room - lines_of_findings))
    lines = [
        *head,
        cluster,
        *_cut([[line] for line in members], for_members),
        *services,
        _render_summary(status),
        *_cut(findings, room - for_members),
    ]
    return [Line(printable(line.text)[:columns].rstrip(), line.style) for line in lines[:rows]]


def _cut(blocks: Sequence[list[Line]], room: int) -> list[Line]:
    """Give whole blocks as long as there is room, and how many are left out."""
    if sum(map(len, blocks)) <= room:
        return [line for block in blocks for line in block]
    lines: list[Line] = []
    for number, block in enumerate(blocks):
        if len(lines) + len(block) > room - 1:
            return [*lines, Line(f"  and {len(blocks) - number} more: {MORE}")]
        lines += block
    return lines


def _labelled(label: str, text: str, style: str, columns: int, max_lines: int = 2) -> list[Line]:
    # A terminal shows blanks where a line ends; cut words would be read as whole ones.
    wrapped = textwrap.wrap(printable(text), columns - LABEL, max_lines=max_lines, placeholder=" ...") or [""]
    labels = [label, *[""] * (len(wrapped) - 1)]
    return [Line(f"{name:{LABEL}}{part}", style) for name, part in zip(labels, wrapped, strict=True)]


def _render_node(status: Status, columns: int) -> list[Line]:
    addresses = ", ".join(f"{address.address} ({address.interface})" for address in status.addresses)
    lines = [
        Line(f"{status.version} on {status.name}", "title"),
        Line(""),
        *_labelled("Address", addresses or "none", "" if addresses else "critical", columns),
    ]
    labels = {"web_console": "Web console", "incus": "Incus API"}
    lines += [Line(f"{labels[name]:{LABEL}}{url}") for name, url in status.urls.items()]
    if status.certificate:
        half = len(status.certificate) // 2 + 1
        lines.append(Line(f"{'Certificate':{LABEL}}SHA-256 {status.certificate[:half]}"))
        lines.append(Line(f"{'':{LABEL + 8}}{status.certificate[half:]}"))
    if status.ssh_key:
        lines.append(Line(f"{'SSH host key':{LABEL}}{status.ssh_key} (ED25519)"))
    if not status.first_boot_done:
        text = "not finished; look: journalctl -u slipway-firstboot"
        lines += _labelled("First boot", text, "warning", columns)
    return lines


def _render_enrollment(status: Status, columns: int) -> list[Line]:
    enrollment = status.enrollment
    style = STATES.get(enrollment.state, "warning")
    head = enrollment.state + (f", node {enrollment.id}" if enrollment.id else "")
    lines = _labelled("Enrolment", head, style, columns, 1)
    if enrollment.state not in {"serving", NOT_ENROLLED} and enrollment.urls:
        lines += _labelled("", f"asks {', '.join(enrollment.urls)}", "", columns, 1)
    if not enrollment.reason:
        return lines
    # What to do stands at its end; a node without members has room for all of it.
    most = 2 if status.members else REASON
    return lines + _labelled("", enrollment.reason, "warning" if style == "good" else style, columns, most)


def _render_cluster(status: Status, columns: int) -> Line:
    if status.cluster_trouble:
        return _labelled("Cluster", status.cluster_trouble, "warning", columns, 1)[0]
    if not status.members:
        return Line(f"{'Cluster':{LABEL}}none: this node is on its own")
    away = sum(member.status != "Online" for member in status.members)
    text = f"{'Cluster':{LABEL}}{_count(len(status.members), 'member')}"
    return Line(
        f"{text}, {away} not online" if away else f"{text}, all online", "warning" if away else "good"
    )


def _member_columns(status: Status) -> tuple[list[str], list[str], list[str]]:
    members = status.members
    return [m.name for m in members], [m.status for m in members], [_host(m) for m in members]


def _host(member: Member) -> str:
    return member.url.removeprefix("https://")


def _render_member(member: Member, widths: Sequence[int]) -> Line:
    online = member.status == "Online"
    # The leader is one of those with a database.
    roles = [role for role in member.roles if role != "database" or "database-leader" not in member.roles]
    more = ", ".join(roles) if online else member.message
    cells = zip((member.name, member.status, _host(member)), widths, strict=True)
    text = "  ".join(f"{cell[:width]:{width}}" for cell, width in cells)
    return Line(f"  {text}  {more}", "" if online else "warning")


def _render_services(status: Status, columns: int) -> list[Line]:
    up = [name for name, state in status.services.items() if state == "active"]
    down = [f"{name} {state}" for name, state in status.services.items() if state != "active"]
    text = "; ".join(filter(None, (", ".join(up), ", ".join(down)))) or "systemd does not say"
    failed = "failed" in status.services.values() or not status.services
    return _labelled("Services", text, "warning" if failed else "", columns)


def _render_summary(status: Status) -> Line:
    levels = Counter(trouble.level for trouble in status.health.troubles)
    parts: Iterable[str] = (
        f"{levels['critical']} critical" if levels["critical"] else "",
        _count(levels["warning"], "warning") if levels["warning"] else "",
    )
    state = status.health.state
    return Line(
        f"{'Findings':{LABEL}}{', '.join(filter(None, parts)) or 'none'}", "good" if state == "ok" else state
    )


def _render_finding(text: str, level: str, columns: int) -> list[Line]:
    wrapped = textwrap.wrap(
        text, columns, initial_indent="  ", subsequent_indent="    ", max_lines=2, placeholder=" ..."
    )
    return [Line(line, level) for line in wrapped]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
