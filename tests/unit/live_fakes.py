"""Stands in for the live system: consoles, a search, a server for reports, and an installation without effects."""

import json
from collections.abc import Sequence
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import pytest

from hostlib.checks import Finding
from hostlib.http import Request, Response
from hostlib.inventory import parse_inventory
from installer import execute, live, live_session, report
from installer.config import Endpoint
from installer.discovery.search import Search
from installer.execute import log_file
from installer.live import Live, parse_parameters
from installer.live_consoles import Consoles
from installer.live_prepare import Prepared
from installer.live_ssh import LiveSsh
from installer.progress import Event, Sink
from installer.steps.base import Context
from installer.volumes import Answer
from tests.unit.installer_fakes import PASSWORD, FakeRunner, config

MACHINES = Path(__file__).parents[1] / "machines"
FOUR_DISKS = parse_inventory((MACHINES / "four-scsi-bios.json").read_text())
WHERE = "answer.toml on /dev/sdc (SLIPWAY)"
ANSWER = f"""
[global]
keyboard = "de"
country = "at"
fqdn = "node1.example.test"
mailto = "ops@example.test"
timezone = "UTC"
root-password = "{PASSWORD}"
[network]
source = "from-dhcp"
[disk-setup]
filesystem = "ext4"
disk-list = ["sda"]
"""


class FakeConsoles(Consoles):
    """A screen and a serial line that keep what is written, and a person who may press a key."""

    def __init__(self, *, key: bool = False) -> None:
        super().__init__([])
        self.text = ""
        self.key = key

    @property
    def serial(self) -> list[str]:
        return ["ttyS0"]

    def say(self, text: str) -> None:
        self.text += text

    def countdown(self, seconds: int, text: str) -> bool:
        self.say(text.format(seconds=seconds) + "\n")
        return self.key


class FakeReport:
    """Stands in for the sender of the report: keeps the bodies."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, request: Request) -> Response:
        assert request.body is not None
        self.sent.append(request.body.decode())
        return Response(200, "", b"")

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.sent]


REPORT = '[report]\nurl = "https://192.0.2.1/"\nauth-token = "r4ck-t0ken"\n'


class Machine:
    """The live system with everything that touches the machine replaced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.runner = FakeRunner()
        self.answer: Answer | None = Answer(ANSWER, WHERE)
        self.find_error: Exception | None = None
        self.config = config()
        self.prepare_error: Exception | None = None
        self.install_error: Exception | None = None
        self.installed = 0
        self.holds_node = False
        self.findings: list[Finding] = []
        self.searched: list[Search] = []
        self.posted: list[Endpoint] = []
        self.report = FakeReport()
        self.screens: list[str] = []
        self.ssh: LiveSsh | None = None
        self.lent: set[str] = set()
        self.screens_error: Exception | None = None
        self.log = tmp_path / "install.log"
        monkeypatch.setattr(live, "find_answer", self.find)
        monkeypatch.setattr(live, "run_screens", self.show)
        monkeypatch.setattr(execute, "RUN", tmp_path)
        monkeypatch.setattr(live, "LiveSsh", partial(LiveSsh, folder=tmp_path / "ssh"))
        monkeypatch.setattr(live, "wait_for_leases", lambda *_: FOUR_DISKS)
        monkeypatch.setattr(live_session, "prepare", self.prepare)
        monkeypatch.setattr(live_session, "run_install", self.install)
        monkeypatch.setattr(
            live_session, "run_webhook", lambda endpoint, *_, **__: self.posted.append(endpoint)
        )
        monkeypatch.setattr(live_session, "hold_in_memory", lambda: None)
        monkeypatch.setattr(live_session, "read_inventory", lambda _: FOUR_DISKS)
        monkeypatch.setattr(live_session, "apply_resolver", lambda _: None)
        monkeypatch.setattr(live, "read_inventory", lambda _, **__: FOUR_DISKS)
        monkeypatch.setattr(live, "INSTALL_LOG", self.log)
        monkeypatch.setattr(live_session, "INSTALL_LOG", self.log)
        monkeypatch.setattr(
            report.Sender, "__init__", partialmethod(report.Sender.__init__, send_=self.report.send)
        )

    def find(self, search: Search, *_: object, **__: object) -> Answer | None:
        self.searched.append(search)
        if self.find_error:
            raise self.find_error
        return self.answer

    def show(self, _: object, names: Sequence[str], ssh: LiveSsh | None, lent: set[str]) -> None:
        self.screens += names
        self.ssh = ssh
        lent |= self.lent
        if self.screens_error:
            raise self.screens_error

    def prepare(self, *arguments: Any) -> Prepared:
        if self.findings:
            arguments[-1](FOUR_DISKS, self.findings)
        if self.prepare_error:
            raise self.prepare_error
        return Prepared(self.config, [], "{}", FOUR_DISKS, self.holds_node)

    def install(self, _: object, __: object, context: Context, sinks: Sequence[Sink]) -> str:
        self.installed += 1
        self.context = context
        for sink in sinks:
            sink(Event("started", text=context.install_id))
        if self.install_error:
            for sink in sinks:
                sink(Event("failed", text=str(self.install_error), status=4))
            raise self.install_error
        for sink in sinks:
            sink(Event("succeeded"))
        return "AB:CD"

    def run(self, cmdline: str = "boot=live", *, key: bool = False) -> tuple[int, str, list[str]]:
        consoles = FakeConsoles(key=key)
        with log_file(self.log):
            status = Live(self.runner, consoles, parse_parameters(cmdline)).run()
        return status, consoles.text, self.runner.lines
