import asyncio
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from hostlib.http import HttpError, Request, Response
from hostlib.inventory import parse_inventory
from installer import report
from installer.config import Endpoint, ReportTarget
from installer.progress import Event
from installer.redaction import collect_secrets
from installer.report import Post, Reporting, Sender, plan_attachment, plan_body, plan_subject
from tests.unit.http_servers import Servers
from tests.unit.installer_fakes import PASSWORD, config

MACHINE = parse_inventory((Path(__file__).parents[1] / "machines/one-virtio-uefi.json").read_text())
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOKEN = "r4ck-t0ken"
FINGERPRINT = (
    "9B:9F:B2:11:12:EB:DD:6A:8B:70:36:38:33:1F:0A:57:3E:38:C3:AE:1B:A0:21:56:E2:EF:09:E8:AF:35:79:E3"
)
ALL = ("started", "phase", "succeeded", "failed")
DOCS = (Path(__file__).parents[2] / "docs/reporting.md").read_text()


@pytest.fixture(autouse=True)
def _closed_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the fixture of all unit tests: this machine alone can be reached."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(report, "LONGEST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(report, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(report, "SILENT_SECONDS", 0.05)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    found = Servers(tmp_path_factory.mktemp("tls"))
    yield found
    found.close()


class Receiver:
    """A server that keeps what it takes; `answers` are the statuses of its first answers, then it answers well."""

    def __init__(self, servers: Servers, *answers: int) -> None:
        self.answers = list(answers)
        self.events: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.tokens: set[str | None] = set()
        self.url = servers.serve(self.take) + "/events"

    async def take(self, request: web.BaseRequest) -> web.Response:
        self.tokens.add(request.headers.get("Authorization"))
        self.bodies.append(await request.read())
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.events.append(json.loads(self.bodies[-1]))
        return web.Response(status=status)

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]


def target(url: str, *events: str) -> ReportTarget:
    return ReportTarget(endpoint=Endpoint(url=url, auth_token=SecretStr(TOKEN)), events=events or ALL)


def reporting(url: str, tmp_path: Path, *events: str, shown: list[str] | None = None) -> Reporting:
    told = shown if shown is not None else []
    made = Reporting("id-1", told.append, tmp_path / "install.log")
    made.open(target(url, *events), collect_secrets(target(url)) | collect_secrets(config()))
    made.describe(MACHINE, "node1.example.test")
    return made


EMULATED_SECONDS = 1.0
"""For events to be queued, on an emulated machine too. That nothing is sent meanwhile is tested by the thread that sends."""
RUN = (
    Event("started", text="id-1"),
    Event("phase", "wipe signatures", 9),
    Event("progress", "wipe signatures", 10),
    Event("warning", text="NVRAM"),
    Event("phase", "copy", 20),
)


def test_events_arrive_in_order(servers: Servers, tmp_path: Path) -> None:
    receiver = Receiver(servers)
    sink = reporting(receiver.url, tmp_path)
    for event in (*RUN, Event("succeeded")):
        sink(event)
    sink.close()
    assert [(event["event"], event.get("phase")) for event in receiver.events] == [
        ("started", None),
        ("phase", "wipe signatures"),
        ("phase", "copy"),
        ("succeeded", None),
    ]
    assert receiver.events[-1]["warnings"] == ["NVRAM"]
    assert receiver.tokens == {f"Bearer {TOKEN}"}


def test_only_the_wanted_events_are_sent(servers: Servers, tmp_path: Path) -> None:
    receiver = Receiver(servers)
    sink = reporting(receiver.url, tmp_path, "failed")
    for event in RUN:
        sink(event)
    assert sink.lacks_failure
    sink(Event("failed", text="no", status=4))
    assert not sink.lacks_failure
    sink.close()
    assert receiver.names == ["failed"]


def test_a_server_with_a_bad_moment_gets_everything(servers: Servers, tmp_path: Path) -> None:
    receiver = Receiver(servers, 500, 429)
    shown: list[str] = []
    sink = reporting(receiver.url, tmp_path, shown=shown)
    for event in (*RUN, Event("succeeded")):
        sink(event)
    sink.close(5)
    assert receiver.names == ["started", "phase", "phase", "succeeded"]
    assert len([text for text in shown if "status 500" in text]) == 1
    assert not any("status 429" in text for text in shown)


def test_a_failure_carries_the_log(servers: Servers, tmp_path: Path) -> None:
    receiver = Receiver(servers)
    (tmp_path / "install.log").write_text(f"run: tool --password {PASSWORD}\nit broke\n")
    sink = reporting(receiver.url, tmp_path)
    for event in RUN:
        sink(event)
    sink(Event("failed", text=f"copy: {PASSWORD} {TOKEN}", status=4))
    sink(Event("failed", text="told again", status=1))
    sink.close()
    failed = receiver.events[-1]
    assert receiver.names == ["started", "phase", "phase", "failed"]
    assert (failed["phase"], failed["percent"], failed["status"]) == ("copy", 20, 4)
    assert failed["reason"] == "copy: <redacted> <redacted>"
    assert failed["attachments"] == [
        {
            "name": "install.log",
            "media-type": "text/plain; charset=utf-8",
            "text": "run: tool --password <redacted>\nit broke",
        }
    ]
    assert not any(PASSWORD.encode() in body or TOKEN.encode() in body for body in receiver.bodies)


def test_a_server_that_refuses_the_log_gets_the_failure(servers: Servers, tmp_path: Path) -> None:
    receiver = Receiver(servers, 413)
    (tmp_path / "install.log").write_text("long")
    sink = reporting(receiver.url, tmp_path)
    sink(Event("failed", text="no", status=2))
    sink.close()
    assert receiver.names == ["failed"]
    assert "attachments" not in receiver.events[0]


def test_a_refused_event_does_not_hold_up_the_next(servers: Servers, tmp_path: Path) -> None:
    receiver = Receiver(servers, 401, 401)
    shown: list[str] = []
    sink = reporting(receiver.url, tmp_path, shown=shown)
    for event in (*RUN, Event("succeeded")):
        sink(event)
    sink.close()
    assert receiver.names == ["phase", "succeeded"]
    assert len([text for text in shown if "401" in text]) == 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_dead_server_costs_no_time_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []
    sink = reporting(f"http://127.0.0.1:{free_port()}/", tmp_path, shown=shown)
    begun = time.monotonic()
    with caplog.at_level(logging.INFO, "slipway"):
        for event in (*RUN, Event("succeeded")):
            sink(event)
        assert time.monotonic() - begun < EMULATED_SECONDS
        sink.close(0.2)
    assert 0.15 < time.monotonic() - begun < 3.0
    assert len([text for text in shown if "no connection" in text]) == 1
    assert shown[-1] == "4 events of the report were not delivered"
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert warnings[0].startswith("the installation does not wait for its report: ")


def test_a_server_that_hangs_is_not_waited_for(servers: Servers, tmp_path: Path) -> None:
    async def hang(_: web.BaseRequest) -> web.Response:
        await asyncio.sleep(0.7)
        raise AssertionError

    shown: list[str] = []
    sink = reporting(servers.serve(hang), tmp_path, shown=shown)
    begun = time.monotonic()
    for event in (*RUN, Event("succeeded")):
        sink(event)
    assert time.monotonic() - begun < EMULATED_SECONDS
    sink.close(0.5)
    assert time.monotonic() - begun < 3.0
    assert any("no complete answer" in text for text in shown)


class Gate:
    """A server in the sender's own thread: closed until a test opens it."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.tried = threading.Semaphore(0)
        self.taken: list[bytes | None] = []

    def send(self, request: Request) -> Response:
        self.tried.release()
        if not self.open.is_set():
            raise HttpError("closed")
        self.taken.append(request.body)
        return Response(200, "", b"")


def test_whoever_reports_never_sends() -> None:
    threads: list[threading.Thread] = []

    def note(_: Request) -> Response:
        threads.append(threading.current_thread())
        return Response(200, "", b"")

    sender = Sender(Endpoint(url="http://192.0.2.1/"), note)
    sender.put(Post(b"started"))
    assert sender.drain(5) == 0
    assert [thread.name for thread in threads] == ["report"]


def test_after_long_only_old_phases_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "DEAD_SECONDS", 0.0)
    gate = Gate()
    sender = Sender(Endpoint(url="http://192.0.2.1/"), gate.send)
    names = ("started", "wipe", "copy", "boot")
    for name in names:
        sender.put(Post(name.encode(), droppable=name != "started"))
    for _ in range(3):
        gate.tried.acquire()
    gate.open.set()
    sender.put(Post(b"failed"))
    assert sender.drain(5) == 0
    assert gate.taken == [b"started", b"boot", b"failed"]


def test_the_end_is_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FIRST_WAIT_SECONDS", 1000.0)
    gate = Gate()
    sender = Sender(Endpoint(url="http://192.0.2.1/"), gate.send)
    sender.put(Post(b"started"))
    gate.tried.acquire()
    gate.open.set()
    assert sender.drain(5) == 0
    assert gate.taken == [b"started"]


def test_a_bug_while_sending_stays_in_the_thread() -> None:
    def broken(_: Request) -> Response:
        raise ImportError("the medium is gone")

    sender = Sender(Endpoint(url="http://192.0.2.1/"), broken)
    sender.put(Post(b"started"))
    assert sender.drain(0.1) == 1
    assert sender.abandon() == 1
    assert sender.trouble == "report: ImportError while sending"
    sender._thread.join(5)
    assert not sender._thread.is_alive()


def test_without_a_server_nothing_happens(tmp_path: Path) -> None:
    shown: list[str] = []
    sink = Reporting("id-1", shown.append, tmp_path / "install.log")
    sink.open(None, {PASSWORD})
    for event in (*RUN, Event("failed", text="no")):
        sink(event)
    assert not sink.lacks_failure
    sink.close()
    assert not shown
    assert sink.redact(f"a {PASSWORD}") == "a <redacted>"


def test_a_bug_in_the_report_does_not_reach_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(report, "plan_body", fail)
    sink = reporting("http://127.0.0.1:9/", tmp_path)
    sink(Event("started"))
    assert "a bug in the report" in caplog.text


SUBJECT = plan_subject("7f1c0a52-0000-4000-8000-000000000001", MACHINE, "node1.example.test")


CHECKS = [
    {"id": "target-removable", "severity": "warning", "device": "/dev/disk/by-id/usb-STICK-0:0",
     "measured": "bus usb, removable", "allowed": False}
]  # fmt: skip


@pytest.mark.parametrize(
    "event",
    [
        Event("started"),
        Event("phase", "copy", 20),
        Event("succeeded", url="https://192.0.2.10:8006/", fingerprint=FINGERPRINT),
        Event("failed", "copy", 42, "copy: the medium does not answer", 4),
    ],
    ids=lambda event: event.event,
)
def test_bodies_are_those_of_the_documentation(event: Event) -> None:
    warnings = ["the firmware did not take a boot entry"] if event.percent != 20 else []
    body = plan_body(SUBJECT, event, NOW, warnings, CHECKS if event.event == "failed" else [])
    if event.event == "started":
        body["warnings"] = []
    if event.event == "failed":
        body["attachments"] = [plan_attachment("09:31:07 ERROR slipway.install: step copy failed\n")]
    shown = {example["event"]: example for example in examples() if "event" in example}
    assert json.loads(json.dumps(body)) == shown[event.event]


def examples() -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)]


def test_the_log_is_cut_at_a_line() -> None:
    text = plan_attachment("first line\n" + "é" * 10 + "\n" + "x" * (report.LOG_BYTES - 12))["text"]
    assert text == "x" * (report.LOG_BYTES - 12)


def test_a_secret_at_the_cut_is_redacted(servers: Servers, tmp_path: Path) -> None:
    receiver = Receiver(servers)
    (tmp_path / "install.log").write_text(f"{'a' * 50} {PASSWORD}{'x' * (report.LOG_BYTES - 5)}\nend")
    sink = reporting(receiver.url, tmp_path)
    sink(Event("failed", text="no"))
    sink.close()
    assert PASSWORD[-5:].encode() not in receiver.bodies[0]


def test_the_receiver_of_the_documentation_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)[0]
    assert len(source.splitlines()) <= 30
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(source, "receiver.py", "exec"), space)  # noqa: S102 - the text is our own documentation
    make: Callable[..., Any] = space["make_server"]
    server = make(port=0, token=TOKEN)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        sink = reporting(f"http://127.0.0.1:{server.server_address[1]}/", tmp_path)
        (tmp_path / "install.log").write_text("it broke\n")
        for event in (*RUN, Event("failed", text="no", status=4)):
            sink(event)
        sink.close(5)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["started", "phase", "phase", "failed"]
    assert (tmp_path / "id-1-install.log").read_text() == "it broke"
