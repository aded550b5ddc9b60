"""From an answer file to an installation that is ready to begin."""

import json
from pathlib import Path
from typing import Any

import pytest

from hostlib.errors import CheckBlocksError, UserError
from hostlib.inventory import Content, Inventory, Lease, parse_inventory
from installer import execute, live
from installer.answers import Answers
from installer.live import needs_lease, prepare, read_answers
from installer.plan import plan_install
from installer.volumes import Answer
from tests.unit.installer_fakes import PASSWORD, FakeRunner, config

MACHINES = Path(__file__).parents[1] / "machines"
BARE = parse_inventory((MACHINES / "four-scsi-bios.json").read_text()).model_copy(update={"leases": ()})
ANSWER = f"""
[global]
keyboard = "de"
country = "at"
fqdn = "node1.example.test"
mailto = "ops@example.test"
timezone = "UTC"
root_password = "{PASSWORD}"
[network]
source = "from-dhcp"
[disk-setup]
filesystem = "ext4"
disk-list = ["sda"]
"""
STATIC = ANSWER.replace(
    'source = "from-dhcp"',
    """source = "from-answer"
cidr = "192.0.2.10/24"
gateway = "192.0.2.1"
dns = "192.0.2.53"
filter.ID_NET_NAME = "*"
""",
)


def quiet(_: str) -> None:
    """Take what is told where a test does not look at it."""


def answers(text: str) -> Answers:
    return read_answers(Answer(text, "answer.toml"), quiet)


def test_warnings_and_problems_of_an_answer_are_told() -> None:
    warnings: list[str] = []
    read_answers(Answer(ANSWER, "answer.toml"), warnings.append)
    assert warnings == ["global.root_password: this spelling is deprecated; write 'root-password'"]
    with pytest.raises(UserError) as caught:
        read_answers(Answer(ANSWER.replace('"ext4"', '"ext5"').replace('"at"', '"xx"'), "a"), warnings.append)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ANSWER, True),
        (STATIC, False),
        (STATIC.replace('fqdn = "node1.example.test"', 'fqdn = {source = "from-dhcp"}'), True),
    ],
)
def test_who_needs_dhcp(text: str, expected: bool) -> None:  # noqa: FBT001 - a row of a table
    assert needs_lease(answers(text)) is expected


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Inventory]:
    """What each look at the machine finds, in order; the last look is repeated."""
    looks = [BARE]
    monkeypatch.setattr(execute, "RUN", tmp_path)
    monkeypatch.setattr(live, "read_inventory", lambda _: looks.pop(0) if len(looks) > 1 else looks[0])
    monkeypatch.setattr(live, "resolve", lambda *_: config())
    return looks


@pytest.mark.parametrize(("text", "waits"), [(ANSWER, True), (STATIC, False)])
def test_the_network_is_waited_for_only_where_it_is_needed(
    machine: list[Inventory],
    text: str,
    waits: bool,  # noqa: FBT001 - a row of a table
) -> None:
    lease = Lease(nic="ens3", address="192.0.2.10/24", gateway="192.0.2.1")
    machine.append(BARE.model_copy(update={"leases": (lease,)}))
    said: list[str] = []
    runner = FakeRunner()
    prepared = prepare(answers(text), runner, said.append)
    assert [line.split()[0] for line in runner.lines] == ([live.WAIT_ONLINE] if waits else [])
    assert said == (["waiting for DHCP, at most 30 s\n"] if waits else [])
    assert [step.name for step in prepared.plan] == [step.name for step in plan_install(config())]


def test_another_card_is_waited_for_when_the_first_lease_has_no_gateway(machine: list[Inventory]) -> None:
    nic = BARE.nics[0].model_copy(update={"link": True})
    other = nic.model_copy(update={"name": "other0"})
    lease = Lease(nic=nic.name, address="169.254.3.1/16")
    machine[0] = BARE.model_copy(update={"nics": (nic, other), "leases": (lease,)})
    runner, said = FakeRunner(), list[str]()
    prepare(answers(ANSWER), runner, said.append)
    assert len(runner.lines) == 1
    assert "--any" not in runner.lines[0]
    assert said == ["no gateway by DHCP yet; waiting for other0, at most 30 s\n"]


def test_a_finished_node_on_the_target_is_noticed(machine: list[Inventory]) -> None:
    assert not prepare(answers(STATIC), FakeRunner(), quiet).holds_node
    disk = BARE.disks[0]
    pv = Content(device=f"{disk.name}3", type="LVM2_member", vg="pve", vg_tags=("slipway-installed",))
    machine[0] = BARE.model_copy(update={"disks": (disk.model_copy(update={"contents": (pv,)}),)})
    assert prepare(answers(STATIC), FakeRunner(), quiet).holds_node


def test_the_answer_that_is_kept_holds_no_secret(machine: list[Inventory]) -> None:
    assert machine
    prepared = prepare(answers(STATIC), FakeRunner(), quiet)
    assert PASSWORD not in prepared.answer
    assert json.loads(prepared.answer)["global"]["root-password"] == "**********"


def test_nothing_is_prepared_beside_a_running_installation(machine: list[Inventory], tmp_path: Path) -> None:
    assert machine
    with (
        execute._lock(tmp_path / "install.lock"),
        pytest.raises(CheckBlocksError, match="another installation"),
    ):
        prepare(answers(STATIC), FakeRunner(), quiet)


def test_an_installation_keeps_the_answer_and_tells_the_sinks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(live, "hold_in_memory", lambda: seen.append("held"))
    monkeypatch.setattr(live, "run_install", lambda *arguments: seen.append(arguments))
    runner, sinks = FakeRunner(), [seen.append]
    live.install(live.Prepared(config(), [], "{}"), runner, sinks)
    held, (given, plan, context, told) = seen
    assert held == "held"
    assert (given, plan, context.answer, context.runner, told) == (config(), [], "{}", runner, sinks)
