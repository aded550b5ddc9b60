"""Incus, asked over its local socket through its own client (`incus query`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hostlib.errors import CommandError, StepError
from hostlib.run import Runner

# A daemon under software emulation, or one that is upgrading its database, needs minutes.
TIMEOUT_SECONDS: Final = 300
CREATED: Final = "Created"
INCUS_STATE: Final = Path("/var/lib/incus")
UNIT: Final = "incus.service"
# The second one starts the daemon at each boot, when it has something to serve.
UNITS: Final = (UNIT, "incus-startup.service")
# A pool's record is written first and marked as made (state 1) last. What a power cut leaves in between cannot be
# repaired through the API: it refuses to create the pool again, and deleting one that it finds `Unavailable`
# would work on the disk. These queries touch the record alone.
SQL: Final = ("incus", "admin", "sql")
READ_UNFINISHED: Final = "SELECT name FROM storage_pools WHERE id IN (SELECT storage_pool_id FROM storage_pools_nodes WHERE state = 0)"
FORGET_UNFINISHED: Final = READ_UNFINISHED.replace("SELECT name", "DELETE", 1)
# A server that joins gets a record in state 1 (pending) until it has joined. What a cut leaves of it is in no
# answer of the API, cannot be removed through it, and keeps the next try from being accepted
# (github.com/lxc/incus/issues/2063, repaired after 6.0.4).
READ_JOINING: Final = "SELECT name, address FROM nodes WHERE state = 1"
FORGET_JOINING: Final = "DELETE FROM nodes WHERE state = 1 AND name = '{}'"
NOT_INVITED: Final = "No cluster join token"
READ_VOTERS: Final = "SELECT address FROM raft_nodes"

T = TypeVar("T")


class _Answer(BaseModel):
    # Incus adds keys within a release series.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Pool(_Answer):
    """A storage pool."""

    name: str
    driver: str
    status: str
    """CREATED, or what Incus finds wrong with it: `Pending`, `Unavailable`, …"""
    config: dict[str, str] = Field(default_factory=dict)


class Profile(_Answer):
    """A profile: the settings and devices that instances get from it."""

    devices: dict[str, dict[str, str]] = Field(default_factory=dict)


class Environment(_Answer):
    """What the daemon says of itself."""

    certificate: str = ""
    """PEM of what it shows on the network: in a cluster, that of the cluster."""


class Server(_Answer):
    """The daemon's own settings."""

    config: dict[str, str] = Field(default_factory=dict)
    environment: Environment = Field(default_factory=Environment)


class Cluster(_Answer):
    """Whether the daemon is in a cluster."""

    server_name: str = ""
    enabled: bool = False


class Member(_Answer):
    """A member of the cluster. One that is still joining is not among them."""

    server_name: str
    url: str
    status: str
    """`Online`, `Offline`, `Evacuated`, `Blocked`."""
    message: str = ""


class Instance(_Answer):
    """A guest."""

    name: str
    location: str = ""
    """Name of the member that it is on."""


class _Rows(_Answer):
    rows: list[list[str]] | None = None


_POOLS = TypeAdapter(list[Pool])
_ROWS = TypeAdapter(_Rows)
_PROFILE = TypeAdapter(Profile)
_SERVER = TypeAdapter(Server)
_CLUSTER = TypeAdapter(Cluster)
_MEMBERS = TypeAdapter(list[Member])
_INSTANCES = TypeAdapter(list[Instance])


class Incus:
    """The local daemon. Every method raises CommandError when it refuses, StepError on an odd answer."""

    def __init__(self, runner: Runner) -> None:
        """Take the door for subprocesses."""
        self._runner = runner

    def wait_ready(self) -> None:
        """Wait until the daemon answers."""
        argv = ["incus", "admin", "waitready", f"--timeout={TIMEOUT_SECONDS}"]
        # The client's own limit comes first, so that its message is the one to be seen.
        self._runner.run(argv, timeout_seconds=TIMEOUT_SECONDS + 30)

    def read_pools(self) -> dict[str, Pool]:
        """Give the storage pools by name, unfinished ones too."""
        return {pool.name: pool for pool in self._get("/1.0/storage-pools?recursion=1", _POOLS)}

    def create_pool(self, name: str, driver: str, config: Mapping[str, str]) -> None:
        """Create a storage pool."""
        self._send("POST", "/1.0/storage-pools", {"name": name, "driver": driver, "config": config})

    def read_unfinished_pools(self) -> set[str]:
        """Give the names of pools whose creation was cut short. Only for a node that is in no cluster."""
        rows = self._ask([*SQL, "--format=json", "global", READ_UNFINISHED], _ROWS).rows
        return {row[0] for row in rows or ()}

    def forget_unfinished_pools(self) -> None:
        """Delete the records of pools whose creation was cut short; nothing on disk is touched.

        The daemon still knows them until it is restarted. Only for a node that is in no cluster, where another
        member's part of a pool may be waiting for that member.
        """
        self._runner.run([*SQL, "global", FORGET_UNFINISHED], timeout_seconds=TIMEOUT_SECONDS)

    def read_profile(self, name: str) -> Profile:
        """Give a profile of the default project."""
        return self._get(f"/1.0/profiles/{name}", _PROFILE)

    def add_devices(self, profile: str, devices: Mapping[str, Mapping[str, str]]) -> None:
        """Add devices to a profile; those of other names stay."""
        self._send("PATCH", f"/1.0/profiles/{profile}", {"devices": devices})

    def read_config(self) -> dict[str, str]:
        """Give the daemon's settings."""
        return self.read_server().config

    def read_server(self) -> Server:
        """Give the daemon's settings and what it says of itself."""
        return self._get("/1.0", _SERVER)

    def add_config(self, config: Mapping[str, str]) -> None:
        """Set some of the daemon's settings; the others stay."""
        self._send("PATCH", "/1.0", {"config": config})

    def read_instances(self) -> list[Instance]:
        """Give the guests of all projects; in a cluster, those of all members."""
        return self._get("/1.0/instances?recursion=1&all-projects=true", _INSTANCES)

    def read_cluster(self) -> Cluster:
        """Tell whether the daemon is in a cluster."""
        return self._get("/1.0/cluster", _CLUSTER)

    def read_members(self) -> list[Member]:
        """Give the members of the cluster, without those that are still joining."""
        return self._get("/1.0/cluster/members?recursion=1", _MEMBERS)

    def enable_cluster(self, name: str) -> None:
        """Make a cluster of this daemon alone, in which it is called `name`."""
        self._runner.run(["incus", "cluster", "enable", name], timeout_seconds=TIMEOUT_SECONDS)

    def join_cluster(self, cluster: Mapping[str, Any], token: str) -> None:
        """Join a cluster. `cluster` is what PUT /1.0/cluster takes, without the token.

        The token goes by standard input, where no list of processes shows it: with a server address in it, a preseed
        is that one request and nothing else (Incus 6.0, cmd/incus/admin_init.go).
        """
        preseed = json.dumps({"cluster": {**cluster, "cluster_token": token}})
        argv = ["incus", "admin", "init", "--preseed"]
        self._runner.run(argv, input_text=preseed, secrets=[token], timeout_seconds=TIMEOUT_SECONDS)

    def make_join_token(self, name: str) -> str:
        """Make the token with which a server joins as `name`; an earlier one for that name ends."""
        argv = ["incus", "--quiet", "cluster", "add", name]
        lines = self._runner.run(argv, timeout_seconds=TIMEOUT_SECONDS).stdout.split()
        if not lines:
            raise StepError(f"{' '.join(argv)}: gave no token")
        return lines[-1]

    def revoke_join_token(self, name: str) -> None:
        """End the token with which a server could join as `name`; nothing to do when there is none."""
        argv = ["incus", "--quiet", "cluster", "revoke-token", name]
        try:
            self._runner.run(argv, timeout_seconds=TIMEOUT_SECONDS)
        except CommandError as error:
            if NOT_INVITED not in error.output:
                raise

    def remove_member(self, name: str, *, force: bool) -> None:
        """Remove a member. With `force` it need not be in reach, and records of its guests go too."""
        argv = ["incus", "query", "--request", "DELETE", f"/1.0/cluster/members/{name}?force={force:d}"]
        self._runner.run(argv, timeout_seconds=TIMEOUT_SECONDS)

    def read_joining(self) -> dict[str, str]:
        """Give name and address of the servers whose joining has begun and not ended."""
        rows = self._ask([*SQL, "--format=json", "global", READ_JOINING], _ROWS).rows
        return {row[0]: row[1] for row in rows or ()}

    def forget_joining(self, name: str) -> None:
        """Delete the record of a server whose joining was cut short; `name` must be a host name."""
        self._runner.run([*SQL, "global", FORGET_JOINING.format(name)], timeout_seconds=TIMEOUT_SECONDS)

    def read_voters(self) -> set[str]:
        """Give the addresses (host:port) that take part in the database of the cluster."""
        rows = self._ask([*SQL, "--format=json", "local", READ_VOTERS], _ROWS).rows
        return {row[0] for row in rows or ()}

    def remove_voter(self, address: str) -> None:
        """Take an address out of the database of the cluster."""
        argv = ["incus", "admin", "cluster", "remove-raft-node", "--quiet", address]
        self._runner.run(argv, timeout_seconds=TIMEOUT_SECONDS)

    def _get(self, path: str, kind: TypeAdapter[T]) -> T:
        return self._ask(["incus", "query", path], kind)

    def _ask(self, argv: list[str], kind: TypeAdapter[T]) -> T:
        done = self._runner.run(argv, timeout_seconds=TIMEOUT_SECONDS)
        try:
            # `incus query` prints nothing at all for an empty list.
            return kind.validate_json(done.stdout.strip() or "[]")
        except ValidationError as error:
            wrong = error.errors()[0]["msg"]
            raise StepError(f"{' '.join(argv)}: not the answer that was expected: {wrong}") from error

    def _send(self, method: str, path: str, data: Mapping[str, Any]) -> None:
        argv = ["incus", "query", "--request", method, "--data", json.dumps(data), path]
        self._runner.run(argv, timeout_seconds=TIMEOUT_SECONDS)
