"""The storage pools that Incus has on a node, and the folders that a pool leaves when it was cut short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostlib.errors import StepError
from hostlib.incus import INCUS_STATE
from hostlib.run import Runner
from hostlib.seed import NodeSeed

LOCAL: Final = "local"
LOCAL_LVM: Final = "local-lvm"
LOCAL_SOURCE: Final = "/var/lib/vz"
BACKUPS: Final = Path("/var/lib/vz/backups")
"""For `incus export`; not before there is the pool, which begins with an empty folder."""


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A storage pool that the node should have."""

    name: str
    driver: str
    config: Mapping[str, str]


def plan_pools(seed: NodeSeed) -> list[PoolPlan]:
    """Give the storage pools of a node."""
    pools = [PoolPlan(LOCAL, "dir", {"source": LOCAL_SOURCE})]
    if seed.thin_pool is not None:
        # The VG holds root and swap too: without force_reuse Incus refuses a VG that is not empty.
        config = {"source": seed.vg, "lvm.thinpool_name": seed.thin_pool, "lvm.vg.force_reuse": "true"}
        pools.append(PoolPlan(LOCAL_LVM, "lvm", config))
    return pools


def clear_leftovers(runner: Runner, root: Path, plan: PoolPlan) -> None:
    """Remove the empty folders that Incus made before a power cut; it refuses to create a pool over them.

    Only ever empty folders: whatever holds a file stays, and is an error. Raises StepError, OSError.
    """
    folder = root / (INCUS_STATE / "storage-pools" / plan.name).relative_to("/")
    if plan.driver == "dir":
        source = root / Path(plan.config["source"]).relative_to("/")
        source.mkdir(parents=True, exist_ok=True)
        if folder.exists() and folder.samefile(source):
            # Incus mounts the source there, even for a pool that is not finished. systemd undoes it: the agent has
            # mounts of its own, and may not change even these.
            runner.run(["systemd-run", "--quiet", "--wait", "--collect", "umount", str(folder)])
        _remove_empty_folders(source)
    if folder.exists():
        _remove_empty_folders(folder)
        folder.rmdir()


def _remove_empty_folders(folder: Path) -> None:
    for entry in sorted(folder.iterdir()):
        try:
            entry.rmdir()
        except OSError as error:
            raise StepError(f"{folder}: holds {entry.name}, but must be empty; move that away") from error
