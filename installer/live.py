"""What the live system does once it is up: find an answer and install, or show a person what there is."""

from __future__ import annotations

import ctypes
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyudev

from hostlib.checks import check_target, run_checks
from hostlib.errors import CheckBlocksError, CommandError, ExitStatus, Problem, SlipwayError, UserError
from hostlib.files import read_if_there
from hostlib.inventory import INSTALLED_TAG, Inventory, render_inventory
from hostlib.paths import INSTALL_LOG
from hostlib.probe import read_inventory
from hostlib.release import read_release
from hostlib.run import Runner, SystemRunner
from installer.answers import Answers, parse_answers
from installer.config import InstallConfig
from installer.execute import run_install, unmount_leftovers
from installer.live_consoles import SCREEN, Consoles, open_consoles, parse_consoles
from installer.live_text import (
    render_failure,
    render_intent,
    render_success,
    render_welcome,
)
from installer.plan import plan_install
from installer.progress import Sink, console_sink
from installer.resolve import resolve
from installer.steps.base import Context, Step
from installer.volumes import Answer, find_answer, read_answer

LOG = logging.getLogger("slipway.live")
COUNTDOWN_SECONDS: Final = 10
FAILURE_SECONDS: Final = 30
LEASE_SECONDS: Final = 30
VOLUME_SECONDS: Final = 3
"""How long a USB volume may take to appear after the system is up."""
UNATTENDED_VOLUME_SECONDS: Final = 30
"""The same where an answer must come: nobody is there to try again."""
MCL_CURRENT: Final = 1
WAIT_ONLINE: Final = "/usr/lib/systemd/systemd-networkd-wait-online"
MODES: Final = ("", "auto", "tui", "inventory", "rescue")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An installation that is ready to begin: everything is known and checked, nothing has been written."""

    config: InstallConfig
    plan: Sequence[Step]
    answer: str
    """As JSON without secrets."""
    holds_node: bool = False
    """The target holds a node whose installation has ended well."""


def parse_parameters(cmdline: str) -> dict[str, str]:
    """Give the `slipway.` parameters of a kernel command line, without that prefix."""
    words = (word.removeprefix("slipway.") for word in cmdline.split() if word.startswith("slipway."))
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def read_answers(answer: Answer, warn: Say) -> Answers:
    """Parse an answer. Raises UserError with all problems."""
    answers, warnings = parse_answers(answer.text, answer.source)
    for warning in warnings:
        warn(str(warning))
    return answers


def prepare(answers: Answers, runner: Runner, say: Say) -> Prepared:
    """Turn answers into an installation. Raises UserError with all problems, CheckBlocksError."""
    unmount_leftovers(runner)
    inventory = read_inventory(runner)
    if needs_lease(answers):
        inventory = wait_for_leases(runner, inventory, say)
    config = resolve(answers, inventory)
    target = next(disk for disk in inventory.disks if disk.stable_path == config.target.path)
    for finding in (*run_checks(inventory), *check_target(inventory, target)):
        if finding.severity == "warning":
            say(f"warning: {finding.problem}\n")
    return Prepared(
        config,
        plan_install(config),
        answers.model_dump_json(by_alias=True, indent=2) + "\n",
        any(INSTALLED_TAG in content.vg_tags for content in target.contents),
    )


def wait_for_leases(runner: Runner, inventory: Inventory, say: Say) -> Inventory:
    """Wait for DHCP where that can help; give the machine as it is then."""
    if not inventory.leases:
        say(f"waiting for DHCP, at most {LEASE_SECONDS} s\n")
        inventory = wait_for_lease(runner, inventory, ["--any"])
    leased = {lease.nic for lease in inventory.leases if not lease.gateway}
    waiting = [nic.name for nic in inventory.nics if nic.physical and nic.link and nic.name not in leased]
    if leased and waiting and not any(lease.gateway for lease in inventory.leases):
        # What came first may be the network of a BMC or of a storage system.
        say(f"no gateway by DHCP yet; waiting for {', '.join(waiting)}, at most {LEASE_SECONDS} s\n")
        inventory = wait_for_lease(runner, inventory, [])
    return inventory


def needs_lease(answers: Answers) -> bool:
    """Tell whether the answer takes anything from DHCP."""
    return answers.network.source == "from-dhcp" or not isinstance(answers.global_.fqdn, str)


def wait_for_lease(runner: Runner, inventory: Inventory, which: Sequence[str]) -> Inventory:
    """Wait for addresses, at most LEASE_SECONDS; give the machine as it is then.

    `which` is `--any` to wait for one interface, nothing to wait for all that have a link.
    """
    physical = [nic for nic in inventory.nics if nic.physical]
    nics = [nic for nic in physical if nic.link] or physical
    if not nics:
        return inventory
    options = ("--quiet", *which, "--operational-state=routable", f"--timeout={LEASE_SECONDS}")
    interfaces = (f"--interface={nic.name}" for nic in nics)
    try:
        runner.run([WAIT_ONLINE, *options, *interfaces], ok=(0, 1), timeout_seconds=LEASE_SECONDS + 10)
    except CommandError as error:
        LOG.warning("the network cannot be waited for: %s", error)
    return read_inventory(runner)


def install(prepared: Prepared, runner: Runner, sinks: Sequence[Sink]) -> None:
    """Install what was prepared. Raises StepError, CheckBlocksError."""
    hold_in_memory()
    context = Context(runner=runner, warn=LOG.warning, answer=prepared.answer)
    run_install(prepared.config, prepared.plan, context, sinks)


def hold_in_memory() -> None:
    """Keep this program in memory: it runs from the medium, and must be able to tell that the medium is gone."""
    if ctypes.CDLL(None).mlockall(MCL_CURRENT) != 0:
        LOG.warning("the installer could not be locked into memory")


def wait_for_answer(runner: Runner, wanted: str, seconds: int, warn: Say) -> Answer | None:
    """Find the answer; look again at each change of a block device, for `seconds`. Raises UserError."""
    monitor = pyudev.Monitor.from_netlink(pyudev.Context())
    monitor.filter_by("block")
    monitor.start()
    runner.run(["udevadm", "settle", "--timeout=30"], ok=(0, 1))
    end = time.monotonic() + seconds
    told: set[str] = set()

    def once(text: str) -> None:
        if text not in told:
            told.add(text)
            warn(text)

    while (answer := find_answer(runner, wanted, warn=once)) is None and (rest := end - time.monotonic()) > 0:
        monitor.poll(rest)
    return answer


def no_answer(wanted: str) -> UserError:
    """Give the error of an unattended machine that finds nothing to do."""
    where = f"slipway.answer={wanted}" if wanted else "answer.toml"
    what = "no answer file was found on the live medium or on a volume labelled for it"
    return UserError(
        Problem(where, what, "attach a FAT, ext4 or ISO volume labelled SLIPWAY that holds answer.toml")
    )


def node_problem(config: InstallConfig) -> Problem:
    """Give what stops an unattended installation that would erase a finished node."""
    what = "this disk holds a node that Slipway has installed; it is not erased without being asked"
    todo = (
        "remove the medium to start the node; to erase it, boot with slipway.mode=auto or run "
        "`slipway-install install --auto`"
    )
    return Problem(config.target.path, what, todo)


# The verbs of the command line.


def run_install_file(path: str) -> int:
    """Install from an answer file; give the exit status. The machine is not restarted."""
    return _run_in_terminal(lambda _: read_answer(Path(path), path))


def run_auto() -> int:
    """Find the answer as the live system does, and install; give the exit status. No restart."""
    wanted = parse_parameters(_read_cmdline()).get("answer", "")

    def find(runner: Runner) -> Answer:
        answer = wait_for_answer(runner, wanted, VOLUME_SECONDS, _complain)
        if answer is None:
            raise no_answer(wanted)
        return answer

    return _run_in_terminal(find)


def run_tui() -> int:
    """Show a person what this machine is and how to install; give the exit status."""
    sys.stdout.write(render_welcome(read_inventory(SystemRunner()), read_release().version))
    return ExitStatus.DONE


def _run_in_terminal(find: Callable[[Runner], Answer]) -> int:
    runner = SystemRunner()
    try:
        prepared = prepare(read_answers(find(runner), _complain), runner, _print)
        install(prepared, runner, [console_sink(_print, moving=sys.stdout.isatty())])
    except SlipwayError as error:
        _complain(str(error))
        return error.exit_status
    _print(render_success(prepared.config, restarts=False))
    return ExitStatus.DONE


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


# The service of the live system.


def run_live() -> int:
    """Do what the kernel command line says, on all consoles; give the exit status.

    Run by a service, whose standard output and error go to the journal.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    cmdline = _read_cmdline()
    active = read_if_there(Path("/sys/class/tty/console/active")) or ""
    consoles = open_consoles(parse_consoles(active, cmdline))
    live = Live(SystemRunner(), consoles, parse_parameters(cmdline))
    try:
        return live.run()
    finally:
        consoles.close()


def _read_cmdline() -> str:
    return read_if_there(Path("/proc/cmdline")) or ""


class Live:
    """One run of the live system's service."""

    def __init__(self, runner: Runner, consoles: Consoles, parameters: dict[str, str]) -> None:
        """Take the collaborators and the `slipway.` parameters of the kernel command line."""
        self._runner = runner
        self._consoles = consoles
        self._mode = parameters.get("mode", "")
        self._wanted = parameters.get("answer", "")
        self._reboot_on_error = False

    def run(self) -> int:
        """Do it; give the exit status. An error is shown on the consoles, with a way to a shell."""
        try:
            return self._run()
        except SlipwayError as error:
            return self._fail(str(error), error.exit_status)
        except Exception as error:
            LOG.exception("a bug")
            return self._fail(f"a bug in the installer: {type(error).__name__}: {error}", ExitStatus.BUG)

    def _run(self) -> int:
        if self._mode not in MODES:
            known = ", ".join(mode for mode in MODES if mode)
            raise UserError(Problem("slipway.mode", f"{self._mode!r} is unknown", f"use one of {known}"))
        if self._mode == "rescue":
            return self._give_shells()
        if self._mode == "inventory":
            self._consoles.say(f"\n{render_inventory(read_inventory(self._runner))}\n")
            return self._give_shells()
        if self._mode == "tui":
            return self._show_person()
        return self._install()

    def _install(self) -> int:
        required = self._mode == "auto" or bool(self._wanted)
        seconds = UNATTENDED_VOLUME_SECONDS if required else VOLUME_SECONDS
        answer = wait_for_answer(self._runner, self._wanted, seconds, self._warn)
        if answer is None and required:
            raise no_answer(self._wanted)
        if answer is None:
            return self._show_person()
        self._consoles.say(f"\n{answer.source} was found; reading this machine.\n")
        answers = read_answers(answer, self._warn)
        self._reboot_on_error = answers.global_.reboot_on_error
        prepared = prepare(answers, self._runner, self._consoles.say)
        self._consoles.say(render_intent(prepared.config, answer.source))
        if prepared.holds_node and self._mode != "auto":
            raise CheckBlocksError(node_problem(prepared.config))
        text = "Automatic installation starts in {seconds:2d} s, press any key to stop"
        if self._consoles.countdown(COUNTDOWN_SECONDS, text):
            self._consoles.say("Stopped. Nothing has been changed.\n")
            return self._show_person()
        install(prepared, self._runner, [console_sink(self._consoles.say, moving=True)])
        self._consoles.say(render_success(prepared.config, restarts=True))
        self._leave(prepared.config.reboot_mode)
        return ExitStatus.DONE

    def _show_person(self) -> int:
        inventory = read_inventory(self._runner)
        self._consoles.say(render_welcome(inventory, read_release().version))
        return self._give_shells()

    def _warn(self, text: str) -> None:
        LOG.warning("%s", text)
        self._consoles.say(f"warning: {text}\n")

    def _fail(self, reason: str, status: ExitStatus) -> int:
        log = (read_if_there(INSTALL_LOG) or "").splitlines()
        text = render_failure(reason, status, log)
        _complain(text)
        self._consoles.say(text)
        if self._reboot_on_error:
            text = "The machine restarts in {seconds:2d} s, press any key to stop"
            if not self._consoles.countdown(FAILURE_SECONDS, text):
                self._leave("reboot")
                return status
        # The screen keeps the message; its second virtual terminal always has a shell.
        self._start_shells(self._consoles.serial)
        return status

    def _give_shells(self) -> int:
        self._start_shells([SCREEN, *self._consoles.serial])
        return ExitStatus.DONE

    def _start_shells(self, names: Sequence[str]) -> None:
        self._consoles.close()
        for name in names:
            self._systemctl("start", f"slipway-shell@{name}.service")

    def _leave(self, how: str) -> None:
        self._systemctl({"reboot": "reboot", "power-off": "poweroff"}[how])

    def _systemctl(self, *arguments: str) -> None:
        try:
            self._runner.run(["systemctl", "--no-block", *arguments])
        except CommandError as error:
            # The medium may be gone, and systemctl with it.
            LOG.warning("%s", error)
            self._consoles.say(f"{error}\n")
