"""The cluster's records: text by key in Incus's replicated database, so that any member can answer.

They stand in the configuration of the project `default`, which is there from the first start and cannot be deleted. Not
in that of the server: where a member that passes for alive does not answer, as one that has just lost its power, Incus
6.0 takes `PATCH /1.0` back by replacing the whole configuration with the keys of that one request. All others are gone
then, and the address of the member too, so that it sends no heartbeat any more (cmd/incusd/api_1.0.go, doApi10Update).

What Incus 6.0 promises, by its source (cmd/incusd/api_project.go): a project is read from the database, so that all
members see the same, and `PUT` replaces all of its configuration in one transaction, without asking another member.
`If-Match` is compared just before that transaction begins. So two writes at one moment may both pass: a lock keeps the
writers of one member apart, and who has written looks whether it is there. Two members could still miss each other by
some milliseconds; what must not be lost then is counted from keys that have one writer each (`agent.enroll_policy`).

`incus query` sends no If-Match and has the values as arguments, which every user of the machine could read in the
list of processes. So the daemon's socket is spoken to.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import aiohttp

from hostlib.errors import Problem, StepError
from hostlib.paths import RUN

SOCKET: Final = Path("/var/lib/incus/unix.socket")
LOCK: Final = RUN / "store.lock"
PREFIX: Final = "user.slipway."
URL: Final = "http://incus/1.0/projects/default"
# The database may be choosing another leader.
TIMEOUT_SECONDS: Final = 60.0
LOCK_SECONDS: Final = 0.02
UNCHANGED_STATUS: Final = 412
SHOWN_CHARACTERS: Final = 200
TRIES: Final = 8
TRY_SECONDS: Final = 0.2

T = TypeVar("T")
Values = Mapping[str, str]
Changes = Mapping[str, str | None]


class StoreError(StepError):
    """The store does not answer, or not as expected. A write may have been done or not."""


class Conflict(StoreError):  # noqa: N818 - what it is called wherever records are written
    """Something was written since the ETag was read; nothing of this write was done."""


class Store(Protocol):
    """Text by key; keys begin with PREFIX. Every method raises StoreError."""

    async def read_all(self, prefix: str = PREFIX) -> tuple[dict[str, str], str]:
        """Give all keys that begin with `prefix`, and the ETag to write any of them with."""

    async def write_all(self, changes: Mapping[str, str | None], etag: str) -> None:
        """Set several keys (None deletes one), all of them or none.

        Raises Conflict when anything in the store was changed since `etag` was read.
        """

    async def read(self, key: str) -> tuple[str | None, str]:
        """Give the value of `key` (None: there is none) and the ETag to write it with."""
        values, etag = await self.read_all(key)
        return values.get(key), etag

    async def write(self, key: str, value: str | None, etag: str) -> None:
        """Set `key`, or delete it with None; as `write_all`."""
        await self.write_all({key: value}, etag)

    async def keys(self, prefix: str = PREFIX) -> tuple[str, ...]:
        """Give the keys that begin with `prefix`, sorted."""
        return tuple(sorted((await self.read_all(prefix))[0]))


async def change_store(store: Store, plan: Callable[[Values], tuple[T, Changes]]) -> tuple[T, bool]:
    """Write what `plan` makes of what is there; when another was faster, of what is there then.

    Gives the result of the plan, and whether anything was to be written. Raises StoreError, and what the plan raises.
    """
    for attempt in range(TRIES):
        values, etag = await store.read_all()
        result, changes = plan(values)
        if not changes:
            return result, False
        try:
            await store.write_all(changes, etag)
        except Conflict:
            # Jitter keeps two members from meeting again; no secret hangs on it.
            await asyncio.sleep(random.uniform(0, TRY_SECONDS * attempt))  # noqa: S311
        else:
            return result, True
    raise StoreError(f"the cluster's configuration: changed by others {TRIES} times in a row; try again")


class MemoryStore(Store):
    """A store that lives as long as the process: for tests."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._version = 0

    async def read_all(self, prefix: str = PREFIX) -> tuple[dict[str, str], str]:
        """See Store."""
        found = {key: value for key, value in self._values.items() if key.startswith(prefix)}
        return found, str(self._version)

    async def write_all(self, changes: Mapping[str, str | None], etag: str) -> None:
        """See Store."""
        _check_keys(changes)
        if etag != str(self._version):
            raise _conflict()
        self._version += 1
        for key, value in changes.items():
            self._values.pop(key, None)
            if value is not None:
                self._values[key] = value


class IncusStore(Store):
    """The configuration of a project of the local Incus daemon and with it of its cluster."""

    def __init__(self, socket: Path = SOCKET, lock: Path = LOCK) -> None:
        """Take the daemon's socket and the file that keeps the writers of this machine apart."""
        self._socket = socket
        self._lock = lock

    async def read_all(self, prefix: str = PREFIX) -> tuple[dict[str, str], str]:
        """See Store."""
        config, _, etag = await self._read()
        return {key: value for key, value in config.items() if key.startswith(prefix)}, etag

    async def write_all(self, changes: Mapping[str, str | None], etag: str) -> None:
        """See Store."""
        _check_keys(changes)
        async with self._alone():
            config, description, now = await self._read()
            if now != etag:
                raise _conflict()
            kept = {key: value for key, value in config.items() if key not in changes}
            wanted = {key: value for key, value in changes.items() if value is not None}
            await self._send("PUT", {"config": kept | wanted, "description": description}, etag)
            written, _, _ = await self._read()
            if any(written.get(key) != value for key, value in changes.items()):
                raise _conflict()

    async def _read(self) -> tuple[dict[str, str], str, str]:
        body, etag = await self._send("GET")
        try:
            project = body["metadata"]
            config = {key: str(value) for key, value in project["config"].items()}
            description = str(project["description"])
        except (KeyError, TypeError, AttributeError):
            raise _odd("its configuration is not in the answer") from None
        if not etag:
            raise _odd("there is no ETag in the answer")
        return config, description, etag

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        # Not waited for within flock(): that would hold up the loop, or a thread for each of many writers.
        try:
            self._lock.parent.mkdir(parents=True, exist_ok=True)
            # Whoever can read it can hold it, so that is root alone.
            stream = os.fdopen(os.open(self._lock, os.O_WRONLY | os.O_CREAT, 0o600), "wb")
        except OSError as error:
            raise StoreError(f"{self._lock}: cannot be locked ({error.strerror})") from error
        with stream:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    while not _locked(stream.fileno()):  # noqa: ASYNC110 - another process sets no event
                        await asyncio.sleep(LOCK_SECONDS)
            except TimeoutError:
                what = f"another write holds it for more than {TIMEOUT_SECONDS:.0f} s"
                raise StoreError(
                    str(Problem(str(self._lock), what, "see `systemctl status incus`"))
                ) from None
            yield

    async def _send(self, method: str, data: object = None, etag: str = "") -> tuple[Any, str]:
        headers = {"If-Match": etag} if etag else {}
        connector = aiohttp.UnixConnector(str(self._socket), force_close=True)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.request(method, URL, json=data, headers=headers) as answer,
            ):
                if answer.status == UNCHANGED_STATUS:
                    raise _conflict()
                body = json.loads(await answer.read())
                if not answer.ok:
                    said = body.get("error", "") if isinstance(body, dict) else ""
                    raise _odd(f"status {answer.status} {str(said)[:SHOWN_CHARACTERS]}")
                return body, answer.headers.get("ETag", "")
        except TimeoutError as error:
            raise _odd(f"no answer within {TIMEOUT_SECONDS:.0f} s") from error
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            raise _odd(f"no answer that can be read ({type(error).__name__})") from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_keys(changes: Mapping[str, str | None]) -> None:
    if wrong := [key for key in changes if not key.startswith(PREFIX)]:
        raise ValueError(f"not a key of ours: {wrong[0]}")


def _conflict() -> Conflict:
    return Conflict("the cluster's configuration: it was changed by another at the same time; try again")


def _odd(what: str) -> StoreError:
    return StoreError(
        str(Problem("Incus", what, "see `systemctl status incus` and /var/log/incus/incus.log"))
    )
