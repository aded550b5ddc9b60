from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import pytest

from agent import supervisor as module
from agent.notify import ALIVE
from agent.supervisor import FOREVER, Duty, Supervisor, use_daemon_threads
from hostlib.errors import StepError
from tests.unit.daemon_fakes import until
from tests.unit.enroll_fakes import in_loop


def failing(error: Exception, calls: list[str]) -> Callable[[], Awaitable[float]]:
    async def work() -> float:
        calls.append("")
        raise error

    return work


async def quick() -> float:
    return FOREVER


@in_loop
async def test_a_fault_of_one_duty_stops_no_other_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    calls: dict[str, list[str]] = {"bug": [], "expected": [], "good": []}

    async def good() -> float:
        calls["good"].append("")
        return 0

    duties = [
        Duty("bug", failing(KeyError("x"), calls["bug"])),
        Duty("expected", failing(StepError("Incus: away"), calls["expected"])),
        Duty("good", good),
    ]
    told: list[str] = []
    task = asyncio.create_task(Supervisor(duties, told.append).run())
    await until(lambda: all(calls.values()))
    await asyncio.sleep(0.05)
    # Neither an error nor a duty that never wants to wait makes it spin.
    assert [len(times) for times in calls.values()] == [1, 1, 1]
    for duty in duties:
        duty.hurry()
    await until(lambda: all(len(times) == 2 for times in calls.values()))
    task.cancel()
    assert caplog.text.count("expected: Incus: away") == 1
    assert caplog.text.count("bug: internal error") == 2
    assert told == [ALIVE]


@in_loop
async def test_a_duty_that_hangs_ends_in_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALIVE_SECONDS", 0.01)
    clock, told = [0.0], list[str]()

    async def hang() -> float:
        await asyncio.sleep(FOREVER)
        return 0

    hanging = Duty("hanging", hang, limit_seconds=100)
    supervisor = Supervisor([hanging, Duty("idle", quick)], told.append, lambda: clock[0])
    task = asyncio.create_task(supervisor.run())
    await until(lambda: len(told) > 1)
    clock[0] = 99
    supervisor.progress(hanging)
    clock[0] = 199
    assert supervisor.overdue() == []
    clock[0] = 200
    assert supervisor.overdue() == ["hanging"]
    told.clear()
    await asyncio.sleep(0.03)
    assert told == []
    supervisor.progress(hanging)
    await until(lambda: told)
    task.cancel()


def test_a_program_that_hangs_does_not_hold_up_the_end() -> None:
    begin = time.monotonic()

    async def body() -> None:
        use_daemon_threads(asyncio.get_running_loop())
        assert await asyncio.to_thread(lambda: 5) == 5
        with pytest.raises(KeyError):
            await asyncio.to_thread(dict[str, int]().__getitem__, "x")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(time.sleep, 1.5), 0.01)

    asyncio.run(body())
    assert time.monotonic() - begin < 1
