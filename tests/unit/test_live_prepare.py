"""From an answer file to an installation that is ready to begin."""

import json
from pathlib import Path

import pytest

from hostlib.checks import Finding
from hostlib.errors import CheckBlocksError, UserError
from hostlib.inventory import Content, Controller, Inventory, Lease
from hostlib.sizes import MIB
from installer import execute, leases, live_prepare
from installer.answers import Answers
from installer.config import FirstBootHook
from installer.hook import Hook
from installer.live_prepare import Prepared, needs_lease, prepare, read_answers, wants_reboot
from installer.plan import plan_install
from installer.resolve import resolve
from installer.volumes import Answer
from tests.unit.installer_fakes import PASSWORD, FakeRunner, config
from tests.unit.live_fakes import ANSWER, FOUR_DISKS

BARE = FOUR_DISKS.model_copy(update={"leases": ()})
STATIC = ANSWER.replace(
    'source = "from-dhcp"',
    """source = "from-answer"
cidr = "192.0.2.10/24"
gateway = "192.0.2.1"
dns = "192.0.2.53"
filter.ID_NET_NAME = "*"
""",
)


ENS2 = STATIC.replace('"*"', '"ens2"')


def quiet(_: str) -> None:
    """Take what is told where a test does not look at it."""


def no_note(*_: object) -> None:
    """Take the findings where a test does not look at them."""


def answers(text: str) -> Answers:
    return read_answers(Answer(text, "answer.toml"), quiet)


def test_warnings_and_problems_of_an_answer_are_told() -> None:
    warnings: list[str] = []
    deprecated = ANSWER.replace("root-password", "root_password")
    read_answers(Answer(deprecated, "answer.toml"), warnings.append)
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
        (STATIC + '[first-boot]\nsource = "from-iso"', False),
        (STATIC + '[first-boot]\nsource = "from-url"\nurl = "https://192.0.2.1/"', True),
        (STATIC + '[report]\nurl = "https://192.0.2.1/"', True),
        (STATIC + '[post-installation-webhook]\nurl = "https://192.0.2.1/"', True),
    ],
)
def test_who_needs_dhcp(text: str, expected: bool) -> None:  # noqa: FBT001 - a row of a table
    assert needs_lease(answers(text)) is expected


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Inventory]:
    """What each look at the machine finds, in order; the last look is repeated."""
    looks = [BARE]
    monkeypatch.setattr(execute, "RUN", tmp_path)

    def look(*_: object) -> Inventory:
        return looks.pop(0) if len(looks) > 1 else looks[0]

    def look_at_network() -> tuple[object, object]:
        found = look()
        return found.nics, found.leases

    monkeypatch.setattr(live_prepare, "read_inventory", look)
    monkeypatch.setattr(leases, "read_network", look_at_network)
    monkeypatch.setattr(live_prepare, "apply_resolver", lambda _: None)
    monkeypatch.setattr(live_prepare, "resolve", lambda *_: config(warnings=("this disk is slow",)))
    return looks


def prepared(text: str, runner: FakeRunner | None = None) -> Prepared:
    return prepare(answers(text), runner or FakeRunner(), quiet, quiet, no_note)


@pytest.mark.parametrize(("text", "waits"), [(ANSWER, True), (STATIC, False)])
def test_the_network_is_waited_for_only_where_it_is_needed(
    machine: list[Inventory],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    waits: bool,  # noqa: FBT001 - a row of a table
) -> None:
    lease = Lease(nic="ens3", dhcp=True, address="192.0.2.10/24", gateway="192.0.2.1")
    machine.append(BARE.model_copy(update={"leases": (lease,)}))
    said, warned = list[str](), list[str]()
    monkeypatch.setattr(leases, "has_lease", lambda _: True)
    ready = prepare(answers(text), FakeRunner(), said.append, warned.append, no_note)
    assert said == (["waiting for DHCP, at most 30 s\n"] if waits else [])
    assert warned[-1] == "this disk is slow"
    assert [step.name for step in ready.plan] == [step.name for step in plan_install(config())]
    assert bool(ready.inventory.leases) is waits


def test_a_disk_that_appears_while_dhcp_is_waited_for_is_seen(
    machine: list[Inventory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A controller may need half a minute for its drives; what they hold decides what an installation renames."""
    lease = Lease(nic="ens3", dhcp=True, address="192.0.2.10/24", gateway="192.0.2.1")
    leased = BARE.model_copy(update={"leases": (lease,)})
    late = BARE.disks[0].model_copy(update={"name": "sdz", "path": "/dev/sdz", "ids": ("late",)})
    machine += [leased, leased.model_copy(update={"disks": (*BARE.disks, late)})]
    monkeypatch.setattr(leases, "has_lease", lambda _: True)
    assert late in prepared(ANSWER).inventory.disks


def test_a_finished_node_on_the_target_is_noticed(machine: list[Inventory]) -> None:
    assert not prepared(STATIC).holds_node
    disk = BARE.disks[0]
    pv = Content(device=f"{disk.name}3", type="LVM2_member", vg="pve", vg_tags=("slipway-installed",))
    machine[0] = BARE.model_copy(update={"disks": (disk.model_copy(update={"contents": (pv,)}),)})
    assert prepared(STATIC).holds_node


def test_the_answer_that_is_kept_holds_no_secret(machine: list[Inventory]) -> None:
    assert machine
    kept = prepared(STATIC).answer
    assert PASSWORD not in kept
    assert json.loads(kept)["global"]["root-password"] == "**********"


def test_nothing_is_prepared_beside_a_running_installation(machine: list[Inventory], tmp_path: Path) -> None:
    assert machine
    with (
        execute._lock(tmp_path / "install.lock"),
        pytest.raises(CheckBlocksError, match="another installation"),
    ):
        prepared(STATIC)


def test_the_hook_is_read_before_there_is_a_plan(
    machine: list[Inventory], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine
    wanted = FirstBootHook(source="from-iso", ordering="fully-up", endpoint=None)
    hook = Hook("fully-up", "the live medium", b"#!/bin/sh")
    monkeypatch.setattr(live_prepare, "resolve", lambda *_: config(first_boot=wanted))
    monkeypatch.setattr(live_prepare, "read_hook", lambda *_: hook)
    assert prepared(STATIC).plan == plan_install(config(first_boot=wanted), hook)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (STATIC, False),
        ("[global]\nreboot-on-error = true", True),
        ("[global]\nreboot_on_error = true", True),
        ("[global]\nreboot-on-error = false", False),
        ('[global]\nreboot-on-error = "true"', False),
        ("global.reboot-on-error = true", True),
        ('{"global": {"reboot-on-error": true}}', True),
        ("global = 1", False),
        ("", False),
        ("[global]\nreboot-on-error = true\nfqdn = ", True),
        ("[global]\n# reboot-on-error = true\nfqdn = ", False),
        ('{"global": {\n"reboot-on-error": true', True),
    ],
)
def test_who_wants_a_restart_although_the_answer_is_wrong(text: str, expected: bool) -> None:  # noqa: FBT001 - a row of a table
    assert wants_reboot(text) is expected


def test_the_findings_are_noted_before_a_check_refuses(
    machine: list[Inventory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_prepare, "resolve", resolve)
    machine[0] = BARE.model_copy(update={"memory_bytes": 512 * MIB})
    noted: list[Finding] = []
    with pytest.raises(CheckBlocksError, match="memory"):
        prepare(answers(ENS2), FakeRunner(), quiet, quiet, lambda _, found: noted.extend(found))
    (found,) = [finding for finding in noted if finding.severity == "blocking"]
    assert (found.id, found.allowed) == ("memory-minimum", False)


def test_what_is_allowed_is_told(machine: list[Inventory], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_prepare, "resolve", resolve)
    machine[0] = BARE.model_copy(update={"memory_bytes": 512 * MIB})
    warned = list[str]()
    noted: list[Finding] = []
    allowing = ENS2 + '[checks]\nallow = ["memory-minimum"]\n'
    prepare(answers(allowing), FakeRunner(), quiet, warned.append, lambda _, found: noted.extend(found))
    assert [text for text in warned if text.startswith("allowed by the answer: memory-minimum: ")]
    assert [finding.id for finding in noted if finding.allowed] == ["memory-minimum"]


def test_warnings_are_told_where_the_installation_is_refused_too(
    machine: list[Inventory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_prepare, "resolve", resolve)
    hiding = Controller(address="0000:00:17.0", kind="vmd", driver="vmd", hidden_disks=2)
    machine[0] = BARE.model_copy(update={"disks": (), "controllers": (hiding,)})
    warned = list[str]()
    with pytest.raises(UserError, match="no disk"):
        prepare(answers(ENS2), FakeRunner(), quiet, warned.append, no_note)
    assert "keeps the NVMe drives" in "".join(warned), "it may be why"
