"""From `[enrollment]` to what the node is told, and where the token is on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from hostlib.errors import UserError
from hostlib.inventory import Inventory
from hostlib.join_string import JoinString, render_join_string
from hostlib.record import Dmi
from hostlib.seed import read_seed
from installer.answers import Enrollment
from installer.config import EnrollmentConfig
from installer.enrollment import read_token_file, resolve_enrollment
from installer.redaction import collect_secrets
from installer.steps import handoff
from installer.steps.handoff import Handoff
from tests.unit.answer_data import outcome
from tests.unit.installer_fakes import FakeRunner, config, context
from tests.unit.test_join_string import FINGERPRINT, TOKEN

URL = "https://192.0.2.10:8007"
STRING = render_join_string(JoinString((URL,), FINGERPRINT, TOKEN))
JOINED = EnrollmentConfig(mode="join", urls=(URL,), fingerprint=FINGERPRINT, token=SecretStr(TOKEN))
FROM_FILE = EnrollmentConfig(mode="join", token_file="sub/join.txt")


def answer(**values: object) -> Enrollment:
    return Enrollment.model_validate({key.replace("_", "-"): value for key, value in values.items()})


def test_without_a_section_a_node_makes_a_cluster() -> None:
    assert resolve_enrollment(None) == EnrollmentConfig(mode="bootstrap", cluster_name="slipway")
    assert resolve_enrollment(answer(cluster_name="r4")).cluster_name == "r4"
    assert resolve_enrollment(answer(mode="none")) == EnrollmentConfig(mode="none")


def test_a_string_and_its_parts_say_the_same() -> None:
    parts = answer(mode="join", url="https://192.0.2.10", fingerprint=FINGERPRINT.upper(), token=TOKEN)
    assert resolve_enrollment(parts) == JOINED
    assert resolve_enrollment(answer(mode="join", token=STRING)) == JOINED


@pytest.mark.parametrize("count", [16, 17])
def test_the_number_of_members_has_a_limit(count: int) -> None:
    urls = [f"https://192.0.2.{number}" for number in range(count)]
    table = {"mode": "join", "url": urls, "token": TOKEN, "fingerprint": FINGERPRINT}
    told = outcome({"enrollment": table})
    assert told == ("ok" if count == 16 else "enrollment.url: 17 URLs are listed")


def test_a_token_in_a_file_on_the_medium(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/join.txt").write_text(f"{STRING}\n")
    read = read_token_file(FROM_FILE, tmp_path)
    assert read == JOINED.model_copy(update={"token_file": "sub/join.txt"})
    (tmp_path / "sub/join.txt").write_text(f"{TOKEN}\r\n")
    whole = FROM_FILE.model_copy(update={"urls": (URL,), "fingerprint": FINGERPRINT})
    assert read_token_file(whole, tmp_path) == read
    assert read_token_file(JOINED, tmp_path / "gone") is JOINED


@pytest.mark.parametrize(
    ("content", "urls", "what"),
    [
        (
            None,
            (),
            "sub/join.txt cannot be read on the live medium (No such file or directory); put it there",
        ),
        (TOKEN, (), "sub/join.txt: it holds a bare token; add url and fingerprint"),
        (
            STRING,
            (URL,),
            "sub/join.txt: it brings url and fingerprint, which the answer gives too; remove them",
        ),
        (STRING[:50], (), "sub/join.txt: it is cut off or changed; paste"),
        ("", (URL,), "sub/join.txt: this is no token of 32 to 256"),
        ("\xff" * 20000, (URL,), "sub/join.txt: this is no token of 32 to 256"),
    ],
)
def test_a_file_that_holds_no_token(
    tmp_path: Path, content: str | None, urls: tuple[str, ...], what: str
) -> None:
    (tmp_path / "sub").mkdir()
    if content is not None:
        (tmp_path / "sub/join.txt").write_text(content, encoding="latin-1")
    with pytest.raises(UserError) as caught:
        read_token_file(FROM_FILE.model_copy(update={"urls": urls}), tmp_path)
    assert str(caught.value).startswith(f"enrollment.token-file: {what}")
    assert TOKEN not in str(caught.value)


def test_the_token_is_handed_over_in_the_seed_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "install.log"
    log.write_text(f"somebody printed {TOKEN}\n")
    monkeypatch.setattr(handoff, "INSTALL_LOG", log)
    monkeypatch.setattr(handoff, "EVENTS", tmp_path / "no-events")
    joining = config(enrollment=JOINED)
    dmi = Dmi(serial="S1", uuid="4c4c4544")
    machine = Inventory.model_construct(dmi=dmi)
    given = context(
        FakeRunner(), tmp_path, inventory=machine, secrets=frozenset(collect_secrets(joining)), answer="{}"
    )
    step = Handoff(joining)
    step.run(given, lambda _: None)
    seed = read_seed(given.target)
    assert seed.enrollment.model_dump() == JOINED.model_dump(exclude={"token_file"})
    assert seed.machine == dmi
    holding = [path.name for path in given.target.rglob("*") if path.is_file() and TOKEN in path.read_text()]
    assert holding == ["seed.json"]
    assert [preview.path for preview in step.describe() if TOKEN in preview.content] == []
