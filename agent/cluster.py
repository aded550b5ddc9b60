"""Incus's cluster: made, joined, left, and cleaned up after a change that was cut short.

What Incus 6.0 does not clean up itself (cmd/incusd/api_cluster.go, internal/server/cluster/membership.go):

- A join creates the cluster's storage pools on the node first, and refuses one that is there already
  ("Config key "source" is cluster member specific", github.com/lxc/incus/issues/1532). So a node joins with none,
  also when it tries again.
- A join that is cut may leave the cluster's certificate, a list of the database's members that Incus takes for
  "this server is clustered", and no database to start with. A node that has no guest loses nothing when Incus
  begins anew there; its disks are not touched.
- On the members a cut join leaves a pending record and an address in the database's own list, see `hostlib.incus`.
- The address that a node joins with is that of `core.https_address`: a bare port would be its name to all others.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, Final

from agent.protocol import JoinReply
from hostlib.errors import StepError
from hostlib.files import write_atomic
from hostlib.incus import INCUS_STATE, UNITS, Incus
from hostlib.paths import FIRSTBOOT_DONE, STATE
from hostlib.pools import clear_leftovers, plan_pools
from hostlib.ports import INCUS
from hostlib.run import Runner
from hostlib.seed import NodeSeed

CERTIFICATE: Final = INCUS_STATE / "cluster.crt"
DATABASE: Final = INCUS_STATE / "database"
CHANGE: Final = STATE / "incus-cluster-change"
"""There from before clustering is enabled until it is known to be."""
FIRSTBOOT_SECONDS: Final = 1830
"""The unit's own limit comes first: a second try would cut the one that goes on."""
GUESTS: Final = ("containers", "virtual-machines")
SOCKET: Final = "incus.socket"
NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
"""A host name without domain (RFC 1123); also what keeps a name from being anything else in a query."""
OFFLINE: Final = "Offline"


class Standing(Enum):
    """Where the Incus of a node stands."""

    CLEAN = "clean"
    """Alone, and nothing that a join would stumble over."""
    ALONE = "alone"
    """Alone, with storage pools or leftovers of a join."""
    HALF = "half"
    """It takes itself for clustered, but is no member."""
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class NodeIncus:
    """The Incus of this node, and where its files are."""

    runner: Runner
    seed: NodeSeed
    root: Path = Path("/")

    @property
    def incus(self) -> Incus:
        """The daemon."""
        return Incus(self.runner)

    @property
    def name(self) -> str:
        """What the node is called in the cluster: its host name, in lower case as in `NodeRecord.hostname`."""
        return self.seed.fqdn.split(".", 1)[0].lower()

    def path(self, absolute: Path) -> Path:
        """Give where `absolute` is below the root."""
        return self.root / absolute.relative_to("/")


def render_address(address: str) -> str:
    """Give host:port of Incus for a management address with or without prefix length."""
    ip = ip_interface(address).ip
    return f"[{ip}]:{INCUS}" if ip.version == 6 else f"{ip}:{INCUS}"


def render_member_config(seed: NodeSeed) -> list[dict[str, str]]:
    """Give what is the node's own in the cluster's storage pools, as `member_config` of PUT /1.0/cluster."""
    return [
        {"entity": "storage-pool", "name": plan.name, "key": key, "value": value}
        for plan in plan_pools(seed)
        for key, value in plan.config.items()
    ]


def read_standing(node: NodeIncus) -> Standing:
    """Tell where Incus stands. Raises StepError when it does not answer; that takes minutes."""
    certificate = node.path(CERTIFICATE)
    if certificate.exists() and not certificate.stat().st_size:
        # A power cut while it joined. With this it does not start, and that is waited for in vain.
        return Standing.HALF
    node.incus.wait_ready()
    cluster = node.incus.read_cluster()
    if cluster.enabled:
        names = {member.server_name for member in node.incus.read_members()}
        return Standing.MEMBER if cluster.server_name == node.name in names else Standing.HALF
    unclean = node.path(CERTIFICATE).exists() or node.incus.read_pools()
    return Standing.ALONE if unclean else Standing.CLEAN


def join_cluster(node: NodeIncus, reply: JoinReply) -> None:
    """Join the cluster with an Incus that is CLEAN. Raises StepError; then its standing may be any."""
    _check_volumes(node)
    for plan in plan_pools(node.seed):
        # Also makes the folder of the directory pool, which first boot has left to the join.
        clear_leftovers(node.runner, node.root, plan)
    address = render_address(node.seed.address)
    node.incus.add_config({"core.https_address": address})
    request: dict[str, Any] = {
        "enabled": True,
        "server_name": reply.server_name,
        "server_address": address,
        "cluster_address": reply.cluster_address,
        "cluster_certificate": reply.cluster_certificate,
        "member_config": render_member_config(node.seed),
    }
    node.incus.join_cluster(request, reply.cluster_token)


def reset_incus(node: NodeIncus) -> None:
    """Have Incus begin anew, with no pool and no cluster; disks and guests are never touched.

    May be cut and run again. Raises StepError when there are guests or files of somebody, or Incus does not start.
    """
    folders = (node.path(INCUS_STATE / kind) for kind in GUESTS)
    guests = sorted(entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir())
    if guests:
        raise StepError(
            f"Incus: cannot be set up anew for the cluster, it has guests ({', '.join(guests)}); export them "
            "(`incus export`), delete them here, and import them again in the cluster"
        )
    _check_volumes(node)
    node.runner.run(["systemctl", "stop", SOCKET, *UNITS])
    for suffix in (".crt", ".key", ".ca"):
        node.path(CERTIFICATE).with_suffix(suffix).unlink(missing_ok=True)
    _remove_database(node.path(DATABASE))
    for plan in plan_pools(node.seed):
        clear_leftovers(node.runner, node.root, plan)
    # After failures in a row systemd refuses even the socket, whatever has been repaired since.
    node.runner.run(["systemctl", "reset-failed", SOCKET, *UNITS], ok=(0, 1))
    node.runner.run(["systemctl", "start", SOCKET, *UNITS])
    node.incus.wait_ready()
    # Its first start does not wait for the disk.
    os.sync()


def _remove_database(path: Path) -> None:
    aside = path.with_name(f"{path.name}.removed")
    if aside.exists():
        shutil.rmtree(aside)
    if path.exists():
        # In one step: Incus takes a part of a database for one of an older version.
        path.replace(aside)
        shutil.rmtree(aside)


def _check_volumes(node: NodeIncus) -> None:
    pool = node.seed.thin_pool
    if pool is None:
        return
    argv = ["lvs", "--noheadings", "--separator=,", "--options=lv_name,lv_attr,pool_lv", node.seed.vg]
    rows = [line.strip().split(",") for line in node.runner.run(argv).stdout.splitlines() if line.strip()]
    attributes = {row[0]: row[1] for row in rows}
    if not attributes.get(pool, "").startswith("t"):
        # Incus would make one that is missing, of all the space that is left in the VG.
        raise StepError(f"VG {node.seed.vg}: has no thin pool {pool}; look at `lvs -a`")
    if volumes := [row[0] for row in rows if row[2] == pool]:
        raise StepError(
            f"thin pool {node.seed.vg}/{pool}: holds {', '.join(volumes)}, but must be empty to join a cluster; "
            "back these up and remove them with lvremove"
        )


def bootstrap_cluster(node: NodeIncus) -> None:
    """Make a cluster of this node alone; its storage pools stay. May be cut and run again. Raises StepError, OSError.

    A cut while Incus changes is repaired by setting Incus up anew; first boot then makes the pools.
    """
    change = node.path(CHANGE)
    standing = _read_changed_standing(node)
    if standing is Standing.HALF:
        reset_incus(node)
        standing = Standing.CLEAN
    done = node.path(FIRSTBOOT_DONE)
    if standing is Standing.CLEAN or (standing is Standing.ALONE and not done.exists()):
        # It lacks pools. The mark goes only now: first boot could do nothing with an Incus that does not start, and
        # at the next boot this daemon waits for it.
        done.unlink(missing_ok=True)
        argv = ["systemctl", "restart", "slipway-firstboot.service"]
        node.runner.run(argv, timeout_seconds=FIRSTBOOT_SECONDS)
        standing = read_standing(node)
    if standing in {Standing.ALONE, Standing.CLEAN}:
        write_atomic(change, "")
        # Incus refuses to begin with one that a join has left.
        for suffix in (".crt", ".key", ".ca"):
            node.path(CERTIFICATE).with_suffix(suffix).unlink(missing_ok=True)
        node.incus.add_config({"core.https_address": render_address(node.seed.address)})
        node.incus.enable_cluster(node.name)
        standing = read_standing(node)
    if standing is not Standing.MEMBER:
        raise StepError(f"Incus: clustering was enabled, but {node.name} is no member; look at `incus info`")
    # Incus does not wait for the disk. What the mark stands for is repeatable only as long as it is there.
    os.sync()
    change.unlink(missing_ok=True)


def _read_changed_standing(node: NodeIncus) -> Standing:
    try:
        standing = read_standing(node)
    except StepError:
        # Without the mark it is something else that is wrong, and nothing may be removed.
        if not node.path(CHANGE).exists():
            raise
        return Standing.HALF
    if standing is Standing.HALF and not node.path(CHANGE).exists():
        raise StepError(
            f"Incus: is in a cluster, but {node.name} is none of its members; nothing was changed"
        )
    return standing


def make_join_reply(incus: Incus, name: str, address: str) -> JoinReply:
    """Make what a node needs to join as `name`, after removing what an earlier try of it left on the members.

    `address` is the node's management address. Raises StepError, also when a member of that name is in use.
    """
    if not NAME.fullmatch(name):
        raise StepError(f"{name}: is no host name; install the node with another one")
    if any(member.server_name == name for member in incus.read_members()):
        remove_member(incus, name, offline_only=True)
    endpoint = render_address(address)
    for joining, where in incus.read_joining().items():
        if (joining == name or where == endpoint) and NAME.fullmatch(joining):
            incus.forget_joining(joining)
    addresses = {member.url.removeprefix("https://") for member in incus.read_members()}
    if endpoint in incus.read_voters() - addresses:
        incus.remove_voter(endpoint)
    server = incus.read_server()
    return JoinReply(
        server_name=name,
        cluster_address=server.config.get("cluster.https_address", ""),
        cluster_certificate=server.environment.certificate,
        cluster_token=incus.make_join_token(name),
    )


def void_join(incus: Incus, name: str) -> None:
    """Take from a node what it could still join as `name` with: a token is good for hours. Raises StepError."""
    if NAME.fullmatch(name):
        incus.revoke_join_token(name)
        if name in incus.read_joining():
            incus.forget_joining(name)


def remove_member(
    incus: Incus, name: str, *, offline_only: bool = False, lose_guests: bool = False
) -> tuple[str, ...]:
    """Take a member out of the cluster; nothing to do when there is none of that name. Give the guests that are lost.

    One that is online has Incus begin anew there. Raises StepError when it holds guests, or is not offline although
    it must be. With `lose_guests` those of a member that is offline are given up.
    """
    status = {member.server_name: member.status for member in incus.read_members()}.get(name)
    if status is None:
        return ()
    if offline_only and status != OFFLINE:
        raise StepError(f"{name}: is a member of the cluster, {status}; look at `incus cluster list`")
    guests = tuple(sorted(guest.name for guest in incus.read_instances() if guest.location == name))
    if guests and not (lose_guests and status == OFFLINE):
        todo = "move or delete them (incus move GUEST --target MEMBER, incus delete GUEST)"
        if status == OFFLINE:
            todo += f", or, when its disks are lost, give them up: slipway node remove --force {name}"
        raise StepError(f"{name}: holds guests ({', '.join(guests)}) and is {status}; {todo}")
    incus.remove_member(name, force=status == OFFLINE)
    return guests
