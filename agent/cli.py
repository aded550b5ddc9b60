"""The `slipway` command of a node."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hostlib.command import add_check_options, run_verb
from hostlib.errors import ExitStatus
from hostlib.paths import FINDINGS, RELEASE
from hostlib.release import read_release, render_release
from hostlib.run import SystemRunner


def main(arguments: Sequence[str], release_path: Path = RELEASE, findings_path: Path = FINDINGS) -> int:
    """Run the command with `arguments` (without the program's name) and give its exit status."""
    options = parser().parse_args(arguments)
    verbs = {
        "check": lambda: _check(options, findings_path),
        "version": lambda: _version(options, release_path),
        "status": lambda: _status(as_json=options.json),
        "admin": lambda: _admin(options.name),
        "firewall": _firewall,
        "token": lambda: _token(options),
        "node": lambda: _node(options),
        "ca": lambda: _ca(options),
        "network": lambda: _network(options),
        "serve": _serve,
    }
    return run_verb("slipway", verbs[options.verb], debug=options.debug)


def parser() -> argparse.ArgumentParser:
    """Give the parser of the command line."""
    top = argparse.ArgumentParser(prog="slipway", description="Manage this Slipway node.")
    top.add_argument("--debug", action="store_true", help="show where in the program an internal error is")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    check = verbs.add_parser(
        "check",
        help="check the hardware of this node",
        description="Check the hardware of this node. Exit status 3 when something blocks, but not with --save.",
    )
    add_check_options(check)
    form = check.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--save",
        action="store_true",
        help=f"what the daily timer does: write the findings to {FINDINGS}, print them for the journal",
    )
    version = verbs.add_parser("version", help="show which build this node runs")
    version.add_argument("--json", action="store_true", help="print JSON")
    version.add_argument("--packages", action="store_true", help="list the Debian packages of the build too")
    status = verbs.add_parser("status", help="show this node and its cluster in one screen")
    status.add_argument("--json", action="store_true", help="print JSON, with all findings")
    verbs.add_parser("serve", help="be the daemon of this node: what slipway-agent.service runs")
    admin = verbs.add_parser("admin", help="manage who may use the Incus API").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    add = admin.add_parser("add", help="print a token with which one client becomes administrator")
    add.add_argument("name", metavar="NAME", help="what Incus calls the client")
    firewall = verbs.add_parser("firewall", help="look at what may reach this node")
    firewall.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser(
        "show", help="print the rules that are in effect"
    )
    _add_token(verbs.add_parser("token", help="manage who may become a node of this cluster"))
    _add_node(verbs.add_parser("node", help="manage the nodes of this cluster, and those that want to be"))
    _add_ca(verbs.add_parser("ca", help="manage the cluster's certificate authority"))
    _add_network(verbs.add_parser("network", help="look at this node's network, and change it on trial"))
    return top


def _add_token(token: argparse.ArgumentParser) -> None:
    actions = token.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser(
        "create",
        help="print the line with which nodes join",
        description="Make a token and print the line that holds it, the members' addresses and the CA's fingerprint.",
    )
    create.add_argument(
        "--uses", type=int, default=1, metavar="N", help="how many nodes may use it (default: 1)"
    )
    create.add_argument("--expires", default="24h", metavar="TIME", help="90m, 24h, 7d (default: 24h)")
    create.add_argument(
        "--match",
        default="",
        metavar="RULES",
        help="for these machines alone: serial=...,mac=...,subnet=..., each as often as needed",
    )
    create.add_argument(
        "--approve",
        choices=["auto", "manual"],
        default="auto",
        help="manual: each node waits for `slipway node approve` (default: auto)",
    )
    create.add_argument("--json", action="store_true", help="print JSON")
    listed = actions.add_parser("list", help="list the tokens")
    listed.add_argument("--json", action="store_true", help="print JSON")
    revoke = actions.add_parser("revoke", help="make tokens useless; nodes that used them stay")
    revoke.add_argument("ids", nargs="+", metavar="ID")


def _add_node(node: argparse.ArgumentParser) -> None:
    actions = node.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="list the nodes, those that wait for approval first")
    listed.add_argument("--json", action="store_true", help="print JSON, with those that were removed")
    named = {
        "show": "print all that is known of a node",
        "approve": "let a node in that waits",
        "reject": "turn a node away that is not in the cluster",
        "remove": "take a node out of the cluster",
    }
    for name, text in named.items():
        action = actions.add_parser(name, help=text)
        action.add_argument(
            "name", metavar="NAME", help="FQDN, host name, or 8 characters of the id at least"
        )
        if name == "remove":
            action.add_argument(
                "--force", action="store_true", help="give up the guests of a node that is offline for good"
            )


def _add_ca(ca: argparse.ArgumentParser) -> None:
    actions = ca.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print the CAs that nodes trust")
    show.add_argument("--json", action="store_true", help="print JSON")
    rotate = actions.add_parser("rotate", help="make a new CA; the old one stays trusted for three months")
    rotate.add_argument(
        "--key-lost", action="store_true", help="no member has the key of the CA that has signed so far"
    )


def _add_network(network: argparse.ArgumentParser) -> None:
    actions = network.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("show", help="print the configuration, and what of it is not in effect")
    apply = actions.add_parser("apply", help="put /etc/network/interfaces into effect on trial")
    apply.add_argument(
        "--confirm-within",
        type=int,
        default=60,
        metavar="SECONDS",
        help="when the one before comes back unless it is confirmed (default: 60)",
    )
    actions.add_parser("confirm", help="keep what is on trial")
    actions.add_parser("return", help="end the trial now")


def _status(*, as_json: bool) -> ExitStatus:
    from agent.health_read import read_health  # noqa: PLC0415 - as in `_check`
    from agent.status import read_status, render_status_json  # noqa: PLC0415
    from agent.status_render import COLUMNS, ROWS, render_status  # noqa: PLC0415

    runner = SystemRunner()
    status = read_status(runner, lambda: read_health(runner, datetime.now(tz=UTC)))
    if as_json:
        sys.stdout.write(render_status_json(status))
        return ExitStatus.DONE
    size = shutil.get_terminal_size((COLUMNS, ROWS))
    # The shell's prompt takes the last line.
    lines = render_status(status, max(COLUMNS, size.columns), max(ROWS, size.lines) - 1)
    sys.stdout.write("".join(f"{line.text}\n" for line in lines))
    return ExitStatus.DONE


def _admin(name: str) -> ExitStatus:
    from agent.admin import run_admin_add  # noqa: PLC0415 - as in `_check`

    return run_admin_add(name, SystemRunner())


def _serve() -> ExitStatus:
    from agent.serve import run_serve  # noqa: PLC0415 - as in `_check`

    return run_serve()


def _firewall() -> ExitStatus:
    from agent.admin import run_firewall_show  # noqa: PLC0415 - as in `_check`

    return run_firewall_show(SystemRunner())


def _token(options: argparse.Namespace) -> ExitStatus:
    from agent import token_command  # noqa: PLC0415 - as in `_check`
    from agent.member import open_member  # noqa: PLC0415

    member = open_member(SystemRunner())
    match options.action:
        case "list":
            return token_command.run_token_list(member, as_json=options.json)
        case "revoke":
            return token_command.run_token_revoke(member, options.ids)
        case _:
            return token_command.run_token_create(
                member,
                uses=options.uses,
                expires=options.expires,
                match=options.match,
                approval=options.approve,
                as_json=options.json,
            )


def _node(options: argparse.Namespace) -> ExitStatus:
    from agent import node_command  # noqa: PLC0415 - as in `_check`
    from agent.member import open_member  # noqa: PLC0415

    member = open_member(SystemRunner())
    match options.action:
        case "list":
            return node_command.run_node_list(member, as_json=options.json)
        case "show":
            return node_command.run_node_show(member, options.name)
        case "approve":
            return node_command.run_node_approve(member, options.name)
        case "reject":
            return node_command.run_node_reject(member, options.name)
        case _:
            return node_command.run_node_remove(member, options.name, force=options.force)


def _ca(options: argparse.Namespace) -> ExitStatus:
    from agent import ca_command  # noqa: PLC0415 - as in `_check`
    from agent.member import open_member  # noqa: PLC0415

    member = open_member(SystemRunner())
    if options.action == "show":
        return ca_command.run_ca_show(member, as_json=options.json)
    return ca_command.run_ca_rotate(member, key_lost=options.key_lost)


def _network(options: argparse.Namespace) -> ExitStatus:
    from agent import network_command  # noqa: PLC0415 - as in `_check`

    network = network_command.Network(SystemRunner())
    match options.action:
        case "show":
            return network_command.run_network_show(network)
        case "apply":
            return network_command.run_network_apply(network, options.confirm_within)
        case "confirm":
            return network_command.run_network_confirm(network)
        case _:
            return network_command.run_network_return(network)


def _check(options: argparse.Namespace, findings_path: Path) -> ExitStatus:
    # Imported here: `slipway version` is asked often and needs none of it.
    from agent.check import run_check, run_saved_check  # noqa: PLC0415

    if options.save:
        return run_saved_check(options.purpose, options.allow, findings_path)
    return run_check(options.purpose, options.allow, as_json=options.json)


def _version(options: argparse.Namespace, release_path: Path) -> ExitStatus:
    release = read_release(release_path)
    if options.json:
        left_out = None if options.packages else {"packages"}
        text = json.dumps(release.model_dump(exclude=left_out), indent=2) + "\n"
    else:
        text = render_release(release, packages=options.packages)
    sys.stdout.write(text)
    return ExitStatus.DONE
