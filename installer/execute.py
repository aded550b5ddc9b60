"""Runs a plan: one step after the other, told to everyone who listens, cleaned up when it fails."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from hostlib.errors import CheckBlocksError, ExitStatus, Problem, SlipwayError, StepError, UserError
from hostlib.events import EventLog
from hostlib.files import read_if_there, write_atomic
from hostlib.paths import EVENTS, INSTALL_LOG, RUN
from hostlib.run import Runner
from hostlib.sizes import render_size
from installer.config import DiskTarget, InstallConfig
from installer.progress import Event, Reporter, Sink, log_sink
from installer.steps.base import Context, Step
from installer.steps.finish import close_target
from installer.steps.mounts import unmount_target

LOG = logging.getLogger("slipway.install")


def render_target(target: DiskTarget) -> str:
    """Give the target so that a person can tell it from every other disk."""
    known = [
        f"model {target.model}" if target.model else "",
        f"serial {target.serial}" if target.serial else "",
    ]
    details = ", ".join(part for part in (*known, f"{target.size_bytes} bytes") if part)
    return f"{target.path} ({render_size(target.size_bytes)}, {details})"


def run_install(config: InstallConfig, plan: Sequence[Step], context: Context, sinks: Sequence[Sink]) -> str:
    """Install; give the fingerprint of the certificate that the node's web console will show.

    Raises StepError when a step fails and CheckBlocksError when another installation runs. Gives the context a
    `warn` that reaches the log and the sinks. After a failure nothing of the target is mounted or active any
    more, so that the same installation can be started again.
    """
    fingerprints: list[str] = []
    with _lock(RUN / "install.lock"):
        reporter = Reporter(plan, [*sinks, log_sink(EventLog(EVENTS))])

        def warn(text: str) -> None:
            LOG.warning("%s", text)
            reporter.warn(text)

        context = replace(
            context, warn=warn, tell_fingerprint=fingerprints.append, failed_disks=_read_failed_disks()
        )
        LOG.info("installation %s", context.install_id)
        LOG.info("the target is %s", render_target(config.target))
        LOG.info("it gets %s as %s", config.fqdn, config.filesystem)
        reporter.tell(Event("started", text=context.install_id))
        try:
            _run_steps(config.target, plan, context, reporter)
        except BaseException as error:
            # A bug and Ctrl-C too: whoever watches the events must not wait for good.
            status = error.exit_status if isinstance(error, SlipwayError) else ExitStatus.BUG
            reporter.tell(Event("failed", text=str(error) or type(error).__name__, status=status))
            raise
        shown = next(iter(fingerprints), "")
        reporter.tell(Event("succeeded", url=config.url, fingerprint=shown))
        LOG.info("installed; the web console is %s, its certificate has SHA-256 %s", config.url, shown)
        return shown


def _run_steps(target: DiskTarget, plan: Sequence[Step], context: Context, reporter: Reporter) -> None:
    written: list[str] = []
    for step in plan:
        LOG.info("step: %s", step.name)
        progress = reporter.begin(step)
        written += [step.name] if step.writes else []
        try:
            step.run(context, progress)
        except (SlipwayError, OSError) as error:
            # Where an OSError comes from, only its traceback tells.
            LOG.error("step %s failed: %s", step.name, error, exc_info=isinstance(error, OSError))  # noqa: TRY400 - see above
            if written:
                _clean_up(context, target)
            raise StepError(render_failure(step, error, target, written=written)) from error
        except BaseException:
            LOG.exception("step %s was ended", step.name)
            if written:
                _clean_up(context, target)
            raise
        reporter.end(step)


def render_failure(step: Step, error: Exception, target: DiskTarget, *, written: Sequence[str]) -> str:
    """Give the text of a failure: what was being done, why it failed, and what state the disk is in.

    `written` are the steps that have written to the disk, the last of them in part.
    """
    state = (
        f"{target.path} has been written to ({', '.join(written)}) and holds no working system"
        if written
        else f"nothing has been written to {target.path}"
    )
    return f"{step.name}: {error}\n{state}; the log is {INSTALL_LOG}"


def _clean_up(context: Context, target: DiskTarget) -> None:
    """Leave nothing mounted or active; what fails here is logged and does not hide the first error."""
    with contextlib.suppress(OSError):
        write_atomic(_failed_disks(), "\n".join({*context.failed_disks, target.path}))
    try:
        close_target(context, target)
    except (SlipwayError, OSError) as error:
        LOG.warning("the target could not be taken out of use: %s", error)


def _failed_disks() -> Path:
    return RUN / "failed-disks"


def _read_failed_disks() -> frozenset[str]:
    return frozenset((read_if_there(_failed_disks()) or "").split())


def unmount_leftovers(runner: Runner) -> None:
    """Unmount what an installation that was killed has left, so that its disk does not count as in use.

    Raises CheckBlocksError when an installation is running, and StepError.
    """
    with _lock(RUN / "install.lock"):
        unmount_target(Context(runner=runner, warn=LOG.warning))


def check_alone() -> None:
    """Raise CheckBlocksError while an installation runs, or the live system installs unattended."""
    with _lock(RUN / "unattended.lock", UNATTENDED), _lock(RUN / "install.lock"):
        pass


UNATTENDED: Final = "this machine looks for its answer file, or installs by one that it has found"


@contextlib.contextmanager
def unattended() -> Iterator[None]:
    """Have `check_alone` refuse while this lasts. It is no obstacle to an unattended installation itself."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_lock(RUN / "unattended.lock", UNATTENDED))
        except (CheckBlocksError, OSError) as error:
            LOG.warning("%s", error)
        yield


@contextlib.contextmanager
def _lock(path: Path, what: str = "another installation is running on this machine") -> Iterator[None]:
    """Keep two installations apart. The kernel gives the lock back when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckBlocksError(
                Problem("install", what, f"wait for its end; it logs to {INSTALL_LOG}")
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Write everything that Slipway logs to `path` too, readable by root only. Raises UserError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        problem = Problem(str(path), f"the log cannot be written: {error.strerror}", "run it as root")
        raise UserError(problem) from error
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("slipway")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
