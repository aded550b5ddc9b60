import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest

from hostlib import run
from hostlib.errors import CommandError, StepError
from hostlib.run import SystemRunner, redact, render_command


@pytest.mark.parametrize(
    ("text", "secrets", "expected"),
    [
        ("nothing to hide", [], "nothing to hide"),
        ("token s3cret!", ["s3cret!"], "token <redacted>"),
        ("pass and password", ["pass", "password"], "<redacted> and <redacted>"),
        ("an empty secret hides nothing", [""], "an empty secret hides nothing"),
    ],
)
def test_redact(text: str, secrets: list[str], expected: str) -> None:
    assert redact(text, secrets) == expected


def test_a_command_can_be_pasted_into_a_shell() -> None:
    argv = ["mkfs.ext4", "-L", "my root", "/dev/pve/root"]
    assert render_command(argv) == "mkfs.ext4 -L 'my root' /dev/pve/root"


class FakeProcess:
    """Stands for subprocess.Popen: gives recorded outputs, remembers how it was started."""

    started: dict[str, Any]
    given: bytes | None = None

    def __init__(self, status: int = 0, stdout: bytes = b"", stderr: bytes = b"") -> None:
        self.returncode = status
        self.outputs = (stdout, stderr)
        self.pid = 4242
        self.timed_out = False
        self.killed: list[tuple[int, int]] = []

    def __call__(self, argv: list[str], **options: Any) -> Self:
        self.args = argv
        self.started = options
        read_out, write_out = os.pipe()
        read_err, write_err = os.pipe()
        for descriptor, output in zip((write_out, write_err), self.outputs, strict=True):
            os.write(descriptor, output)
            os.close(descriptor)
        self.stdout, self.stderr = os.fdopen(read_out, "rb"), os.fdopen(read_err, "rb")
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()

    def communicate(self, given: bytes | None, timeout: float) -> tuple[bytes, bytes]:
        self.given = given
        if self.timed_out:
            raise subprocess.TimeoutExpired(self.args, timeout, *self.outputs)
        return self.stdout.read(), self.stderr.read()

    def wait(self, timeout: float) -> int:
        if timeout <= 0:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode


def started(monkeypatch: pytest.MonkeyPatch, process: FakeProcess) -> FakeProcess:
    monkeypatch.setattr(subprocess, "Popen", process)
    monkeypatch.setattr(os, "killpg", lambda group, number: process.killed.append((group, number)))
    return process


def test_a_program_gets_a_closed_stdin_and_a_fixed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/tmp/odd.so")
    process = started(monkeypatch, FakeProcess(0, b"out", b"err"))
    done = SystemRunner().run(["lvs"])
    assert (done.status, done.stdout, done.stderr) == (0, "out", "err")
    assert process.args == ["lvs"]
    assert process.started["stdin"] == subprocess.DEVNULL
    assert process.started["env"] == run.ENVIRONMENT
    assert process.started["process_group"] == 0
    assert "shell" not in process.started


def test_a_program_in_the_target_is_run_by_chroot(monkeypatch: pytest.MonkeyPatch) -> None:
    process = started(monkeypatch, FakeProcess())
    SystemRunner().run(["update-grub"], chroot=Path("/run/slipway/target"))
    assert process.args == ["chroot", "/run/slipway/target", "update-grub"]


def test_input_reaches_the_program_and_not_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    process = started(monkeypatch, FakeProcess())
    SystemRunner().run(["chpasswd", "--token", "t0ken"], input_text="root:s3cret", secrets=["t0ken"])
    assert process.given == b"root:s3cret"
    assert "run: chpasswd --token <redacted>" in caplog.text
    assert "s3cret" not in caplog.text
    assert "t0ken" not in caplog.text


def test_a_failure_tells_command_status_and_output_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, FakeProcess(5, b"tried t0ken", b"  no such VG\n"))
    with pytest.raises(CommandError) as caught:
        SystemRunner().run(["join", "t0ken"], secrets=["t0ken"])
    assert "exit status 5" in str(caught.value)
    assert "no such VG" in str(caught.value)
    assert "t0ken" not in str(caught.value)


def test_other_statuses_may_count_as_success(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, FakeProcess(1))
    assert SystemRunner().run(["e2fsck", "-p", "/dev/pve/root"], ok=(0, 1)).status == 1


def test_a_program_that_takes_too_long_is_ended_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    process = started(monkeypatch, FakeProcess(0, b"waiting for t0ken"))
    process.timed_out = True
    with pytest.raises(CommandError, match=r"no end after 2 s") as caught:
        SystemRunner().run(["udevadm", "settle"], timeout_seconds=2, secrets=["t0ken"])
    assert process.killed == [(4242, signal.SIGKILL)]
    assert "waiting for <redacted>" in str(caught.value)


def test_a_missing_program_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(subprocess, "Popen", missing)
    with pytest.raises(CommandError, match="cannot be started: No such file"):
        SystemRunner().run(["unsquashfs"])


def test_output_is_handed_on_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, FakeProcess(0, b"10%\r50%\r", b"a warning"))
    pieces: list[str] = []
    done = SystemRunner().run(["unsquashfs"], on_output=pieces.append)
    assert "".join(pieces) == done.stdout == "10%\r50%\r"
    assert done.stderr == "a warning"


def test_a_watcher_that_gives_up_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    process = started(monkeypatch, FakeProcess(0, b"10%"))

    def give_up(_: str) -> None:
        raise StepError("the medium is gone")

    with pytest.raises(StepError, match="the medium is gone"):
        SystemRunner().run(["unsquashfs"], on_output=give_up)
    assert process.killed == [(4242, signal.SIGKILL)]
