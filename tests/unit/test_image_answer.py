"""`python3 -m image answer`: what goes on the ISO, and what is refused."""

from __future__ import annotations

import importlib.util
import io
import sys
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostlib.errors import CommandError, UserError
from hostlib.run import Completed
from image import __main__ as command
from image.answer import (
    ANSWER,
    HOOK,
    LIMIT_BYTES,
    MODE,
    Source,
    check_source,
    read_content,
    render_mode,
)
from image.build import Build

PRINT = "AB:" + "cd" * 31
SECRET = "rack:s3cret"
GOOD = '[global]\nroot-password = "pw"\n'
WITH_ALL = {
    "mode": "http",
    "http": {
        "url": "https://h/?b=\"c'",
        "cert_fingerprint": "ab" + "cd" * 31,
        "token": SECRET,
        "method": "get",
    },
}


class Validator:
    """A runner that stands for `installer validate`."""

    def __init__(self, status: int = 0, stderr: str = "", error: CommandError | None = None) -> None:
        self.done, self.error = Completed(status, "", stderr), error
        self.commands: list[list[str]] = []

    def run(self, argv: Sequence[str], *, ok: Collection[int] = (0,), **_: Any) -> Completed:
        self.commands.append(list(argv))
        if self.error:
            raise self.error
        assert self.done.status in ok
        return self.done


def read(
    source: Source, project: Path, runner: Validator | None = None
) -> tuple[dict[str, bytes], list[str]]:
    told: list[str] = []
    content = read_content(source, runner=runner or Validator(), project=project, warn=told.append)
    return content, told


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (Source(), ["answer: 0 of"]),
        (Source(answer=Path("a"), url="https://h/"), ["answer: 2 of"]),
        (
            Source(label="X", fingerprint=PRINT, token_file="t", method="get"),
            ["--fingerprint", "--token", "--method"],
        ),
        (Source(url="ftp://h/a"), ["--url: this is no http"]),
        (Source(url="https:///a"), ["--url"]),
        (Source(url="https://h:99999/"), ["--url"]),
        (Source(url="https://[::1/"), ["--url"]),
        (Source(url="https://h/a b"), ["--url"]),
        (Source(url='https://h/"\n'), ["--url"]),
        (Source(url=f"https://u:{SECRET}@h/"), ["--url: it holds a user name or a password"]),
        (Source(url="http://h/", fingerprint=PRINT), ["--fingerprint: http has no"]),
        (Source(url="https://h/", fingerprint="ab" * 20), ["--fingerprint: 'abab"]),
        (Source(url="https://h/", fingerprint="g" * 64), ["--fingerprint"]),
        (Source(label="L" * 33), ["--label"]),
        (Source(label="a/b"), ["--label"]),
        (Source(label="süd"), ["--label"]),
    ],
)
def test_wrong_options_are_all_told(source: Source, named: list[str]) -> None:
    problems = [str(problem) for problem in check_source(source)]
    assert len(problems) == len(named)
    assert all(problem.startswith(name) for problem, name in zip(problems, named, strict=True))
    assert SECRET not in "".join(problems)


@pytest.mark.parametrize(
    ("source", "token", "mode"),
    [
        (Source(answer=Path("a")), "", {"mode": "iso"}),
        (Source(label='a "b" \\'), "", {"mode": "partition", "partition_label": 'a "b" \\'}),
        (Source(url="https://h/${mac}"), "", {"mode": "http", "http": {"url": "https://h/${mac}"}}),
        (Source(url="https://h/?b=\"c'", fingerprint=PRINT, method="get"), SECRET, WITH_ALL),
    ],
)
def test_mode_file_has_the_format_of_the_peer(source: Source, token: str, mode: dict[str, object]) -> None:
    assert list(check_source(source)) == []
    assert tomllib.loads(render_mode(source, token)) == mode


def test_content_of_an_answer_and_its_hook(tmp_path: Path) -> None:
    answer, hook = tmp_path / "a.json", tmp_path / "hook"
    answer.write_text('{"first-boot": {"source": "from-iso"}}')
    hook.write_bytes(b"\x7fELF" + bytes(LIMIT_BYTES - 4))
    source = Source(answer=answer, first_boot=hook)
    content = {HOOK: hook.read_bytes(), ANSWER: answer.read_bytes(), MODE: b'mode = "iso"\n'}
    assert read(source, tmp_path) == (content, [])
    hook.write_text("echo no program\n")
    with pytest.raises(UserError, match="hook: this is no program"):
        read(source, tmp_path)


@pytest.mark.parametrize("where", ["file", "stdin"])
def test_token_comes_from_a_file_or_stdin(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
    content, _ = read(Source(url="https://h/", token_file=str(path) if where == "file" else "-"), tmp_path)
    assert tomllib.loads(content[MODE].decode())["http"]["token"] == SECRET


@pytest.mark.parametrize("text", ["", "\n", f"{SECRET}\nmore", "two words", "tök:en", "x" * 4097])
def test_wrong_token_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(UserError, match=r"^--token-file: .* does not hold one line") as caught:
        read(Source(url="https://h/", token_file=str(tmp_path / "token")), tmp_path)
    assert SECRET not in str(caught.value)


def test_plain_http_is_said(tmp_path: Path) -> None:
    _, told = read(Source(url="HTTP://h/"), tmp_path)
    assert [text[:21] for text in told] == ["http is not encrypted"]


def test_all_that_is_wrong_with_the_files_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "hook").write_bytes(b"#!" + bytes(LIMIT_BYTES))
    (tmp_path / "a.toml").write_text("[global\n")
    source = Source(
        answer=tmp_path / "a.toml", url="x", token_file=str(tmp_path), first_boot=tmp_path / "hook"
    )
    with pytest.raises(UserError) as caught:
        read(source, tmp_path)
    found = str(caught.value)
    for text in ("answer: 2 of", "--url: this is no", "hook: it is larger than 1.0 MiB", "neither TOML nor JSON (",
                 "--token-file: "):  # fmt: skip
        assert text in found
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing", "cannot be read"),
        ("empty", "it is empty"),
        (".", "it is no file"),
        ("binary", "neither TOML nor"),
    ],
)
def test_files_that_are_no_answer(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    runner = Validator()
    with pytest.raises(UserError, match=reason) as caught:
        read(Source(answer=tmp_path / name), tmp_path, runner)
    assert len(caught.value.problems) == 1
    assert runner.commands == []


@pytest.mark.parametrize(
    ("text", "hook", "where"),
    [
        ('[first-boot]\nsource = "from-iso"\n', "", "first-boot.source"),
        ('[first-boot]\nsource = "from-url"\n', "hook", "--first-boot"),
        ("first-boot = 1\n", "hook", "--first-boot"),
    ],
)
def test_hook_and_answer_must_agree(text: str, hook: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    (tmp_path / "hook").write_text("#!/bin/sh\n")
    with pytest.raises(UserError) as caught:
        read(Source(answer=tmp_path / "a.toml", first_boot=tmp_path / "hook" if hook else None), tmp_path)
    assert [problem.where for problem in caught.value.problems] == [where]


def test_the_installer_checks_the_answer(tmp_path: Path) -> None:
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "a.toml").write_text(GOOD)
    lines = "global.fqdn: it is missing; add it\nnetwork.x: 'a; b' is wrong; did you mean 'y: z'?\n"
    runner = Validator(2, f"warning: global.root_password: old; write it anew\n{lines}")
    told: list[str] = []
    with pytest.raises(UserError) as caught:
        read_content(Source(answer=tmp_path / "a.toml"), runner=runner, project=tmp_path, warn=told.append)
    assert str(caught.value) == lines.rstrip()
    assert told == ["global.root_password: old; write it anew"]
    validate = [str(python), "-m", "installer", "validate", str(tmp_path / "a.toml")]
    assert runner.commands == [["env", f"--chdir={tmp_path}", *validate]]


@pytest.mark.parametrize("reason", ["no-libraries", "old-libraries"])
def test_an_answer_that_cannot_be_checked_is_said(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    if reason == "no-libraries":
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    runner = Validator(error=CommandError("python", "exit status 1", "Traceback\nImportError: old pydantic"))
    content, told = read(Source(answer=tmp_path / "a.toml"), tmp_path, runner)
    assert content[ANSWER].decode() == GOOD
    assert len(told) == 1
    assert "was not checked: " in told[0]
    assert ("make venv" in told[0]) == (reason == "no-libraries")
    assert ("ImportError: old pydantic" in told[0]) == (reason == "old-libraries")


@pytest.mark.parametrize("text", [GOOD, "["])
def test_make_iso_with_an_answer(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong answer is told before the build; a right one is put on the ISO that was built."""
    done: list[object] = []

    def build(_: Build) -> Path:
        done.append("build")
        return Path("built.iso")

    (tmp_path / "a b.toml").write_text(text)
    monkeypatch.setattr(command, "SystemRunner", Validator)
    monkeypatch.setattr(command, "run_build", build)
    monkeypatch.setattr(command, "find_xorriso", lambda *_: None)
    monkeypatch.setattr(
        command, "write_answer_iso", lambda iso, out, content, **_: done.extend([iso, out, *content])
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["image", "iso", "--answer", "~/a b.toml"])
    assert command.main() == (0 if text == GOOD else 2)
    assert done == (["build", Path("built.iso"), None, ANSWER, MODE] if text == GOOD else [])


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    token = tmp_path / "token"
    token.write_text(SECRET)
    monkeypatch.setattr(command, "SystemRunner", Validator)
    monkeypatch.setattr(command, "find_xorriso", lambda *_: None)
    monkeypatch.setattr(command, "write_answer_iso", lambda *arguments, **_: done.extend(arguments))
    options = ["--url", "https://h/", "--fingerprint", PRINT, "--token-file", str(token), "--method", "post"]
    monkeypatch.setattr("sys.argv", ["image", "answer", "i.iso", *options, "--output", "o.iso"])
    assert command.main() == 0
    mode = f'mode = "http"\n\n[http]\nurl = "https://h/"\ncert_fingerprint = "ab{"cd" * 31}"\ntoken = "{SECRET}"\n'
    assert done == [Path("i.iso"), Path("o.iso"), {MODE: f'{mode}method = "post"\n'.encode()}]
