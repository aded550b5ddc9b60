"""This node, for the daemon: what it says of itself, and what it keeps of where it stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent.cluster import NodeIncus
from agent.enrollment import Enrollment, load_enrollment, save_enrollment
from agent.protocol import Facts
from hostlib.dmi import read_dmi
from hostlib.errors import printable
from hostlib.files import read_if_there
from hostlib.release import Release
from hostlib.seed import NodeSeed
from hostlib.tls import node_names

LOG = logging.getLogger("slipway.agent")
NET: Final = Path("sys/class/net")
LOWER: Final = "lower_"
"""What sysfs calls the link to an interface that another one stands on."""
PERMANENT: Final = "bonding_slave/perm_hwaddr"
"""A bond gives its ports one address; this is a port's own."""
SERIAL_CHARACTERS: Final = 256
UUID_CHARACTERS: Final = 64
"""As the protocol has it."""


@dataclass(frozen=True, slots=True)
class ThisNode:
    """What all duties of a node work with."""

    incus: NodeIncus
    facts: Facts
    release: Release
    now: Callable[[], datetime]

    @property
    def seed(self) -> NodeSeed:
        """What the installer said; the token in it may be gone from the disk by now."""
        return self.incus.seed

    def path(self, absolute: Path) -> Path:
        """Give where `absolute` is below the root."""
        return self.incus.path(absolute)


class Kept:
    """Where the node stands: on disk for its next start and for `slipway status`, and told to who watches."""

    def __init__(self, path: Path, tell: Callable[[Enrollment], None]) -> None:
        """Take the file, and who is told of each change. Raises OSError."""
        self._path = path
        self._tell = tell
        self.current = Enrollment()
        self._unwritten = False
        self.load()

    def load(self) -> None:
        """Take up what is on disk: another has written it. Raises OSError."""
        found, odd = load_enrollment(self._path)
        if odd:
            LOG.warning("%s", odd)
        self._unwritten = False
        self._change(found)

    def keep(self, enrollment: Enrollment) -> None:
        """Keep where the node stands. It holds even where it cannot be written, until the end of this process."""
        changed = enrollment != self.current
        if not (changed or self._unwritten):
            return
        if changed:
            self._change(enrollment)
        try:
            save_enrollment(enrollment, self._path)
            self._unwritten = False
        except OSError as error:
            if not self._unwritten:
                LOG.warning("%s: cannot be written (%s); free some space in /var", self._path, error.strerror)
            self._unwritten = True

    def _change(self, enrollment: Enrollment) -> None:
        before, self.current = self.current, enrollment
        if (enrollment.state, enrollment.reason) != (before.state, before.reason):
            LOG.info("enrolment: %s", ": ".join(filter(None, (enrollment.state, enrollment.reason))))
        self._tell(enrollment)


def read_facts(seed: NodeSeed, version: str, root: Path = Path("/")) -> Facts:
    """Gather what the node tells of itself."""
    dmi = read_dmi(root)
    return Facts(
        fqdn=seed.fqdn,
        address=node_names(seed.fqdn, seed.address)[2],
        serial=printable(dmi.serial)[:SERIAL_CHARACTERS],
        uuid=printable(dmi.uuid)[:UUID_CHARACTERS],
        macs=read_macs(seed.bridge, root),
        version=version,
    )


def read_macs(interface: str, root: Path = Path("/")) -> tuple[str, ...]:
    """Give the MAC addresses of the physical ports below `interface`, through bridge, VLAN and bond; sorted."""
    folder = root / NET / interface
    if (folder / "device").exists():
        mac = read_if_there(folder / PERMANENT) or read_if_there(folder / "address") or ""
        return (mac.lower(),) if mac else ()
    lower = [entry.name.removeprefix(LOWER) for entry in folder.glob(f"{LOWER}*")]
    return tuple(sorted({mac for name in lower for mac in read_macs(name, root)}))


def parse_built_at(release: Release) -> datetime | None:
    """Give when this build was made; None where its release file does not say."""
    try:
        found = datetime.fromisoformat(release.built_at)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
