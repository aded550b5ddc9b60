"""Programs of the guest, run so that a judge can go on whatever they do."""

from __future__ import annotations

import json
import subprocess
import traceback
from collections.abc import Callable
from typing import Final

LIMIT_SECONDS: Final = 600.0


def run(*argv: str, timeout_seconds: float = LIMIT_SECONDS) -> dict[str, object]:
    """Run a program and give its `status`, `stdout` and `stderr`; status None when it did not end in time."""
    try:
        done = subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout_seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"status": None, "stdout": "", "stderr": str(error)}
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return {"status": done.returncode, "stdout": out, "stderr": err}


def read_output(*argv: str, timeout_seconds: float = LIMIT_SECONDS) -> str:
    """Run a program and give its standard output.

    Raises:
        RuntimeError: it failed; the text holds its stderr.
    """
    done = run(*argv, timeout_seconds=timeout_seconds)
    if done["status"] != 0:
        raise RuntimeError(
            f"{' '.join(argv)}: exit status {done['status']}\n{done['stderr']}{done['stdout']}"
        )
    return str(done["stdout"])


def read_json(*argv: str) -> object:
    """Run a program and give what it printed as JSON.

    Raises:
        RuntimeError: it failed.
        ValueError: it printed something else.
    """
    result: object = json.loads(read_output(*argv))
    return result


def collect(facts: dict[str, Callable[[], object]]) -> dict[str, object]:
    """Call every fact's reader. One that fails gives `{"error": traceback}`: the others still count."""
    found: dict[str, object] = {}
    for name, read in facts.items():
        try:
            found[name] = read()
        except Exception:  # noqa: BLE001 - a judge reports, it does not stop
            found[name] = {"error": traceback.format_exc()}
    return found
