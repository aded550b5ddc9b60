"""The medium's mode file, `auto-installer-mode.toml`: how an ISO says where its answer is. Pure."""

from __future__ import annotations

import tomllib
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from hostlib.errors import Problem, UserError
from installer.answers.urls import check_fingerprint, check_token, check_url

MODE_FILE: Final = "auto-installer-mode.toml"
WORDING: Final = {"extra_forbidden": "this key is unknown", "missing": "this key is missing"}
"""Kind of error -> what it says, where the validator's own words are unclear."""

Method = Literal["get", "post"]


class _Table(BaseModel):
    # A token must not show up in an error.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ModeHttp(_Table):
    """`[http]`: the server of the answer. An empty text counts as not given."""

    url: Annotated[str, AfterValidator(lambda url: url and check_url(url))] = ""
    """Empty: DHCP or DNS names it."""
    cert_fingerprint: Annotated[str, AfterValidator(lambda text: text and check_fingerprint(text))] = ""
    token: Annotated[SecretStr, AfterValidator(check_token)] | None = None
    method: Method = "post"


class ModeFile(_Table):
    """The whole file."""

    mode: Literal["iso", "http", "partition"]
    partition_label: Annotated[str, Field(min_length=1)] | None = None
    http: ModeHttp = ModeHttp()


def parse_mode_file(text: str) -> ModeFile:
    """Read the file. Raises UserError with all that is wrong."""
    try:
        return ModeFile.model_validate(tomllib.loads(text), strict=False)
    except tomllib.TOMLDecodeError as error:
        raise UserError(Problem(MODE_FILE, f"this is no TOML: {error}", "write the file anew")) from error
    except ValidationError as error:
        problems = []
        for found in error.errors(include_input=False, include_url=False, include_context=False):
            where = ".".join(map(str, found["loc"]))
            what = WORDING.get(found["type"], found["msg"].removeprefix("Value error, "))
            problems.append(Problem(f"{MODE_FILE}: {where}", what, "correct the file on the medium"))
        raise UserError(problems) from error
