"""What Incus works with on the node: its storage pools, what instances get by default, its address.

`incus admin init --preseed` is not used: it writes every entity it is given over the one that is there, and it
cannot go on from the middle. Here each piece is looked at and made alone, so that a power cut between any two of
them, or within one, is repaired by running again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstboot.context import Context
from firstboot.incus_start import INCUS_STATE, UNIT
from hostlib.errors import StepError
from hostlib.incus import CREATED, Incus, Pool
from hostlib.ports import INCUS
from hostlib.seed import NodeSeed

LOCAL, LOCAL_LVM = "local", "local-lvm"
LOCAL_SOURCE = "/var/lib/vz"
PROFILE = "default"
ADDRESS = {"core.https_address": f":{INCUS}"}


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A storage pool that the node should have."""

    name: str
    driver: str
    config: Mapping[str, str]


def plan_pools(seed: NodeSeed) -> list[PoolPlan]:
    """Give the storage pools of a node; none where it is to join a cluster, which Incus refuses with pools there.

    The cluster's pools get their part on this node when it joins.
    """
    if seed.enrollment.mode == "join":
        return []
    pools = [PoolPlan(LOCAL, "dir", {"source": LOCAL_SOURCE})]
    if seed.thin_pool is not None:
        # The VG holds root and swap too: without force_reuse Incus refuses a VG that is not empty.
        config = {"source": seed.vg, "lvm.thinpool_name": seed.thin_pool, "lvm.vg.force_reuse": "true"}
        pools.append(PoolPlan(LOCAL_LVM, "lvm", config))
    return pools


def plan_devices(seed: NodeSeed) -> dict[str, dict[str, str]]:
    """Give the devices of the default profile: a NIC on the management bridge, a root disk.

    None where the node is to join a cluster, whose profile takes the place of this one.
    """
    if seed.enrollment.mode == "join":
        return {}
    pool = LOCAL if seed.thin_pool is None else LOCAL_LVM
    return {
        "eth0": {"type": "nic", "nictype": "bridged", "parent": seed.bridge, "name": "eth0"},
        "root": {"type": "disk", "path": "/", "pool": pool},
    }


def lacks_pools(context: Context) -> bool:
    """Tell whether a storage pool is missing or unfinished."""
    pools = Incus(context.runner).read_pools()
    wanted = [pools.get(plan.name) for plan in plan_pools(context.seed)]
    return any(pool is None or pool.status != CREATED for pool in wanted)


def ensure_pools(context: Context) -> None:
    """Create the storage pools that are missing; report all that cannot be made. Raises StepError."""
    if context.seed.thin_pool is None:
        context.warn(
            f"no storage pool {LOCAL_LVM}: the disk was too small for a thin pool; instances use {LOCAL}"
        )
    _forget_unfinished(context)
    there = Incus(context.runner).read_pools()
    errors = []
    for plan in plan_pools(context.seed):
        try:
            _ensure_pool(context, plan, there.get(plan.name))
        except (StepError, OSError) as error:
            errors.append(f"storage pool {plan.name}: {error}")
    if errors:
        raise StepError("\n".join(errors))


def _forget_unfinished(context: Context) -> None:
    incus = Incus(context.runner)
    if unfinished := incus.read_unfinished_pools():
        context.warn(f"storage pool {', '.join(sorted(unfinished))}: was cut short, is made again")
        incus.forget_unfinished_pools()
        # It would go on trying to mount what it found when it started.
        context.runner.run(["systemctl", "restart", UNIT])
        incus.wait_ready()


def _ensure_pool(context: Context, plan: PoolPlan, pool: Pool | None) -> None:
    if pool is None:
        if plan.driver == "lvm":
            _require_thin_pool(context, f"{plan.config['source']}/{plan.config['lvm.thinpool_name']}")
        _clear_leftovers(context, plan)
        Incus(context.runner).create_pool(plan.name, plan.driver, plan.config)
    elif pool.status != CREATED:
        raise StepError(
            f"Incus says it is {pool.status}; look at /var/log/incus/incus.log, nothing was changed"
        )


def _require_thin_pool(context: Context, name: str) -> None:
    # Incus would make one that is missing, of all the space that is left in the VG.
    attributes = context.runner.run(["lvs", "--noheadings", "--options=lv_attr", name]).stdout.strip()
    if not attributes.startswith("t"):
        raise StepError(f"LV {name} is no thin pool, its attributes are {attributes}; look at `lvs -a`")


def _clear_leftovers(context: Context, plan: PoolPlan) -> None:
    """Remove the empty folders that Incus made before a power cut; it refuses to create a pool over them.

    Only ever empty folders: whatever holds a file stays, and is an error.
    """
    folder = context.path(INCUS_STATE / "storage-pools" / plan.name)
    if plan.driver == "dir":
        source = context.path(plan.config["source"])
        source.mkdir(parents=True, exist_ok=True)
        if folder.exists() and folder.samefile(source):
            # Incus mounts the source there, even for a pool that is not finished.
            context.runner.run(["umount", str(folder)])
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


def lacks_defaults(context: Context) -> bool:
    """Tell whether the default profile or the address of the API is missing something."""
    incus = Incus(context.runner)
    return bool(_missing_devices(incus, context.seed) or _missing_config(incus))


def ensure_defaults(context: Context) -> None:
    """Complete the default profile and have Incus listen on its port; what is set already stays."""
    incus = Incus(context.runner)
    if devices := _missing_devices(incus, context.seed):
        incus.add_devices(PROFILE, devices)
    if config := _missing_config(incus):
        incus.add_config(config)


def _missing_devices(incus: Incus, seed: NodeSeed) -> dict[str, dict[str, str]]:
    there = incus.read_profile(PROFILE).devices
    return {name: device for name, device in plan_devices(seed).items() if name not in there}


def _missing_config(incus: Incus) -> dict[str, str]:
    there = incus.read_config()
    return {key: value for key, value in ADDRESS.items() if not there.get(key)}
