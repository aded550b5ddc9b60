"""The command `slipway-install`: verbs, their output, and their exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from hostlib.check_report import check_allowed_ids, make_report, render_json, render_report
from hostlib.command import add_check_options, read_this_machine, run_verb
from hostlib.errors import ExitStatus, Problem, UserError
from hostlib.inventory import Inventory, parse_inventory, render_inventory, render_inventory_schema
from hostlib.release import read_release, render_release
from installer.answers import Answers, parse_answers, render_schema
from installer.config import InstallConfig
from installer.redaction import collect_secrets, redact_all
from installer.resolve import check_answers, resolve
from installer.steps.base import Preview
from installer.volumes import read_answer

DEMO_MACHINE = Path(__file__).parents[1] / "examples/machines/nvme-server.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; give the exit status. Expected errors become lines on standard error, never a traceback."""
    options = _parser().parse_args(arguments)
    return run_verb("slipway-install", lambda: options.run(options), debug=options.debug)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipway-install", description="Installs a hypervisor node.")
    parser.add_argument("--debug", action="store_true", help="show where in the program an internal error is")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=text, description=text)
        verb.set_defaults(run=run)
        return verb

    def add_inventory(verb: argparse.ArgumentParser) -> None:
        verb.add_argument(
            "--inventory", type=Path, metavar="FILE", help="a recorded machine instead of this one"
        )

    add("inventory", _inventory, "print this machine as JSON")
    check = add("check", _check, "check this machine")
    add_inventory(check)
    add_check_options(check)
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    validate = add("validate", _validate, "check an answer file; print what it resolves to")
    validate.add_argument("answer", type=Path)
    add_inventory(validate)
    plan = add("plan", _plan, "print the steps of an installation with their commands and files")
    plan.add_argument("answer", type=Path)
    add_inventory(plan)
    schema = add("schema", _schema, "print the JSON Schema of the answer file or of the inventory")
    schema.add_argument(
        "of", choices=["answer", "inventory"], nargs="?", default="answer", help="default: answer"
    )
    install = add("install", _install, "install; erases the disk that the answer names")
    which = install.add_mutually_exclusive_group(required=True)
    which.add_argument("answer", type=Path, nargs="?")
    which.add_argument(
        "--auto", action="store_true", help="find the answer as the live system does when it starts"
    )
    _add_tui(add("tui", _tui, "start the interactive installer"))
    add("live", _live, "do what the kernel command line says (run by the live system)")
    add("version", _version, "print the version")
    return parser


def _add_tui(tui: argparse.ArgumentParser) -> None:
    what = "try it on a recorded machine (default: one of the examples); writes nothing"
    tui.add_argument("--demo", nargs="?", type=Path, const=DEMO_MACHINE, metavar="MACHINE.json", help=what)
    tui.add_argument(
        "--demo-fail", default="", metavar="STEP", help="let this step of the demonstration fail"
    )
    tui.add_argument("--ascii", action="store_true", help="no line-drawing characters, for simple terminals")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            Problem(str(path), f"it cannot be read ({error.strerror})", "check the path")
        ) from None
    except UnicodeDecodeError:
        raise UserError(Problem(str(path), "it is not UTF-8 text", "give a text file")) from None


def _read_answers(path: Path) -> Answers:
    answer = read_answer(path, str(path))
    answers, warnings = parse_answers(answer.text, answer.source)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return answers


def _read_machine(path: Path | None) -> Inventory:
    return read_this_machine()[0] if path is None else _read_recorded(path)


def _read_recorded(path: Path) -> Inventory:
    try:
        return parse_inventory(_read_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"it is no inventory ({f'{where}: ' if where else ''}{first['msg']})"
        raise UserError(Problem(str(path), what, "record one with `slipway-install inventory`")) from None


def _inventory(_options: argparse.Namespace) -> int:
    print(render_inventory(_read_machine(None)))
    return ExitStatus.DONE


def _check(options: argparse.Namespace) -> int:
    check_allowed_ids(options.allow)
    recorded: Path | None = options.inventory
    machine, unread = _read_record_to_check(recorded) if recorded else read_this_machine()
    report = make_report(machine, options.purpose, allow=options.allow, unread=unread)
    sys.stdout.write(render_json(report) if options.json else render_report(machine, report))
    return report.exit_status


def _read_record_to_check(path: Path) -> tuple[Inventory, tuple[str, ...]]:
    """Give a recorded machine, and a line for what cannot be checked because the record is older than the checks."""
    machine = _read_recorded(path)
    if "controllers" in machine.model_fields_set:
        return machine, ()
    line = "the record knows no controllers: RAID volumes and failing drives look like good drives; record it anew"
    print(f"WARNING {path}: {line}", file=sys.stderr)
    return machine, (line,)


def _validate(options: argparse.Namespace) -> int:
    answers = _read_answers(options.answer)
    if options.inventory is None:
        check_answers(answers)
    resolved = answers if options.inventory is None else _resolve(answers, options.inventory)
    print(redact_all(resolved.model_dump_json(by_alias=True, indent=2), collect_secrets(resolved)))
    return ExitStatus.DONE


def _resolve(answers: Answers, inventory: Path | None) -> InstallConfig:
    config = resolve(answers, _read_machine(inventory))
    for warning in config.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return config


def _plan(options: argparse.Namespace) -> int:
    from installer.plan import plan_install  # noqa: PLC0415 - the steps import templates that other verbs do not need

    config = _resolve(_read_answers(options.answer), options.inventory)
    for number, step in enumerate(plan_install(config), start=1):
        print(f"{number}. {step.name}")
        for preview in step.describe():
            print(_render_preview(preview))
    return ExitStatus.DONE


def _render_preview(preview: Preview) -> str:
    import shlex  # noqa: PLC0415 - only here

    if preview.command:
        return f"   $ {shlex.join(preview.command)}"
    body = "".join(f"     | {line}\n" for line in preview.content.splitlines())
    return f"   > {preview.path}\n{body}".rstrip("\n")


def _schema(options: argparse.Namespace) -> int:
    print(render_inventory_schema() if options.of == "inventory" else render_schema(), end="")
    return ExitStatus.DONE


def _install(options: argparse.Namespace) -> int:
    from installer import live  # noqa: PLC0415 - needs a running system

    return live.run_auto() if options.auto else live.run_install_file(str(options.answer))


def _tui(options: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(Problem("tui", "this is no terminal", "start it in one"))
    if options.demo:
        return _demo(options)
    from installer import live  # noqa: PLC0415 - needs a running system

    return live.run_tui(ascii_only=options.ascii)


def _demo(options: argparse.Namespace) -> int:
    # Imported here: other verbs do without urwid.
    from installer.tui.demo import DemoController  # noqa: PLC0415
    from installer.tui.loop import run_here  # noqa: PLC0415
    from installer.tui.place import DEMO  # noqa: PLC0415

    controller = DemoController(_read_machine(options.demo), fail_at=options.demo_fail)
    controller.rescan()
    run_here(controller, ascii_only=options.ascii, place=DEMO)
    return ExitStatus.DONE


def _live(_options: argparse.Namespace) -> int:
    from installer import live  # noqa: PLC0415 - needs a running system

    return live.run_live()


def _version(_options: argparse.Namespace) -> int:
    print(render_release(read_release()), end="")
    return ExitStatus.DONE
