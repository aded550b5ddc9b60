"""The tasks of first boot, in order."""

from __future__ import annotations

from firstboot.context import Context, Task
from firstboot.firewall import ensure_firewall, lacks_firewall
from firstboot.hypervisor import (
    ensure_defaults,
    ensure_pools,
    lacks_defaults,
    lacks_pools,
)
from firstboot.identity import (
    ensure_certificate,
    ensure_machine_id,
    ensure_ssh_host_keys,
    forget_identity,
    is_in_other_machine,
    lacks_certificate,
    lacks_machine_id,
    lacks_ssh_host_keys,
)
from firstboot.incus_start import ensure_incus, has_leftovers, lacks_incus, remove_leftovers
from firstboot.services import (
    ensure_services,
    ensure_web_console,
    lacks_services,
    lacks_web_console,
)
from hostlib.banner import Banner, apply_banner, lacks_banner
from hostlib.banner_read import read_banner


def _read_banner(context: Context) -> Banner:
    return read_banner(context.seed, context.failures, context.root)


TASKS = (
    Task("machine-id", lacks_machine_id, ensure_machine_id, early=True),
    # Before the two that make anew what it removes.
    Task("other-machine", is_in_other_machine, forget_identity, early=True),
    Task("ssh-host-keys", lacks_ssh_host_keys, ensure_ssh_host_keys, early=True),
    Task("incus-leftovers", has_leftovers, remove_leftovers, early=True),
    Task("certificate", lacks_certificate, ensure_certificate),
    Task("firewall", lacks_firewall, ensure_firewall),
    Task("services", lacks_services, ensure_services),
    Task("incus", lacks_incus, ensure_incus, after=("incus-leftovers",)),
    Task("storage-pools", lacks_pools, ensure_pools, after=("incus",)),
    Task("incus-defaults", lacks_defaults, ensure_defaults, after=("incus", "storage-pools")),
    Task("web-console", lacks_web_console, ensure_web_console, after=("certificate",)),
    # Last, because it shows what failed before it.
    Task(
        "banner",
        lambda context: lacks_banner(_read_banner(context), context.root),
        lambda context: apply_banner(_read_banner(context), context.runner, context.root),
    ),
)
