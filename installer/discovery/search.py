"""Where the answer is looked for: the kernel command line's parameters, and a machine's values in a URL. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar
from urllib.parse import quote

from pydantic import SecretStr

from hostlib.errors import Problem, UserError
from hostlib.http import redact_url
from hostlib.inventory import Inventory
from installer.answers.urls import check_fingerprint, check_token, check_url
from installer.discovery.mode_file import Method
from installer.volumes import LABELS

CORRECT: Final = "correct the kernel command line"
OF_A_URL: Final = ("answer-fingerprint", "answer-token", "answer-method")

Kind = Literal["", "url", "label", "medium"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How a server is asked, and how far it is trusted. Belongs to one URL."""

    fingerprint: str = ""
    """64 hexadecimal digits, or empty: then the certificate must be one of a known CA."""
    token: SecretStr | None = None
    method: Method = "post"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where the answer is looked for, as the kernel command line says."""

    url: str = ""
    """The answer is there and nowhere else."""
    trust: Trust = Trust()
    labels: tuple[str, ...] = LABELS
    kind: Kind = ""
    """The only kind of source that is asked; empty asks them all."""
    required: bool = False
    """Nobody is there to be asked: an answer must come."""


def parse_search(parameters: Mapping[str, str]) -> Search:
    """Read the `slipway.` parameters (names without that prefix). Raises UserError with all that is wrong."""
    problems: list[Problem] = []

    def told(name: str, check: Callable[[str], T], otherwise: T) -> T:
        if name not in parameters:
            return otherwise
        try:
            return check(parameters[name])
        except ValueError as error:
            problems.append(Problem(f"slipway.{name}", str(error), CORRECT))
            return otherwise

    nothing: tuple[Kind, str] = ("", "")
    kind, value = told("answer", parse_wanted, nothing)
    trust = Trust(
        fingerprint=told("answer-fingerprint", check_fingerprint, ""),
        token=told("answer-token", lambda text: check_token(SecretStr(text)), None),
        method=told("answer-method", parse_method, "post"),
    )
    given = [f"slipway.{name}" for name in OF_A_URL if name in parameters]
    if given and kind != "url" and not problems:
        what = "without a URL in slipway.answer it has no effect"
        problems += [Problem(name, what, "give the URL beside it, or leave it out") for name in given]
    if problems:
        raise UserError(problems)
    return Search(
        url=value if kind == "url" else "",
        trust=trust,
        labels=(value,) if kind == "label" else LABELS,
        kind=kind,
        required=bool(kind) or parameters.get("mode") == "auto",
    )


def parse_wanted(text: str) -> tuple[Kind, str]:
    """Read `slipway.answer`: give its kind, and the URL or the label. Raises ValueError."""
    if text in {"", "medium"}:
        return ("medium", "") if text else ("", "")
    if text.startswith("label:") and text != "label:":
        return "label", text.removeprefix("label:")
    if text.partition(":")[0].lower() in {"http", "https"}:
        return "url", check_url(text)
    raise ValueError(f"{redact_url(text)!r} is neither a http or https URL nor `label:NAME` nor `medium`")


def parse_method(text: str) -> Method:
    """Read the HTTP method, in any case of letters. Raises ValueError."""
    match text.lower():
        case "get":
            return "get"
        case "post":
            return "post"
        case _:
            raise ValueError(f"{text!r} is neither `post` nor `get`")


def substitute(url: str, inventory: Inventory, where: str) -> str:
    """Put this machine's `${mac}`, `${serial}` and `${uuid}` into a URL.

    `${mac}` is the interface that was booted from, or the one with the best lease: lower case, with colons.
    Raises UserError, with `where` the URL comes from, for a name that is unknown or that this machine lacks.
    """
    values = {"mac": boot_mac(inventory), "serial": inventory.dmi.serial, "uuid": inventory.dmi.uuid}
    problems = []
    for name in dict.fromkeys(re.findall(r"\$\{([^}]*)\}", url)):
        if name not in values:
            todo = f"known are {', '.join(f'${{{known}}}' for known in values)}"
            problems.append(Problem(where, f"${{{name}}} in the URL is unknown", todo))
        elif not values[name]:
            what = f"${{{name}}} in the URL is empty on this machine"
            problems.append(Problem(where, what, "use another of ${mac}, ${serial}, ${uuid}"))
    if problems:
        raise UserError(problems)
    for name, value in values.items():
        url = url.replace(f"${{{name}}}", quote(value, safe=":"))
    return url


def boot_mac(inventory: Inventory) -> str:
    """Give the MAC of the interface that was booted from, else that of the best lease, else nothing."""
    # The loaders write it with dashes behind the type of hardware: BOOTIF=01-52-54-00-12-34-56.
    booted = re.search(
        r"(?:^|\s)BOOTIF=(?:[0-9a-f]{2}[-:])?((?:[0-9a-f]{2}[-:]){5}[0-9a-f]{2})(?:\s|$)",
        inventory.kernel_cmdline,
        re.IGNORECASE,
    )
    if booted:
        return booted[1].replace("-", ":").lower()
    macs = {nic.name: nic.mac.lower() for nic in inventory.nics}
    return next((macs[lease.nic] for lease in inventory.leases if lease.nic in macs), "")
