"""What a node does all the time: tell how it is, come into its cluster, serve it, and keep its certificate."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from agent import api_client, service
from agent.api_client import ApiClient, UnreachableError, check_clock
from agent.bootstrap import run_bootstrap
from agent.ca import needs_renewal
from agent.console import ensure_console
from agent.enroll_policy import IN_CLUSTER, NAMELESS
from agent.enrollment import STOPPED, Enrollment, plan_pause, run_enrollment, stopped
from agent.enrollment_machine import NodeMachine, Run
from agent.health import KEPT as HEALTH
from agent.health import Health, keep_health, make_heartbeat
from agent.health_read import read_health
from agent.member_side import MemberSide, keep_trusted, read_text, read_trusted
from agent.membership import render_url
from agent.node_key import CERTIFICATE, ensure_node_key, is_key_of
from agent.protocol import HeartbeatReply, Refusal, RenewReply, RenewRequest
from agent.store import Store
from agent.supervisor import FOREVER, Duty
from agent.this_node import Kept, ThisNode
from hostlib.errors import Problem, SlipwayError, StepError
from hostlib.files import write_atomic
from hostlib.paths import STATE
from hostlib.pools import BACKUPS
from hostlib.seed import drop_token, require_seed, write_seed

LOG = logging.getLogger("slipway.agent")
HEALTH_SECONDS: Final = 30.0
HEARTBEAT_SECONDS: Final = 30.0
HEARTBEAT_JITTER: Final = 0.2
"""By which it comes earlier, never later."""
MEMBER_SECONDS: Final = 10.0
CERTIFICATE_SECONDS: Final = 60.0
RENEWAL_RETRY_SECONDS: Final = 300.0
STOPPED_SECONDS: Final = 300.0
"""Between questions of a node that was turned away: whether it still is."""
ENROLMENT_LIMIT_SECONDS: Final = 3600.0
"""For a join with all that Incus may take, without a pause; half an hour was never seen."""
UNKNOWN: Final = (
    "the cluster does not know this node any more; on a member: slipway node list; if it is not there, install "
    "this machine again"
)


class StoppingError(Exception):
    """The daemon ends."""


class NodeDuties:
    """The duties; `all` gives them to a Supervisor."""

    def __init__(
        self,
        this: ThisNode,
        kept: Kept,
        member: MemberSide,
        client: ApiClient,
        *,
        store: Store,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take the node, where it stands, its service, who asks members, the records, and numbers of 0 to 1."""
        self._this, self._kept, self._member, self._store = this, kept, member, store
        self._client = client
        self._chance = chance
        self._health: Health | None = None
        self._tries = 0
        self._settled = False
        """Whether nobody but the heartbeat says where the node stands."""
        self.ending = threading.Event()
        """To be set when the daemon ends: no pause lasts longer."""
        self.progress: Callable[[Duty], None] = lambda _: None
        """Is told while the enrolment gets on."""
        self._health_check = Duty("health", self.keep_health, HEALTH_SECONDS)
        self._enrolment = Duty("enrolment", self.enrol, limit_seconds=ENROLMENT_LIMIT_SECONDS)
        self._heartbeat = Duty("heartbeat", self.heartbeat, HEARTBEAT_SECONDS)
        self._service = Duty("enrolment service", self.serve_cluster, MEMBER_SECONDS)
        self._certificate = Duty("certificate", self.keep_certificate, RENEWAL_RETRY_SECONDS)

    @property
    def all(self) -> tuple[Duty, ...]:
        """All duties."""
        return self._health_check, self._enrolment, self._service, self._heartbeat, self._certificate

    async def keep_health(self) -> float:
        """Find out how the node is and keep it for the status screens."""
        await self._check_health()
        return HEALTH_SECONDS

    async def _check_health(self) -> Health:
        incus = self._this.incus
        self._health = await asyncio.to_thread(read_health, incus.runner, self._this.now(), incus.root)
        keep_health(self._health, self._this.path(HEALTH))
        return self._health

    async def enrol(self) -> float:
        """Come into the cluster, if the seed names one; that may take for ever."""
        state, mode = self._kept.current.state, self._this.seed.enrollment.mode
        if state != "serving":
            if mode == "bootstrap" and state not in STOPPED:
                try:
                    await self._bootstrap()
                except (SlipwayError, OSError) as error:
                    self._kept.keep(self._kept.current.model_copy(update={"reason": str(error)}))
                    self._tries += 1
                    return plan_pause(self._tries, self._chance())
            elif mode == "join":
                await self._join()
        if self._kept.current.state != "new":
            self._settled = True
            for duty in (self._service, self._heartbeat, self._certificate):
                duty.hurry()
        self._this.path(BACKUPS).mkdir(parents=True, exist_ok=True)
        return FOREVER

    async def _bootstrap(self) -> None:
        node = await run_bootstrap(self._this, self._store, self._member.authority)
        now = Enrollment(id=node.id, urls=(self._own_url,))
        if node.state in NAMELESS:
            self._kept.keep(stopped(now, "removed" if node.state == "removed" else "rejected", ""))
        else:
            self._kept.keep(now.model_copy(update={"state": "serving"}))

    async def _join(self) -> None:
        loop = asyncio.get_running_loop()
        # In this loop, so that a name that is looked up for minutes holds up no end.
        run: Run = lambda work: asyncio.run_coroutine_threadsafe(work, loop).result()  # noqa: E731
        machine = NodeMachine(
            self._this.incus,
            self._client,
            self._this.facts,
            self._read_token,
            self._forget_token,
            self._told,
            self._pause,
            run,
        )
        try:
            await asyncio.to_thread(run_enrollment, machine)
        except StoppingError:
            await asyncio.sleep(FOREVER)
        self._kept.load()

    def _told(self, reason: str) -> None:
        self._kept.load()
        if reason and reason != self._kept.current.reason:
            LOG.warning("enrolment: %s", reason)

    def _pause(self, seconds: float) -> None:
        self.progress(self._enrolment)
        if self.ending.wait(seconds):
            raise StoppingError
        self.progress(self._enrolment)

    def _read_token(self) -> str:
        token = require_seed(self._this.incus.root).enrollment.token
        return token.get_secret_value() if token else ""

    def _forget_token(self) -> None:
        root = self._this.incus.root
        seed = require_seed(root)
        if seed.enrollment.token is not None:
            write_seed(drop_token(seed), root)

    @property
    def _own_url(self) -> str:
        return render_url(self._this.facts.address)

    def _others(self) -> ApiClient:
        """Give who asks the members other than this one; it keeps the order in which they answered."""
        urls = [url for url in self._kept.current.urls if url != self._own_url]
        if {*urls} != {*self._client.urls}:
            self._client.urls = urls
        return self._client

    async def serve_cluster(self) -> float:
        """Serve the cluster while this node is in it."""
        if self._settled and self._kept.current.state in IN_CLUSTER:
            await self._member.tend(self._others())
        else:
            await self._member.stop()
            if self._kept.current.state == "removed":
                self._member.authority.forget_keys()
        return MEMBER_SECONDS

    async def heartbeat(self) -> float:
        """Tell a member how the node is, and take note of what it says to that."""
        now = self._kept.current
        # Who was rejected before he had a certificate has nothing to show.
        if not (self._settled and now.id and self._this.path(CERTIFICATE).exists()):
            return HEARTBEAT_SECONDS
        try:
            reply = await self._send_heartbeat(now.id)
        except (api_client.RefusedError, service.RefusedError) as error:
            self._kept.keep(plan_refused(now, error.refusal))
        except SlipwayError as error:
            # What to do about a node that was turned away stays to be read.
            if now.state not in STOPPED:
                self._kept.keep(now.model_copy(update={"reason": str(error)}))
        else:
            keep_trusted(self._this, reply.ca)
            member_time = datetime.fromtimestamp(reply.time, UTC)
            self._kept.keep(plan_heard(now, reply, check_clock(self._this.now(), member_time, None)))
        if self._kept.current.state != now.state:
            self._service.hurry()
        seconds = STOPPED_SECONDS if self._kept.current.state in STOPPED else HEARTBEAT_SECONDS
        return seconds * (1 - HEARTBEAT_JITTER * self._chance())

    async def _send_heartbeat(self, node: str) -> HeartbeatReply:
        health = self._health or await self._check_health()
        beat = make_heartbeat(health, self._this.seed.fqdn, self._this.release.version)
        digest = hashlib.sha256(read_trusted(self._this).encode()).hexdigest()
        others = self._others()
        if not others.urls:
            return await (await self._member.ask()).heartbeat(node, beat, digest)
        try:
            return await others.send_heartbeat(node, beat, digest)
        except UnreachableError:
            if self._member.port:
                # So that this member still tells when it was last seen; why no other hears it is said all the same.
                with contextlib.suppress(SlipwayError, service.RefusedError):
                    await self._member.service.heartbeat(node, beat, digest)
            raise

    async def keep_certificate(self) -> float:
        """Renew the node's certificate in time, and have the web console and the consoles show it."""
        if not self._settled or self._kept.current.state not in IN_CLUSTER:
            return CERTIFICATE_SECONDS
        try:
            certificate = read_text(self._this.path(CERTIFICATE))
            if needs_renewal(certificate, read_trusted(self._this), self._this.now()):
                await self._renew(self._kept.current.id)
                self._service.hurry()
        finally:
            await asyncio.to_thread(ensure_console, self._this)
        return CERTIFICATE_SECONDS

    async def _renew(self, node: str) -> None:
        key = ensure_node_key(self._this.facts, self._this.path(STATE))
        reply = await self._ask_renewal(node, RenewRequest(csr=key.csr))
        if not is_key_of(key, reply.certificate) or needs_renewal(
            reply.certificate, reply.ca, self._this.now()
        ):
            what = "what the member sent is not for the key of this node, or runs out already"
            raise StepError(str(Problem("renewal", what, "look at the clocks: chronyc sources")))
        write_atomic(self._this.path(CERTIFICATE), reply.certificate)
        keep_trusted(self._this, reply.ca)
        LOG.info("certificate: renewed")

    async def _ask_renewal(self, node: str, request: RenewRequest) -> RenewReply:
        try:
            # A member signs its own: that works with a certificate that has run out, too.
            return await (await self._member.ask()).renew(node, request)
        except service.RefusedError as error:
            raise StepError(str(Problem("renewal", error.refusal.reason, error.refusal.todo))) from error
        except (SlipwayError, OSError):
            others = self._others()
            if not others.urls:
                raise
            return await others.renew(node, request)


def plan_heard(now: Enrollment, reply: HeartbeatReply, clock: str | None) -> Enrollment:
    """Give where a node stands whose heartbeat was taken; `clock` says what is wrong with its clock. Pure."""
    urls = now.urls if not reply.urls or {*reply.urls} == {*now.urls} else reply.urls
    return now.model_copy(update={"state": "serving", "reason": clock or "", "urls": urls})


def plan_refused(now: Enrollment, refusal: Refusal) -> Enrollment:
    """Give where a node stands whose heartbeat was refused. Pure."""
    if refusal.code in {"rejected", "removed"}:
        return stopped(now, "removed" if refusal.code == "removed" else "rejected", refusal.reason)
    if refusal.code == "node-unknown":
        return now.model_copy(update={"reason": UNKNOWN})
    said = "; ".join(filter(None, (refusal.reason, refusal.todo)))
    return now.model_copy(update={"reason": f"the cluster does not take the heartbeat: {said}"})
