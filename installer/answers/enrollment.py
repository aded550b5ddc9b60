"""`[enrollment]` as a type: a new cluster, one to join, or none."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, ValidationInfo, field_validator

from hostlib.join_string import (
    MOST_URLS,
    TOKEN,
    check_join_token,
    check_join_url,
    is_join_string,
    parse_join_string,
)
from installer.answers.section import Fingerprint, Section
from installer.match import quote

CLUSTER_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,46}[A-Za-z0-9])?")
"""The CA is called `Slipway cluster NAME`, in 64 characters at most (RFC 5280, ub-common-name)."""
FILE: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
T = TypeVar("T")


def check_cluster_name(name: str) -> str:
    """Raise ValueError unless a cluster can be called `name`."""
    if not CLUSTER_NAME.fullmatch(name):
        todo = "give 1 to 48 letters, digits and inner dots and dashes"
        raise ValueError(f"{quote(name)} cannot name a cluster; {todo}")
    return name


def check_token_file(path: str) -> str:
    """Raise ValueError unless `path` is that of a file below the root of the medium."""
    if is_join_string(path) or TOKEN.fullmatch(path):
        # It is not repeated: a path is printed, a token is not.
        raise ValueError("this looks like a token itself; use the key 'token', or a name with a dot")
    if not FILE.fullmatch(path) or {".", ".."} & set(path.split("/")):
        todo = "give its path from the root of the medium, such as 'join.txt', of letters, digits, '.', '_' and '-'"
        raise ValueError(f"{quote(path)} is no file on the medium; {todo}")
    return path


def check_answer_token(token: SecretStr) -> SecretStr:
    """Raise ValueError unless this is a token, or the string of `slipway token create`. It is not repeated."""
    text = token.get_secret_value()
    if is_join_string(text):
        parse_join_string(text)
    else:
        check_join_token(text)
    return token


def _url_form(value: object) -> str:
    return "list" if isinstance(value, list | tuple) else "text"


_Url = Annotated[str, AfterValidator(check_join_url)]
Urls = Annotated[
    Annotated[_Url, Tag("text")] | Annotated[tuple[_Url, ...], Tag("list")], Discriminator(_url_form)
]


class Enrollment(Section):
    """`[enrollment]`."""

    mode: Literal["bootstrap", "join", "none"] = "bootstrap"
    cluster_name: Annotated[str, AfterValidator(check_cluster_name)] | None = None
    token_file: Annotated[str, AfterValidator(check_token_file)] | None = None
    token: Annotated[SecretStr, AfterValidator(check_answer_token)] | None = Field(
        default=None, validate_default=True
    )
    """A bare token, or the string that brings `url` and `fingerprint` too."""
    url: Urls = Field(default=(), validate_default=True)
    fingerprint: Fingerprint | None = Field(default=None, validate_default=True)

    @property
    def urls(self) -> tuple[str, ...]:
        """Of members."""
        return (self.url,) if isinstance(self.url, str) else self.url

    @field_validator("cluster_name", "token_file", "token", "url", "fingerprint")
    @classmethod
    def _fits_mode(cls, value: T, info: ValidationInfo) -> T:
        mode = info.data.get("mode")
        taken_by = "bootstrap" if info.field_name == "cluster_name" else "join"
        if mode and value and mode != taken_by:
            raise ValueError(f"mode '{mode}' does not take it; remove it or use mode '{taken_by}'")
        return value

    @field_validator("token")
    @classmethod
    def _one_token(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if info.data.get("mode") == "join" and "token_file" in info.data:
            file = info.data["token_file"]
            if token is None and file is None:
                raise ValueError("mode 'join' needs it; give the line that `slipway token create` prints")
            if token is not None and file is not None:
                raise ValueError("token-file is set too; keep one of the two")
        return token

    @field_validator("url")
    @classmethod
    def _some(cls, url: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if len(url) > MOST_URLS and not isinstance(url, str):
            raise ValueError(f"{len(url)} URLs are listed; give {MOST_URLS} at most, one is enough")
        return url

    @field_validator("url", "fingerprint")
    @classmethod
    def _fits_token(cls, value: T, info: ValidationInfo) -> T:
        token: SecretStr | None = info.data.get("token")
        if info.data.get("mode") != "join" or token is None:
            return value
        whole = is_join_string(token.get_secret_value())
        if whole and value:
            raise ValueError("the token brings it, as `slipway token create` prints it; remove it")
        if not whole and not value:
            todo = "add it, or give as token all of the line that `slipway token create` prints"
            raise ValueError(f"a bare token needs it; {todo}")
        return value

    @field_validator("fingerprint")
    @classmethod
    def _fits_url(cls, fingerprint: str | None, info: ValidationInfo) -> str | None:
        values: dict[str, Any] = info.data
        if values.get("token_file") and "url" in values and bool(values["url"]) != bool(fingerprint):
            raise ValueError("it and 'url' belong together; give both for a bare token, else none")
        return fingerprint
