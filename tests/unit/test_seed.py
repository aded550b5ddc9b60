import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from hostlib.seed import SEED_PATH, NodeSeed, read_seed, write_seed

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
