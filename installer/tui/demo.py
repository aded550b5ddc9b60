"""The demonstration: a recorded machine, and an installation that only looks like one. Nothing is written anywhere."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from hostlib.errors import Problem, StepError, UserError
from hostlib.inventory import Inventory
from hostlib.run import render_command
from installer.config import InstallConfig
from installer.execute import render_failure
from installer.plan import plan_install
from installer.progress import Event, Reporter
from installer.steps.base import Step
from installer.tui.agreement import Agreement
from installer.tui.base import BaseController
from installer.tui.controller import Choice
from installer.tui.jobs import Spawn, in_thread

DEMO_SECONDS: Final = 30
"""How long an installation takes here; a real one takes some minutes."""
READ_SECONDS: Final = 1.0
LOG_LINES: Final = 500
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFuIGV4YW1wbGUgYW5kIG5vYm9keSdzIHJlYWwga2V5 ops@desk"
STICK: Final = Choice("stick", "USB stick, 14.9 GiB, FAT (DATA)")


class DemoController(BaseController):
    """A controller over a recorded machine."""

    version = "demonstration"

    def __init__(
        self,
        machine: Inventory,
        *,
        fail_at: str = "",
        spawn: Spawn = in_thread,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the machine; `fail_at`: the name of the step that fails, the first time."""
        super().__init__(spawn, clock)
        self._machine = machine
        self._fail_at = fail_at
        self._sleep = sleep
        self._log: deque[str] = deque(maxlen=LOG_LINES)

    def _read(self) -> Inventory:
        self._sleep(READ_SECONDS)
        return self._machine

    def _install(self, agreed: Agreement) -> InstallConfig:
        config = agreed.config
        plan = plan_install(config)
        names = [step.name for step in plan]
        if self._fail_at not in {"", *names}:
            what = f"there is no step '{self._fail_at}'"
            raise UserError(Problem("--demo-fail", what, f"use one of: {', '.join(names)}"))
        self.installation.begin()
        reporter = Reporter(plan, [self.installation.take])
        total = sum(step.weight for step in plan)
        written: list[str] = []
        for step in plan:
            written += [step.name] if step.writes else []
            progress = reporter.begin(step)
            self._log.append(f"step: {step.name}")
            self._log.extend(_describe(step))
            for tenth in range(1, 11):
                self._sleep(DEMO_SECONDS * step.weight / total / 10)
                progress(tenth / 10)
                if step.name == self._fail_at and tenth == 5:
                    self._fail_at = ""
                    error = StepError(f"{config.target.path}: input/output error, as was asked for")
                    raise StepError(render_failure(step, error, config.target, written=written))
            reporter.end(step)
        self.installation.take(Event("progress", plan[-1].name, 100))
        pretended = hashlib.sha256(config.fqdn.encode()).digest().hex(":").upper()
        self.installation.take(Event("succeeded", fingerprint=pretended))
        return config

    def log(self) -> Sequence[str]:
        """Give what the steps would have run."""
        return list(self._log)

    def _reboot(self) -> str:
        return "The machine would restart now. This is a demonstration: leave with F10."

    def targets(self) -> Sequence[Choice]:
        """Give a stick that is not there."""
        return [STICK]

    def save_answer(self, target: str) -> None:
        """Do as if."""
        self._begin("save-answer", "writing", lambda: self._pretend(f"answer.toml is on {target}"))

    def save_log(self, target: str) -> None:
        """Do as if."""
        self._begin("save-log", "writing", lambda: self._pretend(f"slipway-install.log is on {target}"))

    def fetch_ssh_key(self, url: str) -> None:
        """Give an example's key."""

        def fetch() -> str:
            self._sleep(READ_SECONDS)
            if not url.startswith(("http://", "https://")):
                what = f"'{url}' is no URL"
                raise UserError(Problem("ssh-key", what, "give one such as 'https://example.test/me.keys'"))
            self.set("ssh_keys", KEY)
            return "1 key was fetched"

        self._begin("fetch-key", f"fetching {url}", fetch)

    def _pretend(self, text: str) -> str:
        self._sleep(READ_SECONDS)
        return f"{text} (in a demonstration nothing is written)"

    def show_shell(self) -> None:
        """Do nothing: no terminal of a demonstration offers it."""


def _describe(step: Step) -> list[str]:
    previews = step.describe()
    return [
        f"  would run {render_command(preview.command)}"
        if preview.command
        else f"  would write {preview.path}"
        for preview in previews
    ]
