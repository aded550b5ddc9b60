import json
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from hostlib.record import Dmi
from hostlib.seed import SEED_PATH, NodeSeed, SeedEnrollment, drop_token, read_seed, write_seed

SEED = NodeSeed(
    install_id="3d2c0e9a-53b5-4c37-a7f4-0d6d8a2b9c11",
    installed_at="2025-11-20T10:00:00Z",
    version="0.1.0",
    fqdn="node7.example.test",
    address="192.0.2.41/24",
)


def test_a_seed_survives_the_disk_and_is_for_root_only(tmp_path: Path) -> None:
    write_seed(SEED, tmp_path)
    assert read_seed(tmp_path) == SEED
    assert (tmp_path / SEED_PATH).stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / SEED_PATH).read_text())["schema"] == 1


@pytest.mark.parametrize("change", [{"schema": 2}, {"surprise": True}, {"fqdn": None}])
def test_a_seed_that_is_not_understood_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    write_seed(SEED, tmp_path)
    path = tmp_path / SEED_PATH
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValidationError):
        read_seed(tmp_path)


TOKEN = "never-print-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
JOINING = SEED.model_copy(
    update={
        "machine": Dmi(serial="S1", uuid="4c4c4544-0001"),
        "enrollment": SeedEnrollment(
            mode="join", urls=("https://192.0.2.10:8007",), fingerprint="ab" * 32, token=SecretStr(TOKEN)
        ),
    }
)


def test_the_token_is_on_the_disk_and_shown_nowhere(tmp_path: Path) -> None:
    write_seed(JOINING, tmp_path)
    assert read_seed(tmp_path) == JOINING
    assert (tmp_path / SEED_PATH).stat().st_mode & 0o777 == 0o600
    shown = [repr(JOINING), str(JOINING.model_dump()), JOINING.model_dump_json()]
    assert [text for text in shown if TOKEN in text] == []


def test_a_token_that_was_used_leaves_the_disk(tmp_path: Path) -> None:
    write_seed(JOINING, tmp_path)
    write_seed(drop_token(read_seed(tmp_path)), tmp_path)
    assert TOKEN not in (tmp_path / SEED_PATH).read_text()
    left = read_seed(tmp_path)
    assert left.enrollment.token is None
    assert (left.enrollment.urls, left.machine) == (JOINING.enrollment.urls, JOINING.machine)


def test_a_seed_of_a_version_without_clusters_stays_alone(tmp_path: Path) -> None:
    old = SEED.model_dump(by_alias=True, exclude={"machine", "enrollment"})
    (tmp_path / SEED_PATH).parent.mkdir(parents=True)
    (tmp_path / SEED_PATH).write_text(json.dumps(old))
    assert read_seed(tmp_path).enrollment.mode == "none"
