"""What a node is told about the cluster that it makes or joins."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import SecretStr

from hostlib.errors import Problem, UserError
from hostlib.join_string import LIMIT, check_join_token, is_join_string, parse_join_string
from hostlib.paths import MEDIUM
from installer.answers import Enrollment
from installer.config import EnrollmentConfig

DEFAULT_NAME: Final = "slipway"
PLACE: Final = "enrollment.token-file"


def resolve_enrollment(answer: Enrollment | None) -> EnrollmentConfig:
    """Give what the answer says; a token that is in a file is read later, see `read_token_file`. Pure."""
    answer = answer or Enrollment()
    if answer.mode == "bootstrap":
        return EnrollmentConfig(mode="bootstrap", cluster_name=answer.cluster_name or DEFAULT_NAME)
    config = EnrollmentConfig(
        mode=answer.mode,
        urls=answer.urls,
        fingerprint=answer.fingerprint or "",
        token_file=answer.token_file or "",
    )
    return take_token(config, answer.token.get_secret_value()) if answer.token else config


def take_token(config: EnrollmentConfig, text: str) -> EnrollmentConfig:
    """Give the configuration with a token, or with all that the string of `slipway token create` holds. Pure.

    Raises ValueError, which does not repeat the token: `what is wrong; what to do`.
    """
    if is_join_string(text):
        if config.urls:
            raise ValueError("it brings url and fingerprint, which the answer gives too; remove them there")
        join = parse_join_string(text)
        found = {"urls": join.urls, "fingerprint": join.fingerprint, "token": SecretStr(join.token)}
    else:
        found = {"token": SecretStr(check_join_token(text))}
        if not config.urls:
            raise ValueError(
                "it holds a bare token; add url and fingerprint to the answer, or put into the file all of the "
                "line that `slipway token create` prints"
            )
    return config.model_copy(update=found)


def read_token_file(config: EnrollmentConfig, medium: Path = MEDIUM) -> EnrollmentConfig:
    """Read the token where it is in a file on the medium; otherwise give the same. Raises UserError."""
    if not config.token_file:
        return config
    path = medium / config.token_file
    try:
        with path.open("rb") as stream:
            content = stream.read(LIMIT + 2)
    except OSError as error:
        what = f"{config.token_file} cannot be read on the live medium ({error.strerror})"
        raise UserError(Problem(PLACE, what, "put it there, or correct the path")) from error
    try:
        return take_token(config, content.decode("ascii", errors="replace").strip())
    except ValueError as error:
        what, _, todo = str(error).rpartition("; ")
        raise UserError(Problem(PLACE, f"{config.token_file}: {what}", todo)) from None
