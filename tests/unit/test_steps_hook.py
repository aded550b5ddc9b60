from pathlib import Path
from typing import Any, get_args

import pytest

from hostlib.errors import StepError, UserError
from hostlib.http import HttpError, Request, Response
from hostlib.paths import FIRSTBOOT_DONE
from hostlib.sizes import MIB
from image.units import NODE_ONLY
from installer import hook as hook_module
from installer.config import Endpoint, FirstBootHook
from installer.hook import Hook, describe_hook, read_hook
from installer.steps.hook import PENDING, PROGRAM, UNITS, FirstBoot
from tests.unit.installer_fakes import FakeRunner, context

LAYER = Path(__file__).parents[2] / "image/layer"
ORDERINGS = get_args(FirstBootHook.model_fields["ordering"].annotation)
SCRIPT = b"#!/bin/sh\nexport TOKEN=s3cret\n"
FROM_ISO = FirstBootHook(source="from-iso", ordering="fully-up", endpoint=None)
FROM_URL = FirstBootHook(
    source="from-url",
    ordering="before-network",
    endpoint=Endpoint(url="https://192.0.2.1/hook?key=k3y", cert_fingerprint="ab" * 32),
)


def quiet(_: str) -> None:
    """Take what is told where a test does not look at it."""


@pytest.mark.parametrize("name", ["slipway-first-boot", "proxmox-first-boot"])
def test_a_hook_on_the_medium(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SCRIPT)
    hook = read_hook(FROM_ISO, quiet, tmp_path)
    assert hook == Hook("fully-up", "the live medium", SCRIPT)
    assert "s3cret" not in repr(hook)
    (tmp_path / "slipway-first-boot").write_bytes(b"\x7fELF")
    assert read_hook(FROM_ISO, quiet, tmp_path).content == b"\x7fELF"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "first-boot: the live medium holds no slipway-first-boot and no proxmox-first-boot; put "),
        (b"#!" + b"x" * MIB, "first-boot: slipway-first-boot has 1048578 bytes, more than 1.0 MiB; make "),
        (b"echo hello\n", "first-boot: what the live medium gives (11 bytes) is no program: it begins with "),
        (b"", "first-boot: what the live medium gives (0 bytes) is no program: it begins with "),
    ],
)
def test_a_hook_that_is_refused(tmp_path: Path, content: bytes | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "slipway-first-boot").write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_hook(FROM_ISO, quiet, tmp_path)
    assert str(caught.value).startswith(problem)


def test_a_hook_of_exactly_the_limit(tmp_path: Path) -> None:
    (tmp_path / "slipway-first-boot").write_bytes(b"#!" + b"x" * (MIB - 2))
    assert len(read_hook(FROM_ISO, quiet, tmp_path).content or b"") == MIB


def test_a_hook_from_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Request] = []

    def send(request: Request, **_: Any) -> Response:
        sent.append(request)
        return Response(200, "", SCRIPT)

    monkeypatch.setattr(hook_module, "send_patiently", send)
    told: list[str] = []
    assert read_hook(FROM_URL, told.append) == Hook(
        "before-network", "https://192.0.2.1/hook?<redacted>", SCRIPT
    )
    assert not told
    plain = Endpoint(url="http://192.0.2.1/hook")
    read_hook(FROM_URL.model_copy(update={"endpoint": plain}), told.append)
    assert told == ["the hook comes over http: anybody on the way can read and change it"]
    request = sent[0]
    assert (request.method, request.fingerprint, request.limit_bytes) == ("GET", "ab" * 32, MIB)


def test_a_server_without_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Response:
        raise HttpError(
            "https://192.0.2.1/hook: status 404 Not Found; see the log of that server", final=True
        )

    monkeypatch.setattr(hook_module, "send_patiently", fail)
    with pytest.raises(UserError) as caught:
        read_hook(FROM_URL, quiet)
    assert str(caught.value) == (
        "first-boot.url: https://192.0.2.1/hook: status 404 Not Found; see the log of that server"
    )


def test_the_hook_on_the_node(tmp_path: Path) -> None:
    here = context(FakeRunner(), tmp_path)
    step = FirstBoot(Hook("fully-up", "the live medium", SCRIPT))
    with pytest.raises(StepError, match=r"slipway-hook-fully-up\.service is not in the system"):
        step.run(here, lambda _: None)
    unit = here.target / UNITS / "slipway-hook-fully-up.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    for _ in range(2):
        step.run(here, lambda _: None)
    program = here.target / PROGRAM.relative_to("/")
    assert program.read_bytes() == SCRIPT
    assert (program.stat().st_mode & 0o777, program.parent.stat().st_mode & 0o777) == (0o700, 0o700)
    assert (here.target / PENDING.relative_to("/")).read_bytes() == b""
    (link,) = (here.target / "etc/systemd/system/multi-user.target.wants").iterdir()
    assert (link.name, str(link.readlink())) == (
        unit.name,
        "/usr/lib/systemd/system/slipway-hook-fully-up.service",
    )


def test_a_plan_tells_path_and_size_only() -> None:
    read = str(FirstBoot(Hook("fully-up", "the live medium", SCRIPT)).describe())
    assert "/var/lib/slipway/hook/first-boot" in read
    assert "<30 B from the live medium>" in read
    assert "s3cret" not in read
    unread = str(FirstBoot(describe_hook(FROM_URL)).describe())
    assert "<read when it installs, from https://192.0.2.1/hook?<redacted>>" in unread


def read_unit(ordering: str) -> dict[str, list[str]]:
    text = (LAYER / UNITS / f"slipway-hook-{ordering}.service").read_text()
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(key, []).append(value)
    return values


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_units(ordering: str) -> None:
    unit = read_unit(ordering)
    assert unit["ExecStart"] == [f"{PROGRAM} {ordering}"]
    assert unit["ExecStartPost"] == [f"/bin/rm -f {PENDING}"]
    assert unit["ConditionKernelCommandLine"] == ["!boot=live"]
    done = [str(FIRSTBOOT_DONE)] if ordering == "fully-up" else []
    assert unit["ConditionPathExists"] == [str(PENDING), *done]
    assert unit["StandardOutput"] == unit["StandardError"] == ["journal+console"]
    assert unit["TimeoutStartSec"] == ["1800"]
    before = " ".join(unit.get("Before", [])).split()
    # Sockets, targets of the early boot and our own first boot must never wait for a site's program.
    assert before == (["network-pre.target", "networking.service"] if ordering == "before-network" else [])
    assert "networking.service" in NODE_ONLY


def test_each_ordering_has_a_unit() -> None:
    units = {path.name for path in (LAYER / UNITS).glob("slipway-hook-*")}
    assert units == {f"slipway-hook-{ordering}.service" for ordering in ORDERINGS}
