"""Who may write to the consoles while the screens are there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from installer.live_quiet import quiet_consoles


def test_kernel_and_systemd_are_quiet_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda process, number: sent.append((process, number)))
    printk = tmp_path / "printk"
    printk.write_text("4\t4\t1\t7\n")
    with quiet_consoles(printk):
        assert printk.read_text() == "1"
        assert sent == [(1, signal.SIGRTMIN + 21)]
    assert printk.read_text() == "4"
    assert sent[1:] == [(1, signal.SIGRTMIN + 20)]


def test_screens_come_where_neither_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    with quiet_consoles(tmp_path / "none"):
        pass
    assert not (tmp_path / "none").exists()
