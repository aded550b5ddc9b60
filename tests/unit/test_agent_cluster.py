from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from agent.api_client import ApiClient
from agent.cluster import (
    Standing,
    bootstrap_cluster,
    join_cluster,
    make_join_reply,
    read_standing,
    remove_member,
    render_address,
    reset_incus,
)
from agent.enrollment import Enrollment
from agent.enrollment_machine import NodeMachine
from agent.protocol import Facts, JoinReply
from hostlib.errors import StepError
from hostlib.incus import Incus
from tests.unit.cluster_fakes import ADDRESS, FakeMember, FakeNode, Moment, PowerCut, cut_files

REPLY = JoinReply(
    server_name="node2",
    cluster_address="192.0.2.11:8443",
    cluster_certificate="PEM",
    cluster_token="s3cret",
)
POOLS = [
    ("local", "source", "/var/lib/vz"),
    ("local-lvm", "source", "pve"),
    ("local-lvm", "lvm.thinpool_name", "data"),
    ("local-lvm", "lvm.vg.force_reuse", "true"),
]


def enrol(fake: FakeNode) -> None:
    """What `agent.enrollment` does once it has a join token."""
    try:
        standing = read_standing(fake.node)
    except StepError:
        standing = Standing.HALF
    if standing is Standing.MEMBER:
        return
    if standing is not Standing.CLEAN:
        reset_incus(fake.node)
    join_cluster(fake.node, REPLY)


def test_a_node_joins_with_its_own_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeNode(tmp_path)
    cut_files(fake, monkeypatch)
    assert read_standing(fake.node) is Standing.ALONE
    enrol(fake)
    assert read_standing(fake.node) is Standing.MEMBER
    request = fake.joins[0]
    assert [tuple(entry[key] for key in ("name", "key", "value")) for entry in request["member_config"]] == (
        POOLS
    )
    assert {entry["entity"] for entry in request["member_config"]} == {"storage-pool"}
    assert request["server_name"] == "node2"
    assert request["enabled"]
    assert not any("s3cret" in line for line in fake.commands)
    assert sorted((tmp_path / "var/lib/vz").iterdir()) == []


def test_a_node_that_has_joined_stays_a_member_whenever_its_power_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeNode(tmp_path)
    cut_files(fake, monkeypatch)
    enrol(fake)
    client = ApiClient((), "", lambda: datetime.now(UTC))
    facts = Facts(fqdn="node2.example.com", address=ADDRESS)
    machine = NodeMachine(fake.node, client, facts, str, lambda: None, lambda _: None)
    machine.save(Enrollment(state="joined"))
    fake.boot()
    assert read_standing(fake.node) is Standing.MEMBER


def test_an_incus_that_a_power_cut_left_without_its_certificate_is_not_waited_for(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path)
    (fake.state / "cluster.crt").touch()
    assert read_standing(fake.node) is Standing.HALF
    assert fake.commands == []


@pytest.mark.parametrize("moment", get_args(Moment))
@pytest.mark.parametrize(
    "work", [enrol, lambda fake: bootstrap_cluster(fake.node)], ids=["join", "bootstrap"]
)
def test_the_power_may_go_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: Moment, work: object
) -> None:
    assert callable(work)
    whole = FakeNode(tmp_path / "whole")
    with monkeypatch.context() as patched:
        cut_files(whole, patched)
        work(whole)
    assert whole.effects >= 4
    for number in range(whole.effects):
        fake = FakeNode(tmp_path / f"node{number}", cut=(number, moment))
        with monkeypatch.context() as patched:
            cut_files(fake, patched)
            with pytest.raises(PowerCut):
                work(fake)
            fake.boot()
            work(fake)
            assert read_standing(fake.node) is Standing.MEMBER
        assert fake.pools == {"local", "local-lvm"}
        assert not (fake.root / "var/lib/slipway/incus-cluster-change").exists()
        assert (fake.root / "var/lib/slipway/firstboot-done").exists()


@pytest.mark.parametrize(
    "work", [enrol, lambda fake: bootstrap_cluster(fake.node)], ids=["join", "bootstrap"]
)
def test_the_power_may_go_in_the_repair_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: object
) -> None:
    assert callable(work)
    cuts = 0
    for number in range(30):
        fake = FakeNode(tmp_path / f"node{number}", clustered="half", starts=False)
        (fake.root / "var/lib/slipway/incus-cluster-change").touch()
        fake.cut = (number, "after")
        with monkeypatch.context() as patched:
            cut_files(fake, patched)
            try:
                work(fake)
            except PowerCut:
                cuts += 1
                fake.boot()
                work(fake)
            assert read_standing(fake.node) is Standing.MEMBER
        assert fake.pools == {"local", "local-lvm"}
        assert (fake.root / "var/lib/slipway/firstboot-done").exists()
    assert cuts >= 6


def test_no_cluster_is_made_before_first_boot_has_made_the_pools_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeNode(tmp_path, clustered="half", starts=False, first_boot_fails=True)
    (tmp_path / "var/lib/slipway/incus-cluster-change").touch()
    cut_files(fake, monkeypatch)
    for _ in range(2):
        with pytest.raises(StepError, match="restart slipway-firstboot"):
            bootstrap_cluster(fake.node)
        assert (fake.clustered, fake.pools) == ("no", {"local"})
    fake.first_boot_fails = False
    bootstrap_cluster(fake.node)
    assert fake.pools == {"local", "local-lvm"}
    assert read_standing(fake.node) is Standing.MEMBER


def test_a_join_that_failed_is_cleaned_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeNode(tmp_path)
    cut_files(fake, monkeypatch)
    # What the network left when it went away during the join; the daemon runs on.
    fake.change("half")
    (tmp_path / "var/lib/incus/storage-pools/local/images").rmdir()
    (tmp_path / "var/lib/incus/storage-pools/local").rmdir()
    (tmp_path / "var/lib/incus/storage-pools/local").symlink_to(tmp_path / "var/lib/vz")
    assert read_standing(fake.node) is Standing.HALF
    reset_incus(fake.node)
    assert read_standing(fake.node) is Standing.CLEAN
    assert not list((tmp_path / "var/lib/incus").glob("cluster.*"))
    assert not list((tmp_path / "var/lib/incus").glob("database.*"))
    assert (
        f"systemd-run --quiet --wait --collect umount {tmp_path}/var/lib/incus/storage-pools/local"
        in fake.commands
    )
    fake.change("half")
    fake.clustered = "no"
    assert read_standing(fake.node) is Standing.ALONE


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("var/lib/incus/containers/web", "it has guests (web); export them"),
        ("var/lib/vz/images/debian.iso", "holds images, but must be empty; move that away"),
    ],
)
def test_guests_and_files_of_somebody_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, message: str
) -> None:
    fake = FakeNode(tmp_path)
    (tmp_path / where).write_text("precious")
    cut_files(fake, monkeypatch)
    with pytest.raises(StepError) as caught:
        reset_incus(fake.node)
    assert message in str(caught.value)
    assert (tmp_path / where).read_text() == "precious"


@pytest.mark.parametrize("work", [lambda fake: reset_incus(fake.node), enrol])
def test_volumes_in_the_thin_pool_stop_it(tmp_path: Path, work: object) -> None:
    assert callable(work)
    fake = FakeNode(tmp_path, volumes=("containers_web", "custom_data"))
    with pytest.raises(StepError, match="thin pool pve/data: holds containers_web, custom_data, but must be"):
        work(fake)
    fake = FakeNode(tmp_path / "other", thin_pool="-wi-a-----")
    with pytest.raises(StepError, match="VG pve: has no thin pool data"):
        work(fake)
    assert fake.effects == 0


def test_a_cluster_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeNode(tmp_path)
    cut_files(fake, monkeypatch)
    (tmp_path / "var/lib/incus/cluster.crt").write_text("of a join")
    bootstrap_cluster(fake.node)
    assert read_standing(fake.node) is Standing.MEMBER
    assert fake.pools == {"local", "local-lvm"}
    assert not any(line.startswith("systemctl") for line in fake.commands)
    fake.effects = 0
    bootstrap_cluster(fake.node)
    assert fake.effects == 0


def test_nothing_is_set_up_anew_where_no_change_was_begun(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path, starts=False)
    with pytest.raises(StepError, match="Daemon still not running"):
        bootstrap_cluster(fake.node)
    fake = FakeNode(tmp_path / "half", clustered="half")
    with pytest.raises(
        StepError, match="is in a cluster, but node2 is none of its members; nothing was changed"
    ):
        bootstrap_cluster(fake.node)
    assert fake.effects == 0


def test_enabling_without_effect_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeNode(tmp_path)
    monkeypatch.setattr(fake, "enable", lambda _name: None)
    with pytest.raises(StepError, match="clustering was enabled, but node2 is no member"):
        bootstrap_cluster(fake.node)


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("192.0.2.12/24", ADDRESS),
        ("192.0.2.12", ADDRESS),
        ("2001:db8::12/64", "[2001:db8::12]:8443"),
    ],
)
def test_the_endpoint_of_an_address(address: str, endpoint: str) -> None:
    assert render_address(address) == endpoint


def test_a_member_makes_what_a_node_needs() -> None:
    member = FakeMember()
    reply = make_join_reply(Incus(member), "node2", "192.0.2.12")
    assert reply.model_dump() == {
        "version": 1,
        "server_name": "node2",
        "cluster_address": "192.0.2.11:8443",
        "cluster_certificate": "PEM",
        "cluster_token": member.token,
    }
    assert member.changes == []


def test_what_a_cut_join_left_on_the_members_goes_first() -> None:
    member = FakeMember(
        joining={"node2": "192.0.2.99:8443", "node7": ADDRESS, "node9": "192.0.2.19:8443"},
        voters={"192.0.2.11:8443", ADDRESS, "192.0.2.19:8443"},
    )
    make_join_reply(Incus(member), "node2", "192.0.2.12")
    assert member.joining == {"node9": "192.0.2.19:8443"}
    assert member.voters == {"192.0.2.11:8443", "192.0.2.19:8443"}
    assert member.commands[-1] == "incus --quiet cluster add node2"


def test_a_member_that_its_node_forgot_goes_when_it_is_offline_and_empty() -> None:
    member = FakeMember({"node1": "Online", "node2": "Offline"})
    make_join_reply(Incus(member), "node2", "192.0.2.12")
    assert member.statuses == {"node1": "Online"}
    member = FakeMember({"node1": "Online", "node2": "Online"})
    with pytest.raises(StepError, match="node2: is a member of the cluster, Online"):
        make_join_reply(Incus(member), "node2", "192.0.2.12")
    member = FakeMember({"node1": "Online", "node2": "Offline"}, guests={"web": "node2", "db": "node1"})
    with pytest.raises(StepError, match=r"node2: holds guests \(web\)"):
        make_join_reply(Incus(member), "node2", "192.0.2.12")
    assert member.changes == []


@pytest.mark.parametrize("name", ["", "a'; DROP TABLE nodes; --", "-q", "node2.example.com", "a/b", "x" * 64])
def test_what_is_no_host_name_reaches_no_query(name: str) -> None:
    member = FakeMember()
    with pytest.raises(StepError, match="is no host name"):
        make_join_reply(Incus(member), name, "192.0.2.12")
    assert member.commands == []


def test_a_record_with_an_odd_name_is_left_alone() -> None:
    odd = "x' OR '1' = '1"
    member = FakeMember(joining={odd: ADDRESS})
    make_join_reply(Incus(member), "node2", "192.0.2.12")
    assert member.joining == {odd: ADDRESS}


def test_no_token_is_an_error() -> None:
    with pytest.raises(StepError, match="gave no token"):
        make_join_reply(Incus(FakeMember(token="")), "node2", "192.0.2.12")


@pytest.mark.parametrize("status", ["Online", "Offline", "Evacuated"])
def test_a_member_is_removed(status: str) -> None:
    member = FakeMember({"node1": "Online", "node2": status})
    remove_member(Incus(member), "node2")
    assert member.statuses == {"node1": "Online"}
    remove_member(Incus(member), "node2")
    member = FakeMember({"node2": status}, guests={"web": "node2", "db": "node2", "other": "node1"})
    with pytest.raises(StepError, match=rf"holds guests \(db, web\) and is {status}; move") as refused:
        remove_member(Incus(member), "node2")
    assert ("slipway node remove --force node2" in str(refused.value)) == (status == "Offline")
    if status == "Offline":
        assert remove_member(Incus(member), "node2", lose_guests=True) == ("db", "web")
        assert not member.statuses
    else:
        with pytest.raises(StepError, match="holds guests"):
            remove_member(Incus(member), "node2", lose_guests=True)
        assert member.statuses == {"node2": status}
