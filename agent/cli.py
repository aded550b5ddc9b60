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
    return top


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
