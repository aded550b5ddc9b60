"""Incus, asked over its local socket through its own client (`incus query`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hostlib.errors import StepError
from hostlib.run import Runner

# A daemon under software emulation, or one that is upgrading its database, needs minutes.
TIMEOUT_SECONDS: Final = 300
CREATED: Final = "Created"
# A pool's record is written first and marked as made (state 1) last. What a power cut leaves in between cannot be
# repaired through the API: it refuses to create the pool again, and deleting one that it finds `Unavailable`
# would work on the disk. These queries touch the record alone.
SQL: Final = ("incus", "admin", "sql")
READ_UNFINISHED: Final = "SELECT name FROM storage_pools WHERE id IN (SELECT storage_pool_id FROM storage_pools_nodes WHERE state = 0)"
FORGET_UNFINISHED: Final = READ_UNFINISHED.replace("SELECT name", "DELETE", 1)

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


class Server(_Answer):
    """The daemon's own settings."""

    config: dict[str, str] = Field(default_factory=dict)


class _Rows(_Answer):
    rows: list[list[str]] | None = None


_POOLS = TypeAdapter(list[Pool])
_ROWS = TypeAdapter(_Rows)
_PROFILE = TypeAdapter(Profile)
_SERVER = TypeAdapter(Server)


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
        return self._get("/1.0", _SERVER).config

    def add_config(self, config: Mapping[str, str]) -> None:
        """Set some of the daemon's settings; the others stay."""
        self._send("PATCH", "/1.0", {"config": config})

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
