"""`slipway admin`, `slipway firewall`, `slipway status`: what is run, and what is printed."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agent import cli, health_read
from agent import status as status_module
from agent.cli import main
from agent.health import Health
from agent.notify import ALIVE, READY, notify_systemd
from tests.unit.health_data import STATUS, TROUBLES
from tests.unit.installer_fakes import FakeRunner

# A token is base64 of JSON.
TOKEN = "eyJjbGllbnRfbmFtZSI6Im9wcyIsImZpbmdlcnByaW50IjoiMDAifQ=="
Run = Callable[[Sequence[str], FakeRunner], tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(arguments: Sequence[str], runner: FakeRunner) -> tuple[int, str, str]:
        monkeypatch.setattr(cli, "SystemRunner", lambda: runner)
        status = main(arguments)
        return status, *capsys.readouterr()

    return run


def test_a_token_for_an_administrator(run: Run) -> None:
    runner = FakeRunner({"incus": f"Client ops certificate add token:\n{TOKEN}\n"})
    status, out, err = run(["admin", "add", "ops"], runner)
    assert (status, out) == (0, f"{TOKEN}\n")
    assert runner.lines == ["incus config trust add ops"]
    assert "incus remote add CLUSTER TOKEN" in err
    assert TOKEN not in err


@pytest.mark.parametrize("name", ["-", "--projects=x", "a b", "", "x" * 64, "é"])
def test_a_name_that_is_none(run: Run, name: str) -> None:
    runner = FakeRunner()
    status, out, err = run(["admin", "add", "--", name], runner)
    assert (status, out, runner.lines) == (2, "", [])
    assert err.startswith(f"NAME: '{name}' is no name: ")


@pytest.mark.parametrize("answer", ["", "Client ops certificate add token:\n"])
def test_no_token(run: Run, answer: str) -> None:
    status, out, err = run(["admin", "add", "ops"], FakeRunner({"incus": answer}))
    assert (status, out) == (4, "")
    assert err.startswith("incus config trust add: gave no token; ")


def test_the_rules_in_effect(run: Run) -> None:
    rules = "table inet slipway {\n}\n"
    runner = FakeRunner({"nft": rules})
    assert run(["firewall", "show"], runner) == (0, rules, "")
    assert runner.lines == ["nft list table inet slipway"]


def test_no_rules_in_effect(run: Run) -> None:
    missing = "Error: No such file or directory\nlist table inet slipway"
    status, _, err = run(["firewall", "show"], FakeRunner(failures={"nft": missing}))
    assert (status, err) == (
        4,
        "firewall: the rules are not in effect: there is no table 'inet slipway'; "
        "run: systemctl restart nftables; look: journalctl -u nftables\n",
    )
    status, _, err = run(["firewall", "show"], FakeRunner(failures={"nft": "Operation not permitted"}))
    assert status == 4
    assert "Operation not permitted" in err


def test_status(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "read_status", lambda *_: STATUS)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    status, out, _ = run(["status"], FakeRunner())
    assert status == 0
    # A smaller terminal gets what 80x24 shows.
    assert out.splitlines()[0] == "Slipway 0.1.0 on node1.example.com"
    assert out.splitlines()[-1] == "Findings     none"
    status, out, _ = run(["status", "--json"], FakeRunner())
    assert (status, json.loads(out)["name"]) == (0, "node1.example.com")


def test_status_finds_out_by_itself_how_the_node_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not take what the agent has kept: it may be what has failed."""
    monkeypatch.setattr(health_read, "read_health", lambda _runner, _now: Health(1, TROUBLES))
    _, out, _ = run(["status"], FakeRunner())
    assert "Findings     2 critical, 1 warning" in out


def test_systemd_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sent: list[tuple[bytes, str]] = []
    monkeypatch.setattr(socket.socket, "sendto", lambda _self, data, address: sent.append((data, address)))
    notify_systemd(READY, {"NOTIFY_SOCKET": "/run/systemd/notify"})
    notify_systemd(ALIVE, {"NOTIFY_SOCKET": "@abc"})
    notify_systemd(READY, {})
    assert sent == [(b"READY=1", "/run/systemd/notify"), (b"WATCHDOG=1", "\0abc")]
    monkeypatch.undo()
    notify_systemd(READY, {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
