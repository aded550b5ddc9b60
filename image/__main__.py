"""`python3 -m image VERB`: the build, and what is done to an ISO afterwards. `make` calls it."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from hostlib.errors import ExitStatus, SlipwayError
from hostlib.run import SystemRunner
from image.answer import Source, read_content
from image.build import LEVELS, Build, run_build
from image.netboot import run_netboot
from image.remaster import find_xorriso, write_answer_iso
from image.report import Report


def main() -> int:
    """Run one verb; give the exit status."""
    options = _parser().parse_args()
    subject = "answer" if options.verb == "answer" else "build"
    verb: Callable[[argparse.Namespace, Report], None] = options.run
    try:
        verb(options, Report())
    except SlipwayError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(
            f"{error.filename or subject}: {error.strerror}; see whether the disk is full or read-only",
            file=sys.stderr,
        )
        return ExitStatus.BUG
    except KeyboardInterrupt:
        print(f"{subject}: interrupted; run the same command again to go on", file=sys.stderr)
        return ExitStatus.BUG
    return ExitStatus.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m image", description="Builds Slipway's ISO, and puts answers on it."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    _add_iso(verbs)
    _add_netboot(verbs)
    _add_answer(verbs)
    return parser


def _add_iso(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    iso = verbs.add_parser("iso", help="write out/slipway-<version>-amd64.iso")
    iso.add_argument("--profile", choices=sorted(LEVELS), default="release")
    iso.add_argument("--answer", type=_path, metavar="FILE", help="make a second ISO with this answer file")
    iso.set_defaults(run=_iso)


def _add_netboot(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    netboot = verbs.add_parser("netboot", help="write out/netboot/, what a TFTP and an HTTP server give out")
    netboot.add_argument("--profile", choices=sorted(LEVELS), default="release")
    netboot.set_defaults(run=_netboot)


def _add_answer(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "copy an ISO with an answer file on it, or with where to fetch the answer"
    answer = verbs.add_parser("answer", help=text, description=text)
    answer.add_argument("iso", type=_path, help="ISO that `make iso` made; it is not changed")
    answer.add_argument("file", type=_path, nargs="?", help="answer file")
    answer.add_argument("--url", default="", help="fetch the answer from this http or https URL")
    answer.add_argument(
        "--fingerprint",
        default="",
        metavar="SHA256",
        help="of the server's certificate; replaces CA and name",
    )
    answer.add_argument(
        "--token-file", default="", metavar="FILE", help="holds the bearer token for the server; - for stdin"
    )
    answer.add_argument("--method", choices=["get", "post"], default="", help="how to ask the server")
    answer.add_argument("--label", default="", help="take the answer from the volume of this label only")
    answer.add_argument(
        "--first-boot", type=_path, metavar="FILE", help="hook that the answer's first-boot asks for"
    )
    answer.add_argument("--output", type=_path, metavar="ISO", help="the new ISO; default: <iso>-answer.iso")
    answer.set_defaults(run=_answer)


def _path(text: str) -> Path:
    """Read a path; `~` too, which a shell does not replace in the middle of a word such as ANSWER=~/file."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


def _iso(options: argparse.Namespace, report: Report) -> None:
    build = Build(Path.cwd(), options.profile, SystemRunner(), report)
    # Read before the build, so that a wrong answer is told at once.
    content = _read(Source(answer=options.answer), build.project, report) if options.answer else None
    iso = run_build(build)
    if content:
        xorriso = find_xorriso(build.runner, build.project)
        write_answer_iso(iso, None, content, xorriso=xorriso, report=report)


def _netboot(options: argparse.Namespace, report: Report) -> None:
    run_netboot(Build(Path.cwd(), options.profile, SystemRunner(), report))


def _answer(options: argparse.Namespace, report: Report) -> None:
    source = Source(
        answer=options.file,
        url=options.url,
        label=options.label,
        fingerprint=options.fingerprint,
        token_file=options.token_file,
        method=options.method,
        first_boot=options.first_boot,
    )
    project = Path(__file__).resolve().parents[1]
    content = _read(source, project, report)
    xorriso = find_xorriso(SystemRunner(), project)
    write_answer_iso(options.iso, options.output, content, xorriso=xorriso, report=report)


def _read(source: Source, project: Path, report: Report) -> dict[str, bytes]:
    return read_content(
        source, runner=SystemRunner(), project=project, warn=lambda text: report.say(f"warning: {text}")
    )


if __name__ == "__main__":
    # Ended from outside, it must end mkosi too, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
