"""What Incus works with on the node: its storage pools, what instances get by default, its address.

`incus admin init --preseed` is not used: it writes every entity it is given over the one that is there, and it
cannot go on from the middle. Here each piece is looked at and made alone, so that a power cut between any two of
them, or within one, is repaired by running again.
"""

from __future__ import annotations

from firstboot.context import Context
from hostlib.errors import StepError
from hostlib.incus import CREATED, UNIT, Incus, Pool
from hostlib.pools import LOCAL, LOCAL_LVM, PoolPlan, clear_leftovers, plan_pools
from hostlib.ports import INCUS
from hostlib.seed import NodeSeed

PROFILE = "default"
ADDRESS = {"core.https_address": f":{INCUS}"}


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


def plan_own_pools(seed: NodeSeed) -> list[PoolPlan]:
    """Give the storage pools that first boot makes; none where the node is to join a cluster.

    Incus refuses to join with pools there. The cluster's get their part on this node when it joins.
    """
    return [] if seed.enrollment.mode == "join" else plan_pools(seed)


def lacks_pools(context: Context) -> bool:
    """Tell whether a storage pool is missing or unfinished."""
    pools = Incus(context.runner).read_pools()
    wanted = [pools.get(plan.name) for plan in plan_own_pools(context.seed)]
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
    for plan in plan_own_pools(context.seed):
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
        clear_leftovers(context.runner, context.root, plan)
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
