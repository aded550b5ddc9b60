"""The screen of the cluster: what is chosen and pasted there, and where the token never is."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest
from pydantic import SecretStr

from hostlib.join_string import JoinString, render_join_string
from installer.config import EnrollmentConfig
from installer.tui.check import problems_of, resolve_draft
from installer.tui.draft import Draft, render_answer, to_tables
from installer.tui.views import view_cluster
from tests.tui.harness import TO_CLUSTER, Console, Demo, machine
from tests.tui.live_fakes import Live
from tests.tui.test_draft import GOOD, HASH, SERVER

TOKEN = "never-print-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
FINGERPRINT = "5a3b0c117e2d99f0" * 4
LINE = render_join_string(
    JoinString(("https://192.0.2.10:8007", "https://192.0.2.11:8007"), FINGERPRINT, TOKEN)
)
JOINING = replace(GOOD, cluster="join", token=LINE)
NO_LINE = "this is not the line; paste all of what `slipway token create` prints, which begins with slipway1."


def start() -> Console:
    demo = Demo(machine("nvme-server"))
    demo.rescan()
    return Console(demo).work().keys(TO_CLUSTER)


def test_a_line_that_a_terminal_broke_is_pasted_whole() -> None:
    console = start().keys("space tab begin-paste")
    console.keys(f"'{LINE[:70]}' enter space '{LINE[70:]}' enter end-paste tab")
    assert console.controller.draft.token == LINE
    assert LINE[:20] not in console.text
    console.keys("enter")
    assert console.title == "Summary"
    assert "joins 192.0.2.10:8007 and 1 more, fingerprint 5A3B0C117E2D99F0..." in console.words


def test_the_field_of_another_choice_goes_and_what_stands_in_it_counts_no_more() -> None:
    console = start().keys("tab 'a b' tab shift-tab shift-tab")
    assert "'a b' cannot name a cluster" in console.words
    console.keys("space")
    assert (console.controller.draft.cluster, console.focus) == ("join", "( ) new  (*) join one  ( ) none")
    assert "cannot name" not in console.words
    console.keys("space tab enter")
    assert (console.controller.draft.cluster, console.title) == ("none", "Summary")
    assert "none, the node stays alone" in console.words


@pytest.mark.parametrize(
    ("draft", "problems"),
    [
        (JOINING, {}),
        (replace(JOINING, cluster="bootstrap", cluster_name="rack4"), {}),
        (replace(JOINING, cluster="none", cluster_name="a b"), {}),
        (replace(JOINING, token=""), {"token": "nothing is given; paste the line that `slipway token create` prints on a member"}),
        (replace(JOINING, token=TOKEN), {"token": NO_LINE}),
        (replace(JOINING, token="never print"), {"token": NO_LINE}),
        (replace(JOINING, token=LINE[:-20]), {"token": "it is cut off or changed; paste all of the line that `slipway token create` prints"}),
        (replace(GOOD, cluster_name="-"), {"cluster_name": "'-' cannot name a cluster; give 1 to 48 letters, digits and inner dots and dashes"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_its_field(draft: Draft, problems: dict[str, str]) -> None:
    assert problems_of(draft, SERVER) == problems


def test_what_was_chosen_is_installed() -> None:
    assert resolve_draft(GOOD, SERVER).enrollment == EnrollmentConfig(cluster_name="slipway")
    joined = resolve_draft(JOINING, SERVER).enrollment
    assert (joined.mode, joined.fingerprint, joined.token) == ("join", FINGERPRINT, SecretStr(TOKEN))
    assert view_cluster(replace_urls(joined)) == "joins [2001:db8::1]:8007, fingerprint 5A3B0C117E2D99F0..."


def replace_urls(enrollment: EnrollmentConfig) -> EnrollmentConfig:
    return enrollment.model_copy(update={"urls": ("https://[2001:db8::1]:8007",)})


def test_the_saved_answer_file_says_how_to_add_the_token_and_has_none() -> None:
    text = render_answer(JOINING, password_hash=HASH)
    assert tomllib.loads(text)["enrollment"] == {"mode": "join"}
    assert LINE[9:] not in text
    assert "slipway token create" in text
    assert "token" not in render_answer(GOOD, password_hash=HASH)
    assert to_tables(JOINING)["enrollment"]["token"] == LINE
    assert LINE not in repr(JOINING)


def test_a_real_installation_takes_what_was_agreed_to(live: Live) -> None:
    live.enter(JOINING)
    agreed = live._agreement()
    assert agreed
    assert agreed.config.enrollment.token == SecretStr(TOKEN)
    assert LINE not in repr(agreed)
    assert TOKEN not in repr(agreed)
