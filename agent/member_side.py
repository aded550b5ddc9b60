"""A member of the cluster: the enrolment service on its port, with the CA as it is now."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from agent.api_client import ApiClient
from agent.authority import StoreAuthority
from agent.ca import FOLDER
from agent.node_key import CA, CERTIFICATE, KEY
from agent.server import Server, Tls
from agent.service import Cluster, Service
from agent.store import Store
from agent.this_node import ThisNode
from hostlib.errors import Problem, StepError
from hostlib.files import write_atomic
from hostlib.ports import ENROLLMENT

ANYWHERE: Final = ("::", ENROLLMENT)


class MemberSide:
    """The service of this node for others, from the first `tend` that finds its certificate until `stop`."""

    def __init__(
        self, this: ThisNode, store: Store, cluster: Cluster, listen: tuple[str, int] = ANYWHERE
    ) -> None:
        """Take the node, the records, Incus's cluster, and the address and port to listen at."""
        self._this = this
        self._listen = listen
        self.authority = StoreAuthority(store, this.path(FOLDER), this.now)
        self.service = Service(store, self.authority, cluster, lambda: this.now().timestamp())
        self.port = 0
        """That it listens at; 0 while it does not."""
        self._server: Server | None = None
        self._tls: Tls | None = None
        self._in_use = ("", "")

    async def tend(self, others: ApiClient) -> None:
        """Bring record, key and certificates up to date and serve with them. Raises SlipwayError, OSError.

        What cannot be had now, the key for one, keeps nothing else from being served.
        """
        try:
            await self.authority.refresh()
            keep_trusted(self._this, self.authority.bundle())
            if not self.authority.has_key():
                await self._fetch_key(others)
        finally:
            await self._serve()

    async def ask(self) -> Service:
        """Give the service for what this node asks itself. Raises SlipwayError, OSError."""
        if not self.authority.known:
            await self.authority.refresh()
        return self.service

    async def _fetch_key(self, others: ApiClient) -> None:
        if not others.urls:
            what = "this member has lost its key, and there is no other member"
            raise StepError(str(Problem("CA", what, "make a new one: slipway ca rotate --key-lost")))
        self.authority.take_key((await others.read_ca_key()).key)

    async def _serve(self) -> None:
        paths = [self._this.path(path) for path in (CERTIFICATE, KEY, CA)]
        certificate, key, ca = paths
        wanted = certificate.read_text(), ca.read_text()
        if wanted != self._in_use:
            if self._tls is None:
                self._tls = Tls(certificate, key, wanted[1])
            else:
                self._tls.load(certificate, key, wanted[1])
            self._in_use = wanted
        if self._server is None and self._tls is not None:
            server = Server(self.service, self._tls)
            try:
                self.port = await server.start(*self._listen)
            except OSError:
                await server.stop()
                raise
            self._server = server

    async def stop(self) -> None:
        """Stop serving."""
        server, self._server, self.port = self._server, None, 0
        if server:
            await server.stop()


def keep_trusted(this: ThisNode, ca: str) -> None:
    """Keep the CA certificates that are valid now (PEM); nothing to do for the same ones. Raises OSError."""
    if ca and ca != read_trusted(this):
        write_atomic(this.path(CA), ca)


def read_trusted(this: ThisNode) -> str:
    """Give the CA certificates that the node trusts, PEM; empty while it has none."""
    return read_text(this.path(CA))


def read_text(path: Path) -> str:
    """Give a file to the byte; empty when it is not there. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return ""
