"""`slipway admin` and `slipway firewall`: who may use the Incus API, and what reaches this node."""

from __future__ import annotations

import re
import sys
from typing import Final

from hostlib.errors import CommandError, ExitStatus, Problem, StepError, UserError
from hostlib.firewall import TABLE
from hostlib.run import Runner

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
TIMEOUT_SECONDS: Final = 60.0


def run_admin_add(name: str, runner: Runner) -> ExitStatus:
    """Have Incus make a token with which one client may enter itself as `name`, and print it with what to do.

    Raises UserError when `name` is none, StepError when Incus gives no token.
    """
    if not NAME.fullmatch(name):
        what = f"'{name}' is no name: 1 to 63 letters, digits, '.', '_', '-', a letter or digit first"
        raise UserError(Problem("NAME", what, "choose another one"))
    done = runner.run(["incus", "config", "trust", "add", name], timeout_seconds=TIMEOUT_SECONDS)
    # Incus says what the line is before it.
    token = next(reversed(done.stdout.split()), "")
    if not re.fullmatch(r"[A-Za-z0-9+/_=-]{40,}", token):
        raise StepError(
            str(
                Problem(
                    "incus config trust add",
                    "gave no token",
                    f"look: incus config trust list-tokens ({name})",
                )
            )
        )
    sys.stderr.write(
        f"Whoever has this token becomes administrator of this cluster, once. On the computer of {name}:\n"
        "  incus remote add CLUSTER TOKEN\n"
        f"Not used: incus config trust revoke-token {name}\n\n"
    )
    sys.stdout.write(f"{token}\n")
    return ExitStatus.DONE


def run_firewall_show(runner: Runner) -> ExitStatus:
    """Print the rules that are in effect. Raises StepError when there are none."""
    try:
        done = runner.run(["nft", "list", "table", *TABLE], timeout_seconds=TIMEOUT_SECONDS)
    except CommandError as error:
        if "No such file" not in error.output:
            raise
        what = f"the rules are not in effect: there is no table '{' '.join(TABLE)}'"
        todo = "run: systemctl restart nftables; look: journalctl -u nftables"
        raise StepError(str(Problem("firewall", what, todo))) from error
    sys.stdout.write(done.stdout)
    return ExitStatus.DONE
