"""The live system's controller over a recorded machine, without any process. Its fixtures are in conftest.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from hostlib.inventory import Content, Disk, Inventory
from installer.answers import parse_answers
from installer.live_prepare import Prepared
from installer.live_ssh import LiveSsh
from installer.progress import Event, Sink
from installer.resolve import resolve
from installer.tui.draft import Draft
from installer.tui.live_controller import LiveController
from installer.volumes import Answer
from tests.tui.harness import machine
from tests.tui.test_draft import GOOD
from tests.unit.installer_fakes import FakeRunner

SERVER = machine("nvme-server")
STICK = SERVER.disks[0].model_copy(
    update={
        "name": "sdz",
        "ids": ("usb-DISK-0:0",),
        "bus": "usb",
        "serial": "77",
        "wwn": "",
        "contents": (
            Content(device="sdz", type="dos"),
            Content(device="sdz1", type="vfat", label="DATA"),
            Content(device="sdz2", type="ntfs"),
        ),
    }
)
WITH_STICK = SERVER.model_copy(update={"disks": (*SERVER.disks, STICK)})


def with_disks(*disks: Disk) -> Inventory:
    return WITH_STICK.model_copy(update={"disks": disks})


DEVICE = "/dev/disk/by-id/usb-DISK-0:0-part1"


class FakeSession:
    """Stands in for the session that installs."""

    changed: Inventory = WITH_STICK
    error: Exception | None = None
    told: ClassVar[list[str]] = []

    def __init__(self, *_: object, watch: list[Sink], **__: object) -> None:
        self._watch = watch

    def prepare(self, answer: Answer, secrets: set[str]) -> Prepared:
        assert secrets == {GOOD.password}
        answers, _ = parse_answers(answer.text, answer.source)
        return Prepared(resolve(answers, self.changed), [], "", self.changed)

    def install(self, _: Prepared) -> None:
        for sink in self._watch:
            sink(Event("progress", "copy", 42))
            sink(Event("succeeded", fingerprint="AB:" * 31 + "CD"))
        if self.error:
            raise self.error

    def fail(self, reason: str, _status: int) -> None:
        self.told.append(reason)

    def close(self) -> None:
        self.told.append("closed")


class Live(LiveController):
    """What takes its time is done when a test says `work()`."""

    def __init__(self, runner: FakeRunner, log: Path, ssh: LiveSsh | None = None) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.seconds = 1000.0
        super().__init__(runner, spawn=self.waiting.append, clock=lambda: self.seconds, log=log, ssh=ssh)

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.tick()
        self.work()

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def enter(self, draft: Draft) -> None:
        self._draft = draft
        self._keyboard = draft.keyboard

    def start(self) -> str:
        """Say yes to what the summary shows."""
        return self.start_install(self.intent())
