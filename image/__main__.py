"""`python3 -m image VERB`: the build. `make` calls it."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from hostlib.errors import ExitStatus, SlipwayError
from hostlib.run import SystemRunner
from image.build import LEVELS, Build, run_build
from image.report import Report


def main() -> int:
    """Run one verb; give the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m image", description="Builds Slipway's ISO.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    iso = verbs.add_parser("iso", help="write out/slipway-<version>-amd64.iso")
    iso.add_argument("--profile", choices=sorted(LEVELS), default="release")
    options = parser.parse_args()
    try:
        run_build(Build(Path.cwd(), options.profile, SystemRunner(), Report()))
    except SlipwayError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(
            f"{error.filename or 'build'}: {error.strerror}; see whether the disk is full or read-only",
            file=sys.stderr,
        )
        return ExitStatus.BUG
    except KeyboardInterrupt:
        print("build: interrupted; run the same command again to go on", file=sys.stderr)
        return ExitStatus.BUG
    return ExitStatus.DONE


if __name__ == "__main__":
    # Ended from outside, it must end mkosi too, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
