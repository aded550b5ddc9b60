import pytest

from hostlib.errors import CheckBlocksError, CommandError, Problem, SlipwayError, StepError, UserError

DISK = Problem("disk-setup.disk-list", "there is no disk sdz", "use one of: sda, sdb")
MAIL = Problem("global.mailto", "'x' is no address", "write user@domain.tld")


def test_a_problem_reads_as_one_line() -> None:
    assert str(DISK) == "disk-setup.disk-list: there is no disk sdz; use one of: sda, sdb"


def test_a_user_error_tells_all_problems_at_once() -> None:
    error = UserError([DISK, MAIL])
    assert error.problems == (DISK, MAIL)
    assert str(error) == f"{DISK}\n{MAIL}"
    assert UserError(DISK).problems == (DISK,)


def test_a_user_error_without_a_problem_is_a_bug() -> None:
    with pytest.raises(ValueError, match="at least one problem"):
        UserError([])


@pytest.mark.parametrize(
    ("error", "status"),
    [(UserError(DISK), 2), (CheckBlocksError(DISK), 3), (StepError("x"), 4), (CommandError("x", "y", ""), 4)],
)
def test_exit_statuses_are_the_documented_ones(error: SlipwayError, status: int) -> None:
    assert int(error.exit_status) == status


def test_a_command_error_shows_the_end_of_a_long_output() -> None:
    error = CommandError("vgcreate pve /dev/sda3", "exit status 5", "\n".join(map(str, range(100))))
    lines = str(error).splitlines()
    assert lines[:2] == ["command failed: vgcreate pve /dev/sda3", "  exit status 5"]
    assert lines[2:] == [f"  {number}" for number in range(80, 100)]
