"""Machines that QEMU emulated: what their live system read gives the same inventory again, and the findings it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostlib.errors import CommandError
from hostlib.inventory import Inventory, render_inventory
from hostlib.probe import read_inventory
from hostlib.run import Completed
from tests.unit.recorded import load_source

QEMU = sorted(path for path in (Path(__file__).parents[1] / "machines/qemu").iterdir() if path.is_dir())


class RecordedRunner:
    """Gives what each command gave on the machine."""

    def __init__(self, commands: list[dict[str, Any]]) -> None:
        self.commands = {tuple(command["argv"]): command for command in commands}

    def run(self, argv: Any, **_: Any) -> Completed:
        command = self.commands[tuple(argv)]
        if "error" in command:
            raise CommandError(argv[0], command["error"], "")
        return Completed(command["status"], command["stdout"], "")


def read_again(folder: Path, tmp_path: Path) -> Inventory:
    raw = folder / "raw.json"
    return read_inventory(RecordedRunner(json.loads(raw.read_text())["commands"]), load_source(raw, tmp_path))


@pytest.mark.parametrize("folder", QEMU, ids=lambda path: path.name)
def test_what_was_read_gives_the_same_inventory(folder: Path, tmp_path: Path) -> None:
    assert render_inventory(read_again(folder, tmp_path)) + "\n" == (folder / "inventory.json").read_text()
