"""`slipway node`: the nodes of a cluster, and those that want to be."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from agent.ca import FOLDER, read_ca_key, sign_request
from agent.cluster import remove_member, void_join
from agent.csr import CheckedRequest
from agent.enroll_policy import (
    IN_CLUSTER,
    NAMELESS,
    check_request,
    plan_approve,
    plan_reject,
    plan_remove,
)
from agent.member import Member, parse_ca
from agent.node_names import find_node
from agent.records import NodeRecord, parse_node, parse_nodes, parse_token, render_record
from agent.reports import Sighting, read_reports
from agent.store import Changes, Values
from agent.table import render_table
from hostlib.errors import ExitStatus, Problem, UserError, printable
from hostlib.tls import fingerprint

SCHEMA: Final = 1
LOST_SECONDS: Final = 90
"""A heartbeat comes every 30 s."""


def run_node_list(member: Member, *, as_json: bool) -> ExitStatus:
    """Print the nodes; those members that do not answer are named on standard error."""
    nodes = list(parse_nodes(member.read()).values())
    seen, silent = read_reports(member, member.urls())
    if as_json:
        sys.stdout.write(_render_json(nodes, seen, silent))
        return ExitStatus.DONE
    sys.stdout.write(render_nodes(nodes, seen))
    _tell_silent(silent)
    return ExitStatus.DONE


def _tell_silent(silent: list[str]) -> None:
    for line in silent:
        sys.stderr.write(
            f"{line}\nNodes that tell this member alone how they are seem older than they are.\n"
        )


def render_nodes(nodes: list[NodeRecord], seen: Mapping[str, Sighting]) -> str:
    """Give the nodes as a table: those that wait first, those that were removed as a number."""
    shown = [node for node in nodes if node.state != "removed"]
    shown.sort(key=lambda node: (node.state != "requested", node.state == "rejected", node.facts.fqdn))
    rows = [("NAME", "STATE", "ADDRESS", "SEEN", "HEALTH", "ID")]
    for node in shown:
        mark = "* " if node.state == "requested" else ""
        sighting = seen.get(node.id)
        age = render_age(sighting.age_seconds) if sighting else "-"
        row = (node.facts.fqdn, mark + node.state, node.facts.address, age, _health(sighting), node.id)
        rows.append(row)
    text = render_table(rows)
    if any(node.state == "requested" for node in shown):
        text += "* waits for an administrator: slipway node approve NAME, or slipway node reject NAME\n"
    if removed := len(nodes) - len(shown):
        text += f"{removed} removed before; --json has all\n"
    return text


def render_age(seconds: int) -> str:
    """Give how long ago something was, in one unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _health(sighting: Sighting | None) -> str:
    if sighting is None:
        return "not known"
    heartbeat = sighting.heartbeat
    found = f" ({len(heartbeat.findings)})" if heartbeat.findings else ""
    was = "was " if sighting.age_seconds > LOST_SECONDS else ""
    return f"{was}{heartbeat.state}{found}"


def _render_json(nodes: list[NodeRecord], seen: Mapping[str, Sighting], silent: list[str]) -> str:
    rows = []
    for node in nodes:
        sighting = seen.get(node.id)
        row = node.model_dump(mode="json", exclude={"version", "csr", "certificate"})
        row["seen_seconds_ago"] = sighting.age_seconds if sighting else None
        row["heartbeat"] = sighting.heartbeat.model_dump(mode="json") if sighting else None
        rows.append(row)
    return json.dumps({"schema": SCHEMA, "nodes": rows, "silent": silent}, indent=2) + "\n"


def run_node_show(member: Member, name: str) -> ExitStatus:
    """Print all that is known of a node. Raises UserError."""
    values = member.read()
    node = find_node(parse_nodes(values), name)
    seen, silent = read_reports(member, member.urls())
    token = parse_token(values, node.token) if node.token else None
    sys.stdout.write(render_node(node, seen.get(node.id), "gone" if token is None else token.approval))
    _tell_silent(silent)
    return ExitStatus.DONE


def render_node(node: NodeRecord, sighting: Sighting | None, approval: str) -> str:
    """Give all that is known of a node; `approval` is that of its token."""
    facts = node.facts
    lines = [
        ("name", facts.fqdn),
        ("id", node.id),
        ("state", f"{node.state}, since {_time(node.changed)}"),
        ("address", facts.address),
        ("asked first", _time(node.requested)),
        ("token", f"{node.token} ({approval})" if node.token else "none: it began the cluster"),
        ("serial number", facts.serial or "-"),
        ("UUID", facts.uuid or "-"),
        ("MAC addresses", ", ".join(facts.macs) or "-"),
        ("installed as", facts.version or "-"),
        ("certificate", fingerprint(node.certificate.encode()) if node.certificate else "none"),
        ("heartbeat", render_age(sighting.age_seconds) if sighting else "no member has one"),
    ]
    if sighting:
        heartbeat = sighting.heartbeat
        lines.append(("health", _health(sighting)))
        lines.append(("release", heartbeat.release or "-"))
        if heartbeat.certificate_expires is not None:
            lines.append(("valid until", _time(heartbeat.certificate_expires)))
        if heartbeat.thin_pool_percent is not None:
            lines.append(("thin pool", f"{heartbeat.thin_pool_percent:.1f} % full"))
        lines += [("finding", finding) for finding in heartbeat.findings]
    return "".join(f"{label:<14} {printable(value)}\n" for label, value in lines)


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def run_node_approve(member: Member, name: str) -> ExitStatus:
    """Let a node in. Raises UserError, StepError when this member cannot sign its certificate."""

    def plan(values: Values) -> tuple[tuple[NodeRecord, NodeRecord], Changes]:
        nodes = parse_nodes(values)
        old = find_node(nodes, name)
        new = plan_approve(old, nodes, member.seconds)
        if new == old:
            return (old, new), {}
        new = new.model_copy(update={"certificate": _sign(member, values, new)})
        return (old, new), render_record(new)

    (old, new), written = member.change(plan)
    if not written:
        sys.stdout.write(f"{_named(new)}: is {new.state} already\n")
    elif old.state == "rejected":
        sys.stdout.write(
            f"{_named(new)}: approved; it stopped asking, so there: systemctl restart slipway-agent\n"
        )
    else:
        sys.stdout.write(f"{_named(new)}: approved; it joins by itself within some minutes\n")
    return ExitStatus.DONE


def _sign(member: Member, values: Values, node: NodeRecord) -> str:
    record = parse_ca(values)
    checked = check_request(node.csr, node.facts)
    if not isinstance(checked, CheckedRequest):
        raise UserError(Problem(_named(node), checked.reason, checked.todo or "install it again"))
    return sign_request(checked, read_ca_key(record, member.path(FOLDER)), record, member.now())


def run_node_reject(member: Member, name: str) -> ExitStatus:
    """Turn a node away that is not in the cluster. Raises UserError."""
    known = {one.server_name.lower() for one in member.incus.read_members()}

    def plan(values: Values) -> tuple[NodeRecord, Changes]:
        old = find_node(parse_nodes(values), name)
        new = plan_reject(old, member.seconds)
        if old.state == "approved" and old.hostname in known:
            what = "it is just joining: Incus has it as a member"
            raise UserError(Problem(_named(old), what, f"use `slipway node remove {old.id}`"))
        return new, {} if new == old else render_record(new)

    node, written = member.change(plan)
    if _was_let_in(node, member.read()):
        void_join(member.incus, node.hostname)
    sys.stdout.write(
        f"{_named(node)}: {'' if written else 'was '}{node.state}{'' if written else ' already'}\n"
    )
    return ExitStatus.DONE


def run_node_remove(member: Member, name: str, *, force: bool) -> ExitStatus:
    """Take a node out of Incus's cluster, then out of the records: cut in between, it is to be done again.

    Raises UserError when it is this node, StepError when it holds guests; `force` gives up those of one that is offline.
    """
    values = member.read()
    node = find_node(parse_nodes(values), name)
    lost: tuple[str, ...] = ()
    if node.state in {"approved", *IN_CLUSTER} or _was_let_in(node, values):
        lost = _leave_incus(member, node, force=force)

    def plan(values: Values) -> tuple[NodeRecord, Changes]:
        old = parse_node(values, node.id) or node
        new = plan_remove(old, member.seconds)
        return new, {} if new == old else render_record(new)

    removed, written = member.change(plan)
    if _was_let_in(removed, member.read()):
        void_join(member.incus, removed.hostname)
    if lost:
        sys.stdout.write(f"{_named(removed)}: these guests are lost with it: {', '.join(lost)}\n")
    if not written:
        sys.stdout.write(f"{_named(removed)}: was removed already\n")
        return ExitStatus.DONE
    sys.stdout.write(f"{_named(removed)}: removed; to have the machine back, install it again\n")
    if node.state in IN_CLUSTER:
        sys.stdout.write(
            "It had the CA's key and that of Incus's API. If others may get at its disks: slipway ca rotate, and\n"
            "incus cluster update-certificate CERTIFICATE KEY\n"
        )
    return ExitStatus.DONE


def _was_let_in(node: NodeRecord, values: Values) -> bool:
    """Tell whether Incus may know a node that was turned away, by a name that no other has now."""
    names = {other.hostname for other in parse_nodes(values).values() if other.state not in NAMELESS}
    return bool(node.certificate) and node.hostname not in names


def _leave_incus(member: Member, node: NodeRecord, *, force: bool) -> tuple[str, ...]:
    incus = member.incus
    names = [one.server_name for one in incus.read_members()]
    found = next((one for one in names if one.lower() == node.hostname), None)
    if found is None:
        return ()
    if found == member.name:
        if len(names) == 1:
            what = "it is the last member of the cluster"
            todo = "to give the cluster up, install the machine again; guests first: incus export"
        else:
            what = "this is the node that you are on, which cannot take itself out"
            other = next(one for one in names if one != found)
            todo = f"run it on another one, such as {other}: slipway node remove {node.hostname}"
        raise UserError(Problem(_named(node), what, todo))
    return remove_member(incus, found, lose_guests=force)


def _named(node: NodeRecord) -> str:
    return f"node {node.facts.fqdn} ({node.id[:8]})"
