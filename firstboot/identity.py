"""What makes a node itself: machine-id, ssh host keys, the certificate of its web console.

The installer has made keys and certificate already. Where the disk is found in another machine than the one it was
installed in, it may be one of several copies, and each needs its own.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from firstboot.context import Context
from hostlib.dmi import is_other_machine, read_dmi
from hostlib.errors import UserError
from hostlib.files import read_if_there, write_atomic
from hostlib.paths import SSH_HOST_KEYS
from hostlib.seed import write_seed
from hostlib.tls import CERTIFICATE, KEY, Pair, check_pair, make_node_pair, node_names, write_pair

MACHINE_ID = "/etc/machine-id"


def lacks_machine_id(context: Context) -> bool:
    """Tell whether /etc/machine-id holds no id, or one that the next boot would not know."""
    path = context.path(MACHINE_ID)
    return not re.fullmatch(r"[0-9a-f]{32}", read_if_there(path) or "") or _is_transient(path)


def ensure_machine_id(context: Context) -> None:
    """Store the id that systemd made at boot, or make one. Raises CommandError, OSError."""
    path = context.path(MACHINE_ID)
    if _is_transient(path):
        context.runner.run(["systemd-machine-id-setup", "--commit"])
        return
    # The program makes an id in place of an empty file, but leaves the word `uninitialized` alone.
    write_atomic(path, "", 0o444)
    context.runner.run(["systemd-machine-id-setup"])


def _is_transient(path: Path) -> bool:
    # systemd mounts an id over the file when it starts with a read-only root.
    return path.exists() and path.stat().st_dev != path.parent.stat().st_dev


def is_in_other_machine(context: Context) -> bool:
    """Tell whether the disk was installed in another machine. Without a seed that can be read: no."""
    try:
        return is_other_machine(context.seed.machine, read_dmi(context.root))
    except UserError:
        # What is wrong with the seed is said by the tasks that cannot do without it.
        return False


def forget_identity(context: Context) -> None:
    """Remove the keys and the certificate that copies of this disk may have too; later tasks make them anew.

    Raises UserError, OSError.
    """
    seed, machine = context.seed, read_dmi(context.root)
    context.warn(
        f"this disk was installed in another machine (serial {seed.machine.serial or 'unknown'}, this one has "
        f"{machine.serial or 'none'}): ssh host keys and certificate are made anew, with other fingerprints"
    )
    keys = [context.path(key) for key in SSH_HOST_KEYS.values()]
    for path in (*keys, *map(_public, keys), context.path(CERTIFICATE), context.path(KEY)):
        path.unlink(missing_ok=True)
    # What was removed must not come back once the seed says that the disk is in its own machine.
    os.sync()
    write_seed(seed.model_copy(update={"machine": machine}), context.root)


def lacks_ssh_host_keys(context: Context) -> bool:
    """Tell whether a host key is missing or damaged."""
    return any(_is_bad(context, context.path(key)) for key in SSH_HOST_KEYS.values())


def ensure_ssh_host_keys(context: Context) -> None:
    """Make the host keys that are missing, and again those that a power cut damaged."""
    for key in SSH_HOST_KEYS.values():
        private = context.path(key)
        if _is_bad(context, private):
            private.unlink(missing_ok=True)
            _public(private).unlink(missing_ok=True)
    context.runner.run(["ssh-keygen", "-A"])
    # ssh-keygen does not wait for the disk, and sshd will show these keys to clients from now on.
    os.sync()


def _public(private: Path) -> Path:
    return private.with_name(f"{private.name}.pub")


def _is_bad(context: Context, private: Path) -> bool:
    public = (read_if_there(_public(private)) or "").split()
    if not private.exists() or len(public) < 2:
        return True
    # An empty passphrase, so that no prompt can appear; 255 is what it says of a file that is no key.
    done = context.runner.run(["ssh-keygen", "-y", "-P", "", "-f", str(private)], ok=(0, 1, 255))
    return done.status != 0 or done.stdout.split()[:2] != public[:2]


def lacks_certificate(context: Context) -> bool:
    """Tell whether the certificate or its key is missing, damaged, readable by others, or for another node."""
    key, certificate = context.path(KEY), context.path(CERTIFICATE)
    if not key.exists() or not certificate.exists() or key.stat().st_mode & 0o077:
        return True
    pair = Pair(key.read_bytes(), certificate.read_bytes())
    seed = context.seed
    return check_pair(pair, node_names(seed.fqdn, seed.address), context.now()) is not None


def ensure_certificate(context: Context) -> None:
    """Make the certificate and its key anew, where those that the installer made are not fit."""
    seed = context.seed
    write_pair(make_node_pair(seed.fqdn, seed.address, context.now()), context.root)
