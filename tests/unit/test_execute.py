import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hostlib.errors import CheckBlocksError, ExitStatus, StepError
from installer import execute
from installer.execute import log_file, render_target, run_install
from installer.progress import Event
from installer.steps.base import Context, Preview, Progress
from tests.unit.installer_fakes import DISK, PASSWORD, FakeRunner, config, context, target


@dataclass(frozen=True)
class FakeStep:
    name: str
    writes: bool
    does: Callable[[Context], None] = lambda _: None
    weight: int = field(default=1)

    def describe(self) -> list[Preview]:
        return []

    def run(self, context: Context, progress: Progress) -> None:
        progress(0.5)
        self.does(context)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "run"
    monkeypatch.setattr(execute, "RUN", folder)
    monkeypatch.setattr(execute, "INSTALL_LOG", folder / "install.log")
    monkeypatch.setattr(execute, "EVENTS", folder / "events.jsonl")
    with log_file(folder / "install.log"):
        yield folder


def failing(error: BaseException) -> Callable[[Context], None]:
    def fail(_: Context) -> None:
        raise error

    return fail


def events(run: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_a_good_run_is_told_and_logged(run: Path, tmp_path: Path) -> None:
    seen: list[Event] = []
    ids: list[str] = []
    plan = [
        FakeStep("verify", writes=False),
        FakeStep("copy", writes=True, does=lambda here: ids.append(here.install_id)),
        FakeStep("identity", writes=True, does=lambda here: here.tell_fingerprint("AB:CD")),
        FakeStep("boot loader", writes=True, does=lambda here: here.warn("NVRAM is full")),
    ]
    assert run_install(config(), plan, context(FakeRunner(), tmp_path), [seen.append]) == "AB:CD"
    assert [event.event for event in seen if event.event != "progress"] == [
        "started",
        "phase",
        "phase",
        "phase",
        "phase",
        "warning",
        "succeeded",
    ]
    assert ids == ["7f1c"]
    assert events(run)[0] == {"event": "started", "install_id": "7f1c"}
    url = "https://192.0.2.10:8006/"
    assert seen[-1] == Event("succeeded", url=url, fingerprint="AB:CD")
    assert events(run)[-1] == {"event": "succeeded", "url": url, "fingerprint": "AB:CD"}
    log = run / "install.log"
    assert log.stat().st_mode & 0o777 == 0o600
    lines = log.read_text().splitlines()
    assert lines[1].endswith(f"the target is {render_target(target())}")
    assert "NVRAM is full" in log.read_text()
    assert PASSWORD not in log.read_text()


def test_the_target_is_named_by_all_that_tells_it_apart() -> None:
    assert render_target(target()) == (
        f"{DISK} (32.0 GiB, model QEMU HARDDISK, serial DISKA, 34359738368 bytes)"
    )


def test_a_failure_before_the_first_write_leaves_the_disk_alone(run: Path, tmp_path: Path) -> None:
    runner = FakeRunner()
    plan = [
        FakeStep("verify", writes=False, does=failing(StepError("checksum"))),
        FakeStep("wipe", writes=True),
    ]
    seen: list[Event] = []
    with pytest.raises(StepError) as caught:
        run_install(config(), plan, context(runner, tmp_path), [seen.append])
    assert seen[-1] == Event("failed", text=str(caught.value), status=ExitStatus.STEP_FAILED)
    assert str(caught.value) == (
        f"verify: checksum\nnothing has been written to {DISK}; the log is {run}/install.log"
    )
    assert caught.value.exit_status == ExitStatus.STEP_FAILED
    assert runner.lines == []
    assert events(run)[-1] == {"event": "failed", "reason": str(caught.value)}


@pytest.mark.parametrize("error", [StepError("no space"), OSError(28, "No space left on device")])
def test_a_failure_after_it_cleans_up(run: Path, tmp_path: Path, error: Exception) -> None:
    runner = FakeRunner()
    here = context(runner, tmp_path)
    mountinfo = here.proc / "self/mountinfo"
    mountinfo.write_text(f"40 1 253:1 / {here.target} rw - ext4 /dev/pve/root rw\n")
    plan = [FakeStep("wipe", writes=True), FakeStep("copy", writes=True, does=failing(error))]
    with pytest.raises(StepError, match=rf"copy: .*\n{DISK} has been written to \(wipe, copy\) and holds no"):
        run_install(config(), plan, here, [])
    assert runner.lines[0] == f"umount {here.target}"
    assert events(run)[-1]["event"] == "failed"


def test_the_next_attempt_knows_the_disks_that_failed(run: Path, tmp_path: Path) -> None:
    here = context(FakeRunner(), tmp_path)
    for path, written in (
        ("/dev/disk/by-id/a", True),
        ("/dev/disk/by-id/b", True),
        ("/dev/disk/by-id/c", False),
    ):
        plan = [FakeStep("copy", writes=written, does=failing(StepError("no space")))]
        with pytest.raises(StepError):
            run_install(config(target=target(path=path)), plan, here, [])
    known: list[frozenset[str]] = []
    plan = [FakeStep("release", writes=False, does=lambda context: known.append(context.failed_disks))]
    run_install(config(), plan, here, [])
    assert known == [{"/dev/disk/by-id/a", "/dev/disk/by-id/b"}]
    assert (run / "failed-disks").exists()


def test_a_clean_up_that_fails_does_not_hide_the_reason(run: Path, tmp_path: Path) -> None:
    here = context(FakeRunner(failures={"udevadm": "udev is gone"}), tmp_path)
    plan = [FakeStep("copy", writes=True, does=failing(StepError("the medium is gone")))]
    with pytest.raises(StepError, match="copy: the medium is gone"):
        run_install(config(), plan, here, [])
    assert "the target could not be taken out of use" in (run / "install.log").read_text()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug")])
def test_a_bug_and_an_interrupt_clean_up_too(run: Path, tmp_path: Path, error: BaseException) -> None:
    runner = FakeRunner()
    seen: list[Event] = []
    plan = [FakeStep("copy", writes=True, does=failing(error))]
    with pytest.raises(type(error)):
        run_install(config(), plan, context(runner, tmp_path), [seen.append])
    assert seen[-1].status == ExitStatus.BUG
    assert runner.lines == ["udevadm settle --timeout=30"]
    assert events(run)[-1]["event"] == "failed"
    assert events(run)[-1]["reason"]


def test_two_installations_never_run_at_once(run: Path, tmp_path: Path) -> None:
    here = context(FakeRunner(), tmp_path)

    def second(_: Context) -> None:
        run_install(config(), [], here, [])

    def check(_: Context) -> None:
        with pytest.raises(CheckBlocksError, match="another installation is running") as caught:
            second(here)
        assert caught.value.exit_status == ExitStatus.CHECK_BLOCKS

    run_install(config(), [FakeStep("copy", writes=True, does=check)], here, [])
    run_install(config(), [], here, [])
    assert [event["event"] for event in events(run)].count("succeeded") == 2


def test_the_log_of_a_run_ends_with_it(tmp_path: Path) -> None:
    logger = logging.getLogger("slipway")
    for text in ("first", "second"):
        with log_file(tmp_path / "run/install.log"):
            logger.getChild("part").debug(text)
        logger.error("between")
    lines = (tmp_path / "run/install.log").read_text().splitlines()
    assert [line.split(" DEBUG ")[1] for line in lines] == ["slipway.part: first", "slipway.part: second"]
    assert not logger.handlers
