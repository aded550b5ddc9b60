"""Does several things at once for good: each in its own time, none stopped by the faults of another.

systemd's watchdog is fed while the loop turns and no duty takes longer than it may: what hangs ends in a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from agent.notify import ALIVE
from hostlib.errors import SlipwayError

LOG = logging.getLogger("slipway.agent")
ALIVE_SECONDS: Final = 60.0
SHORTEST_SECONDS: Final = 1.0
"""Between two turns of a duty that nobody hurries."""
FOREVER: Final = float("inf")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Duty:
    """Something that is done again and again."""

    name: str
    work: Callable[[], Awaitable[float]]
    """One turn; gives the seconds until the next."""
    retry_seconds: float = 60.0
    """Until the next turn after one that failed."""
    limit_seconds: float = 600.0
    """How long a turn may take, from its begin or from the last `progress`."""
    since: float | None = None
    """When the turn began or got on; None: it waits for the next."""
    failure: str = ""
    """Of the last turn."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def hurry(self) -> None:
        """Have the next turn begin at once."""
        self.wake.set()


class Supervisor:
    """Runs duties."""

    def __init__(
        self,
        duties: Sequence[Duty],
        notify: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the duties, who tells systemd, and a clock in seconds."""
        self.duties = duties
        self._notify = notify
        self._clock = clock

    def progress(self, duty: Duty) -> None:
        """Note that a turn which takes long gets on. May be called from any thread."""
        duty.since = self._clock()

    def overdue(self) -> list[str]:
        """Give the names of the duties that take longer than they may."""
        now = self._clock()
        return [
            duty.name
            for duty in self.duties
            if duty.since is not None and now - duty.since > duty.limit_seconds
        ]

    async def run(self) -> None:
        """Do all of it until this is cancelled."""
        async with asyncio.TaskGroup() as group:
            for duty in self.duties:
                group.create_task(self._attend(duty))
            group.create_task(self._watch())

    async def _attend(self, duty: Duty) -> None:
        while True:
            duty.wake.clear()
            wait = await self._turn(duty)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    duty.wake.wait(), None if wait == FOREVER else max(wait, SHORTEST_SECONDS)
                )

    async def _turn(self, duty: Duty) -> float:
        self.progress(duty)
        failure, wait = "", duty.retry_seconds
        try:
            wait = await duty.work()
        except (SlipwayError, OSError) as error:
            failure = str(error)
            # The same again says nothing new.
            LOG.log(
                logging.DEBUG if failure == duty.failure else logging.WARNING, "%s: %s", duty.name, failure
            )
        except Exception:
            LOG.exception("%s: internal error", duty.name)
        duty.since, duty.failure = None, failure
        return wait

    async def _watch(self) -> None:
        while True:
            if late := self.overdue():
                LOG.error("no end of: %s; systemd will restart this service", ", ".join(late))
            else:
                self._notify(ALIVE)
            await asyncio.sleep(ALIVE_SECONDS)


class DaemonThreads(ThreadPoolExecutor):
    """A thread for each call. None of them holds up the end of the process: a program may hang for minutes."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See Executor."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="duty", daemon=True).start()
        return future


def use_daemon_threads(loop: asyncio.AbstractEventLoop) -> None:
    """Have `asyncio.to_thread` use threads that do not hold up the end."""
    loop.set_default_executor(DaemonThreads())
