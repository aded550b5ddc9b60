"""This node as a member of its cluster: what the administrator's commands stand on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from agent import membership
from agent.authority import RECORD, parse_record
from agent.ca import CaRecord
from agent.status import ENROLLMENT, read_enrollment
from agent.store import Changes, IncusStore, Store, Values, change_store
from hostlib.errors import Problem, UserError
from hostlib.incus import Incus
from hostlib.incus import Member as IncusMember
from hostlib.paths import FIRSTBOOT_DONE
from hostlib.run import Runner
from hostlib.seed import NodeSeed, read_seed

T = TypeVar("T")


def _utc_now() -> datetime:
    return datetime.now(tz=UTC)


@dataclass(frozen=True, slots=True)
class Member:
    """This node, its Incus and the cluster's records."""

    runner: Runner
    store: Store
    name: str
    """What this node is called in Incus's cluster."""
    root: Path = Path("/")
    now: Callable[[], datetime] = _utc_now

    @property
    def incus(self) -> Incus:
        """The daemon."""
        return Incus(self.runner)

    @property
    def seconds(self) -> int:
        """The time, in seconds since 1970."""
        return int(self.now().timestamp())

    def read(self) -> Values:
        """Give all records. Raises StoreError."""
        return asyncio.run(self.store.read_all())[0]

    def change(self, plan: Callable[[Values], tuple[T, Changes]]) -> tuple[T, bool]:
        """See `store.change_store`."""
        return asyncio.run(change_store(self.store, plan))

    def urls(self) -> tuple[str, ...]:
        """Give the URLs of all members' enrolment services, those first that are likely to answer."""
        return plan_urls(self.incus.read_members(), self.name)

    def path(self, absolute: Path) -> Path:
        """Give where `absolute` is below the root."""
        return self.root / absolute.relative_to("/")


def check_root() -> None:
    """Raise UserError unless this process is root's."""
    if os.geteuid():
        raise UserError(Problem("slipway", "only root may do this", "run it as root, or with sudo"))


def open_member(runner: Runner, root: Path = Path("/"), store: Store | None = None) -> Member:
    """Give this node as a member. Raises UserError when it is none, or not yet; StepError when Incus does not answer."""
    check_root()
    try:
        seed = read_seed(root)
    except (OSError, ValidationError) as error:
        what = f"it cannot be read ({error.strerror if isinstance(error, OSError) else 'not in its form'})"
        todo = "run this on a node that Slipway has installed"
        raise UserError(Problem("/etc/slipway/seed.json", what, todo)) from error
    if not (root / FIRSTBOOT_DONE.relative_to("/")).exists():
        todo = "wait until it is; look: journalctl -u slipway-firstboot"
        raise UserError(Problem(seed.fqdn, "its first boot is not complete", todo))
    cluster = Incus(runner).read_cluster()
    if not cluster.enabled:
        raise UserError(_explain_alone(seed, root))
    return Member(runner, store or IncusStore(), cluster.server_name, root)


def _explain_alone(seed: NodeSeed, root: Path) -> Problem:
    mode = seed.enrollment.mode
    if mode == "none":
        what = "it is in no cluster, and is not meant to be (mode 'none')"
        todo = "install it with mode 'bootstrap' or 'join' in [enrollment] to have it in one"
        return Problem(seed.fqdn, what, todo)
    found = read_enrollment(root / ENROLLMENT.relative_to("/"))
    reason = f": {found.reason}" if found.reason else ""
    if mode == "bootstrap":
        todo = "wait until it is; look: slipway status, journalctl -u slipway-agent"
        return Problem(seed.fqdn, f"its cluster is not made yet{reason}", todo)
    todo = "run this on a member of the cluster; look here: slipway status, journalctl -u slipway-agent"
    return Problem(seed.fqdn, f"it is in no cluster yet, its enrolment is at '{found.state}'{reason}", todo)


def plan_urls(members: Iterable[IncusMember], own: str) -> tuple[str, ...]:
    """Give the URLs of the members' enrolment services: that of `own` first, then of those that are online."""
    urls = membership.plan_urls(members)
    return tuple(urls[name] for name in sorted(urls, key=lambda name: name != own))


def parse_ca(values: Values) -> CaRecord:
    """Give the CA's record out of the store. Raises UserError when there is none yet, StoreError on one that is damaged."""
    if RECORD not in values:
        todo = "wait until the first node has made it; look there: journalctl -u slipway-agent"
        raise UserError(Problem("the cluster's CA", "there is none yet", todo))
    return parse_record(values[RECORD])
