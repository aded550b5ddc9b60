"""The power fails in the middle of something; what comes after must work as if it had not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.vm.lab.bench import KeyPair, Lab, Shared
from tests.vm.lab.errors import LabError
from tests.vm.lab.installs import Install, Installed, cut_power, install_spec, node_spec, watch_install
from tests.vm.lab.machine import Vm
from tests.vm.lab.spec import GuestProgram
from tests.vm.scenarios import BIOS_CD
from tests.vm.waits import EVENT_SECONDS, NODE_SECONDS

TOKEN = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
LONELY = {"mode": "join", "url": "https://10.0.2.2", "fingerprint": "ab" * 32, "token": TOKEN}
PLAIN = Install(name="cut", enrollment=LONELY)
"""It is to join a cluster that cannot be reached."""
PHASES = ("partition", "copy", "boot loader")
FEWEST_TASKS = 5
"""Of first boot. With fewer the events were not seen, rather than the tasks not run."""


@pytest.mark.matrix
def test_power_cuts_during_installations(lab: Lab, keys: KeyPair) -> None:
    """Each installation begins on what the one before has left, and gets further; the last one ends."""
    _cut_then_install(lab, keys, PHASES)


@pytest.mark.matrix
@pytest.mark.parametrize("phase", PHASES)
def test_power_cut_then_installation(phase: str, lab: Lab, keys: KeyPair) -> None:
    """A whole installation right after each of the cuts."""
    _cut_then_install(lab, keys, (phase,))


def _cut_then_install(lab: Lab, keys: KeyPair, phases: tuple[str, ...]) -> None:
    spec = install_spec(PLAIN, lab.iso, lab.folder, (keys.public,))
    for number, phase in enumerate(phases):
        with lab.vm(replace(spec, name=f"cut-{number}-{phase.replace(' ', '-')}")) as vm:
            cut_power(vm, phase)
    with lab.vm(replace(spec, name="after-cuts")) as vm:
        for name, seconds in watch_install(vm).items():
            lab.timings.add(f"install after a power cut: {name}", seconds)
    installed = Installed(lab.folder / "target.qcow2", None, {}, (), "")
    judge = GuestProgram(module="judge_node", parameters={"files": ["/etc/slipway/seed.json"]})
    with lab.vm(node_spec(PLAIN, installed, installed.disk, judge)) as vm:
        node = vm.report.wait("node", NODE_SECONDS)
    assert (node["state"], node["failed_units"], node["firstboot_done"]) == ("running", [], True)
    _check_lonely(node)


def _check_lonely(node: Any) -> None:
    """It asks for ever, and says why nothing comes of it; until then it keeps the token."""
    assert node["enrollment"]["state"] == "new"
    assert "https://10.0.2.2:8007" in node["enrollment"]["reason"]
    seed = json.loads(node["files"]["/etc/slipway/seed.json"])
    assert seed["enrollment"]["token"] == TOKEN
    # Incus gets them when it joins.
    assert not node["pools"]


@pytest.mark.matrix
@pytest.mark.parametrize("tasks_a_boot", [1, 2])
def test_power_cuts_during_first_boot(lab: Lab, shared: Shared, tasks_a_boot: int) -> None:
    """The power fails after a task or two, so many tasks further in each boot, until a boot finishes them all."""
    installed, overlay = shared.overlay(BIOS_CD, lab.folder / "node.qcow2")
    judge = GuestProgram(module="judge_node", parameters={"container": True})
    spec = node_spec(BIOS_CD, installed, overlay, judge)
    done: list[str] = []
    node: dict[str, object] | None = None
    cuts = 0
    while node is None:
        with lab.vm(replace(spec, name=f"boot-{cuts}")) as vm:
            if _has_new_tasks(vm, done, tasks_a_boot):
                vm.kill()
                cuts += 1
                continue
            node = vm.report.wait("node", NODE_SECONDS)
            lab.timings.add(f"node after {cuts} power cuts: power-on to judged", vm.seconds)
    assert len(done) >= FEWEST_TASKS, f"only {done} were seen to run"
    assert (node["state"], node["failed_units"], node["firstboot_done"]) == ("running", [], True)
    assert isinstance(node["container"], dict)
    assert node["container"].get("status") == "Running", node["container"]


def _has_new_tasks(vm: Vm, done: list[str], count: int) -> bool:
    """Wait until so many tasks are done that were not done in an earlier boot; add their names to `done`.

    Returns:
        False when first boot is over before: the judge starts after it.
    """
    wanted = len(done) + count
    while len(done) < wanted:
        message = vm.report.take_next(EVENT_SECONDS)
        if message["kind"] == "judge-started":
            return False
        if message.get("source") != "firstboot" or message["old"]:
            continue
        if message["event"] == "task-failed":
            raise LabError(f"{message['task']} failed: {message.get('reason')}\n{vm.console.tail()}")
        if message["event"] == "task-done" and message["task"] not in done:
            done.append(str(message["task"]))
    return True
