"""One run of the installer, from an answer to its end: what the service and the verbs of the command line share."""

from __future__ import annotations

import ctypes
import logging
import uuid
from collections.abc import Sequence
from typing import Final

from hostlib.checks import Finding
from hostlib.errors import ExitStatus, SlipwayError
from hostlib.inventory import Inventory
from hostlib.paths import INSTALL_LOG
from hostlib.probe import read_inventory
from hostlib.run import Runner
from installer.answers import parse_report
from installer.config import Endpoint, ReportTarget
from installer.execute import run_install
from installer.leases import apply_resolver, wait_for_leases
from installer.live_prepare import Prepared, Say, prepare, read_answers, wants_reboot
from installer.progress import Event, Sink, console_sink
from installer.redaction import collect_secrets, find_secrets
from installer.report import Reporting
from installer.steps.base import Context
from installer.volumes import Answer
from installer.webhook import run_webhook

LOG = logging.getLogger("slipway.live")
MCL_CURRENT: Final = 1


class Session:
    """One run of the installer. Everything that a person should know goes to the console, the log and the report."""

    def __init__(self, runner: Runner, say: Say, *, moving: bool, watch: Sequence[Sink] = ()) -> None:
        """Take the collaborators: `say` writes to the console; `moving`: a bar may be drawn again in its line.

        `watch` get the events of the installation besides console, log and report.
        """
        self._runner = runner
        self._say = say
        self._console = console_sink(say, moving=moving)
        self._watch = watch
        self._report = Reporting(str(uuid.uuid4()), self._show, INSTALL_LOG)
        self._fqdn = ""
        self.reboot_on_error = False
        """As far as the answer could be read."""

    def warn(self, text: str) -> None:
        """Tell something that stops nothing."""
        LOG.warning("%s", text)
        self._show(text)
        self._report(Event("warning", text=text))

    def _show(self, text: str) -> None:
        self._console(Event("warning", text=text))

    def prepare(self, answer: Answer, secrets: set[str]) -> Prepared:
        """Turn an answer into an installation; `secrets` are those of the search for it. Raises SlipwayError."""
        self._report.open(read_target(answer.text), secrets | find_secrets(answer.text))
        self.reboot_on_error = wants_reboot(answer.text)
        answers = read_answers(answer, self.warn)
        self.reboot_on_error = answers.global_.reboot_on_error
        fqdn = answers.global_.fqdn
        self._fqdn = fqdn if isinstance(fqdn, str) else ""
        self._report.open(None, collect_secrets(answers))
        prepared = prepare(answers, self._runner, self._say, self.warn, self._note)
        # The token that is in a file on the medium, or in the string of `slipway token create`.
        self._report.open(None, collect_secrets(prepared.config))
        self._fqdn = prepared.config.fqdn
        self._report.describe(prepared.inventory, self._fqdn)
        return prepared

    def _note(self, inventory: Inventory, findings: Sequence[Finding]) -> None:
        self._report.describe(inventory, self._fqdn)
        self._report.note(inventory, findings)

    def install(self, prepared: Prepared) -> str:
        """Install what was prepared, tell the webhook. Raises StepError, CheckBlocksError.

        Gives the fingerprint of the certificate that the node's web console will show.
        """
        hold_in_memory()
        context = Context(
            runner=self._runner,
            warn=LOG.warning,
            install_id=self._report.install_id,
            answer=prepared.answer,
            inventory=prepared.inventory,
            secrets=frozenset(self._report.secrets),
        )
        sinks: list[Sink] = [self._console, self._report, *self._watch]
        shown = run_install(prepared.config, prepared.plan, context, sinks)
        if endpoint := prepared.config.webhook:
            # A server may repeat in its answer what it was sent.
            run_webhook(endpoint, lambda text: self.warn(self._report.redact(text)))
        return shown

    def fail(self, reason: str, status: ExitStatus) -> None:
        """Tell log and report how it ended, where the installation has not done so itself. Never raises."""
        LOG.error("%s", reason)
        if not self._report.lacks_failure:
            return
        if not self._report.knows_machine and (inventory := self._read_machine()):
            self._report.describe(inventory, self._fqdn)
            apply_resolver(inventory)
        self._report(Event("failed", text=reason, status=status))

    def close(self) -> None:
        """Wait until the report is delivered, within limits."""
        self._report.close()

    def _read_machine(self) -> Inventory | None:
        try:
            return wait_for_leases(read_inventory(self._runner), self._say)
        except (SlipwayError, OSError, ValueError) as error:
            LOG.warning("the report goes without the machine: %s", error)
            return None


def read_target(text: str) -> ReportTarget | None:
    """Give whom an answer wants to be reported to, even if it is wrong elsewhere."""
    report = parse_report(text)
    if report is None:
        return None
    endpoint = Endpoint(
        url=report.url, cert_fingerprint=report.cert_fingerprint or "", auth_token=report.auth_token
    )
    return ReportTarget(endpoint=endpoint, events=report.events)


def hold_in_memory() -> None:
    """Keep this program in memory: it runs from the medium, and must be able to tell that the medium is gone."""
    if ctypes.CDLL(None).mlockall(MCL_CURRENT) != 0:
        LOG.warning("the installer could not be locked into memory")
