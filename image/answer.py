"""What an ISO carries for an unattended installation: an answer file, or where to get one, and a hook."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hostlib.errors import CommandError, Problem, UserError
from hostlib.run import Runner
from hostlib.sizes import MIB, render_size

ANSWER: Final = "answer.toml"
MODE: Final = "auto-installer-mode.toml"
HOOK: Final = "slipway-first-boot"
OWNED: Final = (ANSWER, MODE, HOOK, "proxmox-first-boot")
"""Files at the root of the ISO that belong to an answer: those of an earlier one are taken off."""
LIMIT_BYTES: Final = MIB
TOKEN_LIMIT_BYTES: Final = 4096
LABEL_LIMIT: Final = 32
"""Of an ISO 9660 volume, the longest of the file systems that are looked at; FAT has 11, ext4 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What to put on the ISO: exactly one of `answer`, `url`, `label`, and what goes with it."""

    answer: Path | None = None
    url: str = ""
    label: str = ""
    fingerprint: str = ""
    token_file: str = ""
    """A path, or `-` for standard input. The token itself would be seen in the process list."""
    method: str = ""
    first_boot: Path | None = None


def check_source(source: Source) -> Iterator[Problem]:
    """Give what is wrong with the options, without a look at any file."""
    ways = sum(bool(way) for way in (source.answer, source.url, source.label))
    if ways != 1:
        what = f"{ways} of an answer file, --url and --label are given"
        yield Problem("answer", what, "give exactly one of them")
    if source.url:
        yield from _check_url(source.url)
        if source.fingerprint and source.url.lower().startswith("http:"):
            yield Problem("--fingerprint", "http has no certificate", "use https, or leave it out")
    else:
        for name, value in (("fingerprint", source.fingerprint), ("token-file", source.token_file),
                            ("method", source.method)):  # fmt: skip
            if value:
                yield Problem(f"--{name}", "it goes with --url only", "add --url, or leave it out")
    if source.fingerprint and not re.fullmatch("[0-9a-f]{64}", parse_fingerprint(source.fingerprint)):
        what = f"'{source.fingerprint}' is no SHA-256 of a certificate"
        todo = "give 64 hexadecimal digits: openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE"
        yield Problem("--fingerprint", what, todo)
    if source.label and (len(source.label) > LABEL_LIMIT or not re.fullmatch("[ -.0-~]+", source.label)):
        what = f"{source.label!r} is no label of a volume"
        yield Problem("--label", what, f"give at most {LABEL_LIMIT} ASCII characters without '/'")


def _check_url(url: str) -> Iterator[Problem]:
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    else:
        if parts.username is not None or parts.password is not None:
            yield Problem("--url", "it holds a user name or a password", "use --token-file")
            return
    if not good or not re.fullmatch("[!-~]+", url):
        # Not repeated: its query may be a secret.
        yield Problem("--url", "this is no http or https URL", "give one such as https://192.0.2.10/answer")


def parse_fingerprint(text: str) -> str:
    """Give a fingerprint in lower case, without the colons of openssl and browsers."""
    return text.replace(":", "").lower()


def read_content(
    source: Source, *, runner: Runner, project: Path, warn: Callable[[str], None]
) -> dict[str, bytes]:
    """Read and check all that goes on the ISO.

    `project` is the folder of the installer that checks the answer. Gives name at the ISO's root -> content.
    Raises UserError with all problems.
    """
    problems = list(check_source(source))
    content: dict[str, bytes] = {}
    if source.first_boot:
        content[HOOK] = _read_limited(source.first_boot, problems)
        if content[HOOK] and not content[HOOK].startswith((b"#!", b"\x7fELF")):
            what = "this is no program: it begins with neither #! nor ELF"
            problems.append(
                Problem(str(source.first_boot), what, "put `#!/bin/sh` or the like in its first line")
            )
    if source.answer:
        content[ANSWER] = _read_limited(source.answer, problems)
        if content[ANSWER]:
            problems += _check_answer(source.answer, content, runner=runner, project=project, warn=warn)
    token = _read_token(source.token_file, problems) if source.token_file else ""
    if problems:
        raise UserError(problems)
    if source.url.lower().startswith("http:"):
        warn(
            "http is not encrypted: the answer's passwords can be read on the network, and anybody can forge it"
        )
    content[MODE] = render_mode(source, token).encode()
    return content


def render_mode(source: Source, token: str = "") -> str:
    """Give the mode file: the format of the peer's (`mode`, `partition_label`, `[http]`) and `method`."""
    if source.url:
        http = {
            "url": source.url,
            "cert_fingerprint": parse_fingerprint(source.fingerprint),
            "token": token,
            "method": source.method,
        }
        # All values are printable ASCII: their JSON strings are TOML's too.
        lines = [f"{key} = {json.dumps(value)}" for key, value in http.items() if value]
        return "\n".join(['mode = "http"', "", "[http]", *lines, ""])
    if source.label:
        return f'mode = "partition"\npartition_label = {json.dumps(source.label)}\n'
    return 'mode = "iso"\n'


def _read_limited(path: Path, problems: list[Problem]) -> bytes:
    """Read a file of at most 1 MiB; what is wrong with it goes to `problems`."""
    try:
        if path.exists() and not path.is_file():
            problems.append(Problem(str(path), "it is no file", "give the path of a file"))
            return b""
        with path.open("rb") as stream:
            data = stream.read(LIMIT_BYTES + 1)
    except OSError as error:
        problems.append(Problem(str(path), f"it cannot be read ({error.strerror})", "check the path"))
        return b""
    if not data:
        problems.append(Problem(str(path), "it is empty", "give the right file"))
    elif len(data) > LIMIT_BYTES:
        what = f"it is larger than {render_size(LIMIT_BYTES)}"
        problems.append(Problem(str(path), what, "give the right file; the installer takes no larger one"))
        return b""
    return data


def _read_token(name: str, problems: list[Problem]) -> str:
    where = "--token-file"
    try:
        if name == "-":
            data = sys.stdin.buffer.read(TOKEN_LIMIT_BYTES + 1)
        else:
            with Path(name).expanduser().open("rb") as stream:
                data = stream.read(TOKEN_LIMIT_BYTES + 1)
    except OSError as error:
        problems.append(Problem(where, f"{name} cannot be read ({error.strerror})", "check the path"))
        return ""
    token = data.decode("ascii", errors="replace").strip()
    if len(data) > TOKEN_LIMIT_BYTES or not re.fullmatch("[!-~]+", token):
        what = f"{name} does not hold one line of ASCII without spaces, of at most {TOKEN_LIMIT_BYTES} bytes"
        problems.append(Problem(where, what, "put the token in it and nothing else"))
    return token


def _check_answer(
    path: Path, content: Mapping[str, bytes], *, runner: Runner, project: Path, warn: Callable[[str], None]
) -> Iterator[Problem]:
    try:
        data = parse_answer(content[ANSWER])
    except (ValueError, RecursionError) as error:
        place = re.sub(r"\s+", " ", str(error))
        yield Problem(
            str(path), f"this is neither TOML nor JSON ({place})", "correct the syntax at that place"
        )
        return
    yield from check_hook(data, has_hook=HOOK in content)
    yield from _validate(path, runner=runner, project=project, warn=warn)


def parse_answer(content: bytes) -> dict[str, Any]:
    """Read the text of an answer as the installer does. Raises ValueError, RecursionError."""
    text = content.decode("utf-8-sig")
    data = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    return dict(data)


def check_hook(data: Mapping[str, Any], *, has_hook: bool) -> Iterator[Problem]:
    """Compare the answer's `first-boot` with whether a hook goes on the ISO with it."""
    table = data.get("first-boot")
    wanted = isinstance(table, dict) and table.get("source") == "from-iso"
    if wanted and not has_hook:
        todo = "run `python3 -m image answer ISO FILE --first-boot HOOK`"
        yield Problem("first-boot.source", "the answer wants a hook from the ISO, and none is given", todo)
    if has_hook and not wanted:
        todo = 'add `source = "from-iso"` to the table `first-boot`, or leave the hook out'
        yield Problem("--first-boot", "the answer does not ask for the hook, so it would never run", todo)


def _validate(path: Path, *, runner: Runner, project: Path, warn: Callable[[str], None]) -> Iterator[Problem]:
    """Let the installer check the answer, where a Python with its libraries is at hand."""
    python = project / ".venv/bin/python"
    if not python.exists():
        if importlib.util.find_spec("pydantic") is None:
            warn(
                f"{path} was not checked: this Python lacks the installer's libraries; `make venv` makes one"
            )
            return
        python = Path(sys.executable)
    command = [str(python), "-m", "installer", "validate", str(path.resolve())]
    try:
        done = runner.run(["env", f"--chdir={project}", *command], ok=(0, 2))
    except CommandError as error:
        reason = (error.output.splitlines() or [error.reason])[-1]
        warn(f"{path} was not checked: {reason}")
        return
    for line in done.stderr.splitlines():
        if line.startswith("warning: "):
            warn(line.removeprefix("warning: "))
        elif done.status and line.strip():
            where, _, rest = line.partition(": ")
            what, _, todo = rest.rpartition("; ")
            yield Problem(where, what, todo)
