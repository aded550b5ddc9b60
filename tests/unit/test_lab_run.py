"""What runs of the VM tests share in `out/test`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from tests.vm import conftest


@pytest.mark.parametrize(("holds_lock", "left"), [(True, False), (False, True)])
def test_only_the_run_that_holds_the_lock_removes_the_shared_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, holds_lock: bool, left: bool
) -> None:
    monkeypatch.setattr(conftest, "OUT", tmp_path)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    shared = tmp_path / "shared"
    shared.mkdir()
    stash = pytest.Stash()
    if holds_lock:
        stash[conftest._LOCK] = FileLock(tmp_path / "run.lock")
    session: Any = SimpleNamespace(config=SimpleNamespace(stash=stash), exitstatus=pytest.ExitCode.OK)
    conftest.pytest_sessionfinish(session)
    assert shared.exists() == left
