"""Answers that must be refused: by status and text, with every disk as it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from tests.vm.lab.answers import make_answer
from tests.vm.lab.bench import Lab
from tests.vm.lab.installs import LIVE_SECONDS
from tests.vm.lab.media import GIB, content_digest, make_dirty_disk, make_volume
from tests.vm.lab.spec import Bus, Disk, GuestProgram, MachineSpec
from tests.vm.waits import EVENT_SECONDS

LINE: Final = re.compile(r"^\S.*: .+; .+$")
"""`where: what is wrong; what to do`."""
WHOLE: Final = {"filesystem": "ext4", "disk-list": ["vda"]}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer, the exit statuses that may follow, and what its message must name."""

    answer: str
    statuses: tuple[int, ...]
    names: str


REFUSALS: Final = {
    "no-such-disk": Refusal(make_answer(disk={"filesystem": "ext4", "disk-list": ["sdz"]}), (2,), "sdz"),
    "two-disks-match": Refusal(
        make_answer(disk={"filesystem": "ext4", "filter": {"ID_SERIAL": "BIG*"}}), (2,), "filter"
    ),
    "no-disk-matches": Refusal(
        make_answer(disk={"filesystem": "xfs", "filter": {"ID_SERIAL": "NONE*"}}), (2,), "filter"
    ),
    "two-disks-listed": Refusal(
        make_answer(disk={"filesystem": "ext4", "disk-list": ["vda", "vdb"]}), (2,), "disk-list"
    ),
    "too-small": Refusal(make_answer(disk={"filesystem": "ext4", "disk-list": ["vdc"]}), (2, 3), "GiB"),
    "not-toml": Refusal("[global\nkeyboard = ", (2,), "line 1"),
    "unknown-key": Refusal(make_answer(disk=WHOLE, global_={"colour": "red"}), (2,), "colour"),
    "no-password": Refusal(make_answer(disk=WHOLE, global_={"root-password": None}), (2,), "root-password"),
    "bad-address": Refusal(
        make_answer(disk=WHOLE, network={"source": "from-answer", "cidr": "10.0.2.300/24"}), (2,), "cidr"
    ),
}


def test_refusals(lab: Lab) -> None:
    """One unattended refusal, then all others by hand in the same live system."""
    sizes = {"BIG1": 20 * GIB, "BIG2": 20 * GIB, "SMALL": 4 * GIB}
    disks = {
        serial: make_dirty_disk(lab.folder / f"{serial}.raw", size, seed)
        for seed, (serial, size) in enumerate(sizes.items())
    }
    before = {serial: content_digest(path) for serial, path in disks.items()}
    unattended = {"answer.toml": REFUSALS["no-such-disk"].answer.encode()}
    volume = make_volume(lab.folder / "answer.img", "fat", "SLIPWAY", unattended)
    answers = {name: refusal.answer for name, refusal in REFUSALS.items()}
    spec = MachineSpec(
        name="refusals",
        iso=lab.iso,
        disks=(
            *(Disk(path=path, serial=serial) for serial, path in disks.items()),
            Disk(path=volume, bus=Bus.USB),
        ),
        guest=GuestProgram(module="refusals", parameters={"answers": answers}),
    )
    with lab.vm(spec) as vm:
        vm.console.wait_for(r"Installation failed \(exit status 2\)", LIVE_SECONDS)
        lab.timings.add("live: power-on to refusal", vm.seconds)
        said = vm.console.text
        vm.report.wait("refusals-done", EVENT_SECONDS)
        reported = {str(m["name"]): m for m in vm.report.messages if m["kind"] == "refusal"}
        # It stays at a prompt: nobody has to catch the message before a restart.
        vm.kill()
    after = {serial: content_digest(path) for serial, path in disks.items()}
    problems = [problem for name in REFUSALS for problem in _problems(name, reported[name])]
    if not re.search(r"^\S.*sdz.*; .+$", said, re.MULTILINE):
        problems.append("the console did not say what is wrong with sdz and what to do")
    problems += [f"disk {serial} was changed" for serial in disks if before[serial] != after[serial]]
    assert not problems, "\n".join(problems)


def _problems(name: str, report: dict[str, Any]) -> list[str]:
    wanted = REFUSALS[name]
    lines = [line for line in report["stderr"].splitlines() if line.strip()]
    problems = []
    if report["status"] not in wanted.statuses:
        problems.append(f"{name}: exit status {report['status']} instead of {wanted.statuses}")
    if wanted.names not in report["stderr"]:
        problems.append(f"{name}: the message does not name {wanted.names}: {report['stderr']!r}")
    problems += [f"{name}: not `where: what; what to do`: {line!r}" for line in lines if not LINE.match(line)]
    return problems
