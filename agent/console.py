"""What people see of a node's certificate: that of its web console, and its fingerprint on the consoles."""

from __future__ import annotations

from typing import Final

from agent.node_key import CERTIFICATE, KEY
from agent.this_node import ThisNode
from hostlib import tls
from hostlib.banner import apply_banner, lacks_banner
from hostlib.banner_read import read_banner
from hostlib.errors import Problem, StepError

COCKPIT: Final = "cockpit.service"


def ensure_console(this: ThisNode) -> None:
    """Have the web console show the node's own certificate and the login prompts its fingerprint.

    Raises StepError when the certificate is not fit to serve, OSError.
    """
    root, runner = this.incus.root, this.incus.runner
    pair = tls.Pair(this.path(KEY).read_bytes(), this.path(CERTIFICATE).read_bytes())
    if pair != _read_pair(this):
        names = tls.node_names(this.seed.fqdn, this.seed.address)
        if wrong := tls.check_pair(pair, names, this.now()):
            todo = "it is renewed by itself; the web console keeps the one it has"
            raise StepError(str(Problem(str(CERTIFICATE), wrong, todo)))
        tls.write_pair(pair, root)
        runner.run(["systemctl", "try-restart", COCKPIT])
    banner = read_banner(this.seed, {}, root)
    if lacks_banner(banner, root):
        apply_banner(banner, runner, root)


def _read_pair(this: ThisNode) -> tls.Pair | None:
    try:
        return tls.Pair(this.path(tls.KEY).read_bytes(), this.path(tls.CERTIFICATE).read_bytes())
    except FileNotFoundError:
        return None
