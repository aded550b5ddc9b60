"""What the live system does once it is up: find an answer and install, or show a person what there is."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from hostlib.errors import CheckBlocksError, CommandError, ExitStatus, Problem, SlipwayError, UserError
from hostlib.files import read_if_there
from hostlib.inventory import render_inventory
from hostlib.paths import INSTALL_LOG
from hostlib.probe import read_inventory
from hostlib.run import Runner, SystemRunner
from installer.discovery.find import find_answer
from installer.discovery.search import Search, parse_search
from installer.execute import check_alone, log_file, unattended
from installer.leases import wait_for_leases
from installer.live_consoles import SCREEN, Consoles, open_consoles, parse_consoles
from installer.live_prepare import Say, node_problem
from installer.live_quiet import quiet_consoles
from installer.live_session import Session
from installer.live_ssh import LiveSsh, parse_ssh
from installer.live_text import (
    render_failure,
    render_intent,
    render_success,
)
from installer.redaction import collect_secrets
from installer.tui.join import join
from installer.volumes import Answer, read_answer

LOG = logging.getLogger("slipway.live")
COUNTDOWN_SECONDS: Final = 10
FAILURE_SECONDS: Final = 30
SSH_SECONDS: Final = 20
"""What starting ssh may take where a person waits for it."""
MODES: Final = ("", "auto", "tui", "inventory", "rescue")


def parse_parameters(cmdline: str) -> dict[str, str]:
    """Give the `slipway.` parameters of a kernel command line, without that prefix."""
    words = (word.removeprefix("slipway.") for word in cmdline.split() if word.startswith("slipway."))
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def secrets_of(search: Search) -> set[str]:
    """Give what the kernel command line tells that nobody else may know."""
    return collect_secrets([search.trust.token, search.url])


# The verbs of the command line.


def run_install_file(path: str) -> int:
    """Install from an answer file; give the exit status. The machine is not restarted."""
    return _run_in_terminal(lambda _, __: (read_answer(Path(path), path), set()))


def run_auto() -> int:
    """Find the answer as the live system does, and install; give the exit status. No restart."""

    def find(runner: Runner, warn: Say) -> tuple[Answer, set[str]]:
        search = replace(parse_search(parse_parameters(_read_cmdline())), required=True)
        answer = find_answer(search, runner, say=_print, warn=warn)
        if answer is None:
            raise ValueError("the search gave neither the answer that it requires nor an error")
        return answer, secrets_of(search)

    return _run_in_terminal(find)


def run_tui(*, ascii_only: bool = False) -> int:
    """Let a person install on this terminal; give the exit status.

    It joins an installer that is running already. Raises SlipwayError.
    """
    status = join(ascii_only=ascii_only)
    if status is not None:
        return status
    from installer.tui.live_controller import LiveController  # noqa: PLC0415 - urwid is for this alone
    from installer.tui.loop import run_here  # noqa: PLC0415

    with log_file(INSTALL_LOG):
        check_alone()
        controller = LiveController(SystemRunner())
        controller.rescan()
        run_here(controller, ascii_only=ascii_only)
    return ExitStatus.STEP_FAILED if controller.state == "failed" else ExitStatus.DONE


def run_screens(runner: Runner, names: Sequence[str], ssh: LiveSsh | None, lent: set[str]) -> None:
    """Let a person install on the consoles with these names, until one of them leaves the installer.

    `lent` gets the names of those that have a shell of their own then.
    """
    from installer.tui.consoles import run_consoles  # noqa: PLC0415 - urwid is for this alone
    from installer.tui.live_controller import LiveController  # noqa: PLC0415
    from installer.tui.shells import Shells  # noqa: PLC0415

    controller = LiveController(runner, ssh=ssh)
    controller.rescan()
    with quiet_consoles():
        run_consoles(controller, names, Shells(runner, lent))


def _run_in_terminal(find: Callable[[Runner, Say], tuple[Answer, set[str]]]) -> int:
    runner = SystemRunner()
    session = Session(runner, _print, moving=sys.stdout.isatty())
    with log_file(INSTALL_LOG):
        try:
            check_alone()
            answer, secrets = find(runner, session.warn)
            prepared = session.prepare(answer, secrets)
            fingerprint = session.install(prepared)
        except SlipwayError as error:
            _complain(str(error))
            session.fail(str(error), error.exit_status)
            return error.exit_status
        finally:
            session.close()
    _print(render_success(prepared.config, fingerprint, restarts=False))
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
        with log_file(INSTALL_LOG):
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
        self._parameters = parameters
        self._session = Session(runner, consoles.say, moving=True)
        self._ssh: LiveSsh | None = None

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
        if parse_ssh(self._parameters):
            self._ssh = LiveSsh(self._runner)
            self._ssh.begin()
        if self._mode not in MODES:
            known = ", ".join(mode for mode in MODES if mode)
            raise UserError(Problem("slipway.mode", f"{self._mode!r} is unknown", f"use one of {known}"))
        if self._mode == "rescue":
            self._tell_ssh()
            return self._give_shells()
        if self._mode == "inventory":
            self._consoles.say(f"\n{render_inventory(read_inventory(self._runner))}\n")
            self._tell_ssh()
            return self._give_shells()
        if self._mode == "tui":
            return self._show_person()
        return self._install()

    def _install(self) -> int:
        search = parse_search(self._parameters)
        secrets = secrets_of(search) | (self._ssh.secrets if self._ssh else set())
        # The search too: what it ends in may restart the machine, which nobody must install on meanwhile.
        with unattended():
            answer = find_answer(search, self._runner, say=self._consoles.say, warn=self._session.warn)
            if answer and self._install_from(answer, secrets):
                return ExitStatus.DONE
        return self._show_person()

    def _install_from(self, answer: Answer, secrets: set[str]) -> bool:
        """Install; give False when a key has stopped it."""
        self._consoles.say(f"\n{answer.source} was found; reading this machine.\n")
        prepared = self._session.prepare(answer, secrets)
        config = prepared.config
        self._consoles.say(render_intent(config, answer.source))
        if self._ssh:
            self._consoles.say(self._ssh.render(prepared.inventory.nics))
        if prepared.holds_node and self._mode != "auto" and config.on_existing != "wipe":
            # A machine that starts from the network first would come back to this for good.
            self._session.reboot_on_error = False
            raise CheckBlocksError(node_problem(config))
        text = "Automatic installation starts in {seconds:2d} s, press any key to stop"
        if self._consoles.countdown(COUNTDOWN_SECONDS, text):
            LOG.info("stopped by a key")
            self._consoles.say("Stopped. Nothing has been changed.\n")
            return False
        fingerprint = self._session.install(prepared)
        self._session.close()
        self._consoles.say(render_success(config, fingerprint, restarts=True))
        self._leave(config.reboot_mode)
        return True

    def _show_person(self) -> int:
        names = [SCREEN, *self._consoles.serial]
        lent: set[str] = set()
        self._consoles.close()
        try:
            run_screens(self._runner, names, self._ssh, lent)
        finally:
            # A shell that a console has got from the screens stays, and is followed by this one.
            self._start_shells([name for name in names if name not in lent])
        return ExitStatus.DONE

    def _tell_ssh(self) -> None:
        """Tell how to log in over the network, once there is an address; for when nothing else is waited for."""
        if self._ssh is None:
            return
        try:
            found = read_inventory(self._runner, health=False)
            inventory = wait_for_leases(found, self._consoles.say)
            self._ssh.wait(SSH_SECONDS)
            self._consoles.say(self._ssh.render(inventory.nics))
        except (SlipwayError, OSError, ValueError) as error:
            LOG.warning("how to log in by ssh cannot be told: %s", error)

    def _fail(self, reason: str, status: ExitStatus) -> int:
        log = (read_if_there(INSTALL_LOG) or "").splitlines()
        text = render_failure(reason, status, log)
        _complain(text)
        self._consoles.say(text)
        # After the text: a server that does not answer is waited for, a person need not.
        self._session.fail(reason, status)
        self._session.close()
        if self._session.reboot_on_error:
            text = "The machine restarts in {seconds:2d} s, press any key to stop"
            if not self._consoles.countdown(FAILURE_SECONDS, text):
                self._leave("reboot")
                return status
        self._tell_ssh()
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
