"""`python3 -m agent serve`: the daemon of a node, run by slipway-agent.service."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from agent.api_client import ApiClient
from agent.cluster import NodeIncus
from agent.enrollment import ENROLLMENT, Enrollment
from agent.member_side import ANYWHERE, MemberSide
from agent.membership import IncusMembership
from agent.node_duties import NodeDuties
from agent.notify import READY, STOPPING, notify_systemd
from agent.store import IncusStore, Store
from agent.supervisor import Supervisor, use_daemon_threads
from agent.this_node import Kept, ThisNode, parse_built_at, read_facts
from hostlib.errors import ExitStatus, printable
from hostlib.paths import RELEASE
from hostlib.release import read_release
from hostlib.run import Runner, SystemRunner
from hostlib.seed import require_seed

LOG = logging.getLogger("slipway.agent")
STOP_SECONDS = 10.0
"""For requests that are being answered; systemd waits longer."""
STATUS_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon of one node, put together."""

    kept: Kept
    member: MemberSide
    duties: NodeDuties
    notify: Callable[[str], None]


def make_daemon(
    runner: Runner,
    store: Store,
    now: Callable[[], datetime],
    notify: Callable[[str], None],
    *,
    root: Path = Path("/"),
    listen: tuple[str, int] = ANYWHERE,
) -> Daemon:
    """Put together the daemon of the system at `root`. Raises UserError, OSError."""
    seed = require_seed(root)
    release = read_release(root / RELEASE.relative_to("/"))
    incus = NodeIncus(runner, seed, root)
    this = ThisNode(incus, read_facts(seed, release.version, root), release, now)
    kept = Kept(this.path(ENROLLMENT), lambda enrollment: notify(render_status(enrollment)))
    member = MemberSide(this, store, IncusMembership(incus.incus), listen)
    enrollment = seed.enrollment
    urls = list(dict.fromkeys((*enrollment.urls, *kept.current.urls)))
    client = ApiClient(urls, enrollment.fingerprint, now, parse_built_at(release), root)
    return Daemon(kept, member, NodeDuties(this, kept, member, client, store=store), notify)


def render_status(enrollment: Enrollment) -> str:
    """Give the line that `systemctl status` shows."""
    text = ": ".join(filter(None, (enrollment.state, enrollment.reason)))
    return f"STATUS=enrolment: {printable(text)[:STATUS_CHARACTERS]}"


async def run_daemon(daemon: Daemon, end: asyncio.Event) -> None:
    """Do all duties until `end` is set."""
    use_daemon_threads(asyncio.get_running_loop())
    duties = daemon.duties
    supervisor = Supervisor(duties.all, daemon.notify)
    duties.progress = supervisor.progress
    work = asyncio.create_task(supervisor.run())
    # Before anything that takes long: first boot, which a bootstrap may start again, is not waited for by systemd.
    daemon.notify(READY)
    daemon.notify(render_status(daemon.kept.current))
    waits = asyncio.create_task(end.wait())
    await asyncio.wait((work, waits), return_when=asyncio.FIRST_COMPLETED)
    daemon.notify(STOPPING)
    duties.ending.set()
    for task in (work, waits):
        task.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await asyncio.wait((work,))
            await daemon.member.stop()
    if work.done() and not work.cancelled():
        # It ends by itself only through a defect.
        work.result()


def run_serve() -> ExitStatus:
    """Be the daemon of this machine until SIGTERM. Raises UserError, OSError."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # What the watchdog ends tells where it hung.
    faulthandler.enable()
    daemon = make_daemon(
        SystemRunner(),
        IncusStore(),
        lambda: datetime.now(tz=UTC),
        partial(notify_systemd, environ=os.environ),
    )
    asyncio.run(_serve(daemon))
    return ExitStatus.DONE


async def _serve(daemon: Daemon) -> None:
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    await run_daemon(daemon, end)
