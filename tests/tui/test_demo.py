"""The demonstration as it is started from the command line, and the machines that it comes with."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostlib.inventory import parse_inventory
from installer import cli
from tests.tui.harness import TO_DISK, TO_SUMMARY, Console, Demo, machine

EXAMPLES = sorted((Path(__file__).parents[2] / "examples/machines").glob("*.json"))


def test_the_usual_machine_is_among_the_examples() -> None:
    assert cli.DEMO_MACHINE in EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_node_can_be_installed_on_every_example(path: Path) -> None:
    demo = Demo(parse_inventory(path.read_text()))
    demo.rescan()
    console = Console(demo).work().keys(TO_SUMMARY + "enter tab enter").work()
    assert console.state == "done"
    assert any("would run unsquashfs" in line for line in demo.log())


def test_the_usual_machine_shows_what_is_known_of_its_disks() -> None:
    demo = Demo(parse_inventory(cli.DEMO_MACHINE.read_text()))
    demo.rescan()
    console = Console(demo).work().keys(TO_DISK)
    told = [console.words, *(console.keys("down").words for _ in range(2))]
    assert "Health: good by its own word, 3 % worn, 34 C" in told[0]
    assert "RAID volume, RAID1 of 2 drives, degraded, write-back cache on" in told[1]
    assert "STOP: it says that it is failing" in told[2]


def test_a_step_that_is_unknown_is_told() -> None:
    demo = Demo(machine("nvme-server"), fail_at="cpy")
    demo.rescan()
    console = Console(demo).work().keys(TO_SUMMARY + "enter tab enter").work()
    assert "--demo-fail: there is no step 'cpy'; use one of: verify" in console.words


def test_it_needs_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tui", "--demo"]) == 2
    assert capsys.readouterr().err == "tui: this is no terminal; start it in one\n"
