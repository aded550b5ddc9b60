"""The enrolment's effects on a real node."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from agent.api_client import ApiClient
from agent.ca import needs_renewal
from agent.cluster import NodeIncus, Standing, join_cluster, read_standing, reset_incus
from agent.enrollment import ENROLLMENT, Enrollment, load_enrollment, save_enrollment
from agent.node_key import CA, CERTIFICATE, ensure_node_key
from agent.protocol import EnrollReply, EnrollRequest, Facts, JoinReply
from hostlib.files import read_if_there, write_atomic
from hostlib.paths import STATE

T = TypeVar("T")


class Run(Protocol):
    """Runs a coroutine to its end and gives its result."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> T:
        """Run it."""


@dataclass(frozen=True, slots=True)
class NodeMachine:
    """See `enrollment.Machine`. To be used in a thread without an event loop: it blocks."""

    node: NodeIncus
    client: ApiClient
    facts: Facts
    read_token: Callable[[], str]
    """Gives the enrolment token; empty once it has been dropped."""
    forget_token: Callable[[], None]
    """Removes it from the disk; nothing to do when it is gone."""
    show: Callable[[str], None]
    """Shows a person the reason; empty when there is none."""
    pause: Callable[[float], None] = time.sleep
    """Waits; what it raises ends the enrolment."""
    run: Run = field(default=asyncio.run)

    def load(self) -> Enrollment:
        """Give the kept state."""
        enrollment, odd = load_enrollment(self._path(ENROLLMENT))
        if odd:
            self.show(odd)
        return enrollment.model_copy(update={"urls": tuple(self.client.urls)})

    def save(self, enrollment: Enrollment) -> None:
        """Keep the state."""
        if enrollment.state == "joined":
            # Incus does not wait for the disk: a power cut right after the join would leave its certificates empty.
            os.sync()
        save_enrollment(enrollment, self._path(ENROLLMENT))

    def make_request(self) -> EnrollRequest:
        """Give what the node asks with; its key is made here and kept."""
        key = ensure_node_key(self.facts, self._path(STATE))
        return EnrollRequest(token=self.read_token(), csr=key.csr, facts=self.facts)

    def enroll(self, request: EnrollRequest) -> EnrollReply:
        """Ask to be enrolled."""
        return self.run(self.client.enroll(request))

    def read_enrollment(self, node: str) -> EnrollReply:
        """Ask where the node stands."""
        return self.run(self.client.read_enrollment(node))

    def read_join(self, node: str) -> JoinReply:
        """Ask for what Incus needs to join."""
        self._renew(node)
        return self.run(self.client.read_join(node))

    def tell_joined(self, node: str) -> EnrollReply:
        """Tell that Incus has joined."""
        self._renew(node)
        return self.run(self.client.tell_joined(node))

    def keep(self, certificate: str, ca: str) -> None:
        """Keep the node's certificate and the CA's."""
        # The CA last: while it is missing, the fingerprint still vouches for the members.
        write_atomic(self._path(CERTIFICATE), certificate)
        write_atomic(self._path(CA), ca)

    def drop_token(self) -> None:
        """Remove the enrolment token from the disk."""
        self.forget_token()

    def read_standing(self) -> Standing:
        """Tell where Incus stands."""
        return read_standing(self.node)

    def reset_incus(self) -> None:
        """Have Incus begin anew."""
        reset_incus(self.node)

    def join_cluster(self, reply: JoinReply) -> None:
        """Have Incus join."""
        join_cluster(self.node, reply)

    def tell(self, reason: str) -> None:
        """Show what it waits for."""
        self.show(reason)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.pause(seconds)

    def random(self) -> float:
        """Give a number of 0 to 1."""
        return random.random()  # noqa: S311  it only spreads waiting times

    def _renew(self, node: str) -> None:
        # One that has run out since, while the node was off, would not even be let in to ask for another.
        certificate, ca = (read_if_there(self._path(path)) or "" for path in (CERTIFICATE, CA))
        if needs_renewal(certificate, ca, self.client.now()):
            reply = self.read_enrollment(node)
            if reply.certificate and reply.ca:
                self.keep(reply.certificate, reply.ca)

    def _path(self, path: Path) -> Path:
        return self.node.path(path)
