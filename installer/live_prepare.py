"""From a found answer to an installation that is ready to begin: everything is known, nothing has been written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hostlib.checks import Finding
from hostlib.errors import Problem
from hostlib.inventory import INSTALLED_TAG, Inventory
from hostlib.probe import read_inventory
from hostlib.run import Runner
from installer.answers import Answers, parse_answers
from installer.config import InstallConfig
from installer.enrollment import read_token_file
from installer.execute import unmount_leftovers
from installer.hook import read_hook
from installer.leases import apply_resolver, wait_for_leases
from installer.plan import plan_install
from installer.redaction import collect_secrets, redact_all
from installer.resolve import check_machine, resolve
from installer.steps.base import Step
from installer.volumes import Answer

Say = Callable[[str], None]
Note = Callable[[Inventory, Sequence[Finding]], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An installation that is ready to begin: everything is known and checked, nothing has been written."""

    config: InstallConfig
    plan: Sequence[Step]
    answer: str
    """As JSON without secrets."""
    inventory: Inventory
    holds_node: bool = False
    """The target holds a node whose installation has ended well."""


def read_answers(answer: Answer, warn: Say) -> Answers:
    """Parse an answer. Raises UserError with all problems."""
    answers, warnings = parse_answers(answer.text, answer.source)
    for warning in warnings:
        warn(str(warning))
    return answers


def wants_reboot(text: str) -> bool:
    """Tell whether an answer says `reboot-on-error`, as far as can be told when it is wrong elsewhere."""
    try:
        data = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
        settings = data["global"]
        return (settings.get("reboot-on-error") or settings.get("reboot_on_error")) is True
    except (KeyError, AttributeError, TypeError):
        return False
    except (ValueError, RecursionError):
        return re.search(r'^[\s"]*reboot[-_]on[-_]error"?\s*[=:]\s*true\b', text, re.MULTILINE) is not None


def prepare(answers: Answers, runner: Runner, say: Say, warn: Say, note: Note) -> Prepared:
    """Turn answers into an installation. Raises UserError with all problems, CheckBlocksError.

    `say` writes to the consoles, `warn` takes what an administrator should know; `note` gets the machine and what
    its checks found, also where that refuses the installation.
    """
    unmount_leftovers(runner)
    inventory = read_inventory(runner)
    if needs_lease(answers) and wait_for_leases(inventory, say) is not inventory:
        # The disks, too, are to be as they are now: a controller may have found more of them meanwhile.
        inventory = read_inventory(runner)
    apply_resolver(inventory)
    findings = check_machine(answers, inventory)
    note(inventory, findings)
    # Before anything is refused: a controller that hides drives may be why the answer's disk is not there.
    for finding in findings:
        if finding.severity == "warning":
            warn(str(finding.problem))
    config = resolve(answers, inventory)
    target = next(disk for disk in inventory.disks if disk.stable_path == config.target.path)
    for warning in config.warnings:
        warn(warning)
    config = config.model_copy(update={"enrollment": read_token_file(config.enrollment)})
    hook = None
    if config.first_boot:
        hook = read_hook(config.first_boot, lambda text: warn(f"first-boot: {text}"))
    text = answers.model_dump_json(by_alias=True, indent=2) + "\n"
    return Prepared(
        config,
        plan_install(config, hook),
        redact_all(text, collect_secrets(answers)),
        inventory,
        any(INSTALLED_TAG in content.vg_tags for content in target.contents),
    )


def node_problem(config: InstallConfig) -> Problem:
    """Give what stops an unattended installation that would erase a finished node."""
    what = "this disk holds a node that Slipway has installed; it is not erased without being asked"
    todo = (
        "remove the medium or let the firmware start from the disk; to erase it, boot with slipway.mode=auto, run "
        "`slipway-install install --auto` or set disk-setup.on-existing to 'wipe'"
    )
    return Problem(config.target.path, what, todo)


def needs_lease(answers: Answers) -> bool:
    """Tell whether the answer takes anything from DHCP, or the live system needs an address for what it says."""
    talks = (
        answers.report is not None
        or answers.post_installation_webhook is not None
        or (answers.first_boot is not None and answers.first_boot.source == "from-url")
    )
    return talks or answers.network.source == "from-dhcp" or not isinstance(answers.global_.fqdn, str)
