"""The cluster's CA as a member uses it: its record from the store, its key from this member's disk.

The service asks without waiting, so the record is kept here and `refresh` brings it up to date.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from agent.ca import (
    CaRecord,
    bundle,
    check_peer,
    drop_outdated,
    make_ca,
    read_ca_key,
    remove_retired_keys,
    sign_request,
    write_ca_key,
)
from agent.csr import CheckedRequest
from agent.node_key import parse_key
from agent.protocol import Refusal
from agent.store import PREFIX, Store, StoreError
from hostlib.errors import Problem, StepError

RECORD: Final = f"{PREFIX}ca"
"""Key of the CaRecord in the store."""


def parse_record(text: str) -> CaRecord:
    """Read what the store holds. Raises StoreError."""
    try:
        return CaRecord.model_validate_json(text)
    except ValidationError:
        what = "it is damaged or of a newer version"
        raise StoreError(
            str(Problem(RECORD, what, "bring this member to the release of the others"))
        ) from None


class StoreAuthority:
    """See `agent.service.Authority`. Nothing is known before the first `refresh`."""

    def __init__(self, store: Store, folder: Path, now: Callable[[], datetime]) -> None:
        """Take the records, the folder of the CA's keys, and the clock."""
        self._store = store
        self._folder = folder
        self._now = now
        self._record: CaRecord | None = None

    @property
    def known(self) -> bool:
        """Whether the record has been read."""
        return self._record is not None

    @property
    def record(self) -> CaRecord:
        """The CAs that are valid now. Raises StepError while they are not known."""
        if self._record is None:
            what = "it has not been read from the cluster's configuration yet"
            raise StepError(str(Problem("CA", what, "see `systemctl status incus`")))
        return self._record

    async def refresh(self) -> None:
        """Read the record; CAs that are out of date by this clock count for nothing here. Raises StepError, OSError.

        In the store they stay until the next rotation: one member with a wrong clock must not end them for all.
        A member that holds the key of the CA that signs drops those of the ones before.
        """
        text, _ = await self._store.read(RECORD)
        if text is None:
            what = "the cluster's configuration holds none"
            raise StepError(str(Problem("CA", what, "on the node that began the cluster: slipway status")))
        found = parse_record(text)
        current = drop_outdated(found, self._now())
        changed, self._record = current != self._record, current
        if changed and self.has_key():
            remove_retired_keys(found, self._folder)

    async def ensure(self, cluster: str) -> None:
        """Make the CA of a new cluster where there is none; may be cut and done again. Raises SlipwayError, OSError."""
        text, etag = await self._store.read(RECORD)
        if text is None:
            key, record = make_ca(cluster, self._now())
            # Of a try that was cut: no record names them.
            self.forget_keys()
            # Before the record, since a CA without its key could sign nobody in.
            write_ca_key(key, self._folder)
            await self._store.write(RECORD, record.model_dump_json(), etag)
        await self.refresh()

    def has_key(self) -> bool:
        """Tell whether this member holds the key of the CA that signs. Raises StepError while that is not known."""
        record = self.record
        try:
            read_ca_key(record, self._folder)
        except StepError:
            return False
        return True

    def forget_keys(self) -> None:
        """Delete the keys of all CAs from this node. Raises OSError."""
        for path in self._folder.glob("*.key"):
            path.unlink()

    def take_key(self, pem: str) -> None:
        """Keep the key that another member gave. Raises StepError when it is not that of the CA that signs, OSError."""
        try:
            key = parse_key(pem.encode())
        except ValueError as error:
            raise StepError(
                str(Problem("key of the CA", f"{error}", "see the log of the other members"))
            ) from None
        write_ca_key(key, self._folder)
        read_ca_key(self.record, self._folder)
        remove_retired_keys(self.record, self._folder)

    def sign(self, request: CheckedRequest) -> str:
        """See Authority."""
        return sign_request(request, read_ca_key(self.record, self._folder), self.record, self._now())

    def bundle(self) -> str:
        """See Authority."""
        return bundle(self.record)

    def key(self) -> str:
        """See Authority."""
        key = read_ca_key(self.record, self._folder)
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def check_peer(self, certificate_der: bytes) -> str | Refusal:
        """See Authority."""
        return check_peer(certificate_der, self.record, self._now())
