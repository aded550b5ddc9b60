"""The `slipway` command of a node."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hostlib.errors import ExitStatus, SlipwayError
from hostlib.paths import RELEASE
from hostlib.release import read_release, render_release


def main(arguments: Sequence[str], release_path: Path = RELEASE) -> ExitStatus:
    """Run the command with `arguments` (without the program's name) and give its exit status."""
    options = _parser().parse_args(arguments)
    try:
        release = read_release(release_path)
    except SlipwayError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    if options.json:
        left_out = None if options.packages else {"packages"}
        text = json.dumps(release.model_dump(exclude=left_out), indent=2) + "\n"
    else:
        text = render_release(release, packages=options.packages)
    sys.stdout.write(text)
    return ExitStatus.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipway", description="Manage this Slipway node.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    version = verbs.add_parser("version", help="show which build this node runs")
    version.add_argument("--json", action="store_true", help="print JSON")
    version.add_argument("--packages", action="store_true", help="list the Debian packages of the build too")
    return parser
