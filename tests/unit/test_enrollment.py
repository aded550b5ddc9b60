from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import pytest

from agent.cluster import Standing
from agent.enrollment import (
    LONGEST_WAIT_SECONDS,
    Enrollment,
    Event,
    Failed,
    Joined,
    Refused,
    State,
    Told,
    load_enrollment,
    plan_pause,
    run_enrollment,
    transition,
)
from agent.protocol import Code, EnrollReply, NodeState, Refusal
from hostlib.errors import StepError
from tests.unit.enrollment_fakes import ID, EndlessError, Moment, Node, PowerCut, refused


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    # Waiting for the disk of the machine that runs the tests would only cost time.
    monkeypatch.setattr(os, "fsync", lambda _: None)


def assert_enrolled_once(node: Node) -> None:
    assert node.load() == Enrollment(state="serving", id=ID)
    assert node.cluster.states == {ID: "serving"}
    assert node.cluster.uses == 0
    assert node.cluster.members == {"node2"}
    assert node.cluster.joining == set()
    assert node.cluster.accepted == 1
    assert node.standing is Standing.MEMBER
    assert node.kept == ("C", "A")
    assert not node.has_token


def test_a_node_comes_into_the_cluster_without_waiting(tmp_path: Path) -> None:
    node = Node(tmp_path)
    assert run_enrollment(node).state == "serving"
    assert_enrolled_once(node)
    assert node.slept == []
    node.effects = 0
    assert run_enrollment(node).state == "serving"
    assert node.effects == 0


@pytest.mark.parametrize("moment", get_args(Moment))
def test_the_power_may_go_at_any_moment(tmp_path: Path, moment: Moment) -> None:
    whole = Node(tmp_path / "whole")
    run_enrollment(whole)
    assert whole.effects == 10
    for number in range(whole.effects):
        node = Node(tmp_path / f"node{number}", cut=(number, moment))
        with pytest.raises(PowerCut):
            run_enrollment(node)
        node.boot()
        run_enrollment(node)
        assert_enrolled_once(node)


@pytest.mark.parametrize("moment", get_args(Moment))
def test_the_power_may_go_twice(tmp_path: Path, moment: Moment) -> None:
    for first in range(10):
        for second in range(8):
            node = Node(tmp_path / f"node{first}-{second}", cut=(first, moment))
            with pytest.raises(PowerCut):
                run_enrollment(node)
            node.boot()
            node.cut = (second, "during")
            try:
                run_enrollment(node)
            except PowerCut:
                node.boot()
                run_enrollment(node)
            assert_enrolled_once(node)


def test_the_service_may_be_away_for_an_hour(tmp_path: Path) -> None:
    node = Node(tmp_path, down_until=3600)
    run_enrollment(node)
    assert_enrolled_once(node)
    assert 3600 <= node.clock <= 3600 + LONGEST_WAIT_SECONDS
    assert node.slept[:4] == [1, 2, 4, 8]
    assert max(node.slept) == LONGEST_WAIT_SECONDS
    assert len(node.slept) < 25
    # The reason is told and written once, not at each try.
    assert node.told[0].startswith("https://192.0.2.10:8007: no connection: No route to host")
    assert len([reason for reason in node.told if reason]) == 1


def test_the_network_may_go_away_during_the_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path)
    tries: list[int] = []

    def fails_twice() -> None:
        tries.append(1)
        if len(tries) > 2:
            return join()
        node.half_join()
        raise StepError("Error: Failed to join cluster: context deadline exceeded")

    join = node.join
    monkeypatch.setattr(node, "join", fails_twice)
    run_enrollment(node)
    assert_enrolled_once(node)
    assert node.slept == [1, 2]
    assert "Failed to join cluster" in node.told[1]


def test_a_join_without_effect_is_no_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path, patience=60)
    monkeypatch.setattr(node, "join", lambda: None)
    with pytest.raises(EndlessError):
        run_enrollment(node)
    assert node.load().state == "approved"
    assert "is no member of the cluster" in node.load().reason


def test_incus_that_is_down_is_not_reset_while_no_member_answers(tmp_path: Path) -> None:
    node = Node(tmp_path, cut=(9, "before"))
    with pytest.raises(PowerCut):
        run_enrollment(node)
    node.boot()
    # Joined, but its cluster is out of reach: that is no half join.
    node.path.write_text(Enrollment(state="approved", id=ID).model_dump_json(by_alias=True))
    node.answers, node.down_until = False, 300

    def back() -> None:
        node.answers = node.clock > 200

    node.on_sleep = back
    run_enrollment(node)
    assert_enrolled_once(node)


@pytest.mark.parametrize("name", ["state", "certificate"])
def test_a_full_disk_leaves_the_state_whole(tmp_path: Path, name: str) -> None:
    node = Node(tmp_path, full={name})

    def room() -> None:
        if node.clock > 30:
            node.full.clear()
        assert node.load() in {Enrollment(), Enrollment(reason=node.load().reason)}
        assert node.has_token
        assert not node.cluster.made

    node.on_sleep = room
    run_enrollment(node)
    assert_enrolled_once(node)
    assert "No space left on device" in node.told[0]


def test_a_write_that_fails_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path)
    node.save(Enrollment(state="requested", id=ID))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            node.save(Enrollment(state="approved", id=ID))
    assert node.load().state == "requested"


def test_a_node_waits_to_be_approved(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.cluster.policy = "requested"

    def approve() -> None:
        assert node.load().state == "requested"
        assert node.load().reason == "waits to be approved by a member"
        assert node.has_token
        if node.clock > 1000:
            node.cluster.states[ID] = "approved"

    node.on_sleep = approve
    run_enrollment(node)
    assert_enrolled_once(node)


@pytest.mark.parametrize("state", ["rejected", "removed"])
@pytest.mark.parametrize("known", ["requested", "approved", "serving"])
def test_a_node_that_is_turned_away_stops_and_says_what_to_do(
    tmp_path: Path, state: NodeState, known: State
) -> None:
    node = Node(tmp_path)
    node.cluster.states[ID] = state
    if known != "serving":
        node.path.write_text(Enrollment(state=known, id=ID).model_dump_json(by_alias=True))
    node.kept = ("C", "A")
    stopped = run_enrollment(node)
    assert stopped == node.load()
    assert stopped.state == state
    assert f"the cluster has {state} this node" in stopped.reason
    assert ("slipway node approve" in stopped.reason) == (state == "rejected")
    assert ("install this machine again" in stopped.reason) == (state == "removed")
    assert node.told[-1] == stopped.reason
    # It asks once at each start; the answer may be another one then.
    assert run_enrollment(node).state == state
    node.cluster.states[ID], node.cluster.uses = "approved", 0
    run_enrollment(node)
    assert_enrolled_once(node)


def test_a_node_that_was_turned_away_keeps_what_to_do_while_nobody_answers(tmp_path: Path) -> None:
    node = Node(tmp_path, down_until=600)
    kept = Enrollment(state="removed", id=ID, reason="removed; do that")
    node.save(kept)
    node.cluster.states[ID] = "removed"

    def unchanged() -> None:
        assert node.load() == kept

    node.on_sleep = unchanged
    assert run_enrollment(node).state == "removed"
    assert node.clock > 600


def test_a_lost_state_finds_the_node_a_member(tmp_path: Path) -> None:
    node = Node(tmp_path)
    run_enrollment(node)
    made = node.cluster.made
    node.path.write_text('{"schema": 7}')
    run_enrollment(node)
    assert_enrolled_once(node)
    assert node.cluster.made == made
    assert (tmp_path / "enrollment.json.odd").read_text() == '{"schema": 7}'


def test_a_record_that_the_cluster_lost_is_made_again(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.save(Enrollment(state="requested", id=ID))
    run_enrollment(node)
    assert_enrolled_once(node)
    assert node.slept == [1]


@pytest.mark.parametrize("state", ["approved", "joined"])
def test_so_is_that_of_a_node_which_had_got_further(state: State) -> None:
    unknown = Refused(refused("node-unknown").refusal, "no")
    back = transition(Enrollment(state=state, id=ID), unknown)
    assert back.state == "requested"
    assert transition(back, unknown).state == "new"


def test_a_node_that_the_members_do_not_name_joins_again(tmp_path: Path) -> None:
    node = Node(tmp_path)
    # It had joined; then somebody took it out of Incus's cluster.
    node.save(Enrollment(state="joined", id=ID))
    node.cluster.states[ID], node.cluster.uses, node.kept = "approved", 0, ("C", "A")
    node.has_token = False
    run_enrollment(node)
    assert_enrolled_once(node)


def test_a_certificate_that_is_not_taken_does_not_make_it_hurry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path, patience=2000)

    def refuse() -> None:
        raise refused("not-this-node")

    monkeypatch.setattr(node.cluster, "read_join", refuse)
    with pytest.raises(EndlessError):
        run_enrollment(node)
    assert len(node.slept) < 20


def test_a_refusal_is_told_and_asked_again_when_the_member_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path, patience=1000)
    node.cluster.uses = 0
    with pytest.raises(EndlessError):
        run_enrollment(node)
    assert (
        node.told[0] == "https://192.0.2.10:8007: refused (token-used-up): no; do that" == node.load().reason
    )

    def limited(_token: str) -> EnrollReply:
        raise refused("rate-limited", 77)

    monkeypatch.setattr(node.cluster, "enroll", limited)
    node.slept.clear()
    node.patience = 3000
    with pytest.raises(EndlessError):
        run_enrollment(node)
    assert node.slept[:7] == [77] * 7


def test_no_certificate_is_no_approval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path, patience=10)
    reply = EnrollReply(id=ID, state="approved")
    monkeypatch.setattr(node.cluster, "enroll", lambda _token: reply)
    with pytest.raises(EndlessError):
        run_enrollment(node)
    assert node.load().state == "new"
    assert "sent no certificate" in node.load().reason


STATES = get_args(State)
EVENTS: list[Event] = [
    Joined(),
    Failed("why"),
    *(Refused(Refusal(code=code, reason="no"), "no") for code in get_args(Code)),
    *(Told(EnrollReply(id=ID, state=state)) for state in get_args(NodeState)),
]


@pytest.mark.parametrize("state", STATES)
def test_every_transition_gives_a_state_and_a_reason_to_wait(state: State) -> None:
    now = Enrollment(state=state, id=ID)
    for event in EVENTS:
        after = transition(now, event)
        assert after.id == ID
        if after.state == state and state not in {"rejected", "removed", "joined", "serving", "approved"}:
            assert after.reason, event
        if after.state in {"rejected", "removed"} and state != after.state:
            todo = {"rejected": "slipway node approve", "removed": "install this machine again"}
            assert todo[after.state] in after.reason
        if (
            isinstance(event, Refused)
            and event.refusal.code == "node-unknown"
            and state in {"rejected", "removed"}
        ):
            assert after == now
        if after.state == "serving" and state != "serving":
            assert (state, type(event)) == ("joined", Told)
        if after.state == "joined" and state != "joined":
            assert isinstance(event, Joined)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_pauses_grow_up_to_a_limit(chance: float) -> None:
    pauses = [plan_pause(tries, chance) for tries in range(1, 200)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.5 + chance
    assert pauses[-1] == min(300, 300 * (0.5 + chance))
    assert plan_pause(1, chance, 60) == 60


def test_a_state_of_nobody_is_new(tmp_path: Path) -> None:
    assert load_enrollment(tmp_path / "none") == (Enrollment(), None)
