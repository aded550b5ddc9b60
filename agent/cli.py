"""The `slipway` command of a node."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hostlib.command import add_check_options, run_verb
from hostlib.errors import ExitStatus
from hostlib.paths import FINDINGS, RELEASE
from hostlib.release import read_release, render_release


def main(arguments: Sequence[str], release_path: Path = RELEASE, findings_path: Path = FINDINGS) -> int:
    """Run the command with `arguments` (without the program's name) and give its exit status."""
    options = parser().parse_args(arguments)
    verbs = {
        "check": lambda: _check(options, findings_path),
        "version": lambda: _version(options, release_path),
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
    return top


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
