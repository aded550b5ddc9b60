import threading
import time
from functools import partial

import pytest

from hostlib.probe import deadline
from hostlib.probe.deadline import gather


def test_what_fails_or_does_not_end_in_time_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    forever = threading.Event()

    def broken() -> str:
        raise OSError(5, "Input/output error")

    started = time.monotonic()
    found = gather("disk", {"a": lambda: "well", "b": broken, "c": lambda: str(forever.wait(10))}, 0.2)
    assert found == {"a": "well"}
    assert time.monotonic() - started < 5
    assert sorted(record.message for record in caplog.records) == [
        "disk b: cannot be read: OSError: [Errno 5] Input/output error",
        "disk c: no answer within 0.2 s",
    ]
    forever.set()


def test_not_all_probes_run_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deadline, "AT_ONCE", 2)
    begun: list[int] = []
    end = threading.Event()

    def hang(number: int) -> None:
        begun.append(number)
        end.wait(10)

    gather("disk", {number: partial(hang, number) for number in range(4)}, 0.5)
    assert caplog.messages == [f"disk {number}: no answer within 0.5 s" for number in range(4)]
    end.set()
    assert gather("disk", {number: partial(str, number) for number in range(9)}, 10)[8] == "8"
    # Those that had no turn in time have not begun afterwards.
    assert len(begun) == 2


def test_probes_run_beside_each_other() -> None:
    both = threading.Barrier(2)
    found = gather("disk", dict.fromkeys("ab", lambda: both.wait(10)), 10)
    assert sorted(found.values()) == [0, 1]
