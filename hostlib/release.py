"""Which build of Slipway this is: `release.json`, written into the image when it is built."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hostlib.errors import Problem, UserError
from hostlib.paths import PRODUCT, RELEASE

UNRELEASED = "unreleased"


class Release(BaseModel):
    """Identity of a build. Keys that a later build added are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    product: str = PRODUCT
    version: str = UNRELEASED
    commit: str = ""
    built_at: str = ""
    """UTC, ISO 8601."""
    packages: dict[str, str] = Field(default_factory=dict)
    """Name -> version of every Debian package in the image."""


def read_release(path: Path = RELEASE) -> Release:
    """Read the identity of this build; away from an image, where there is no file, it is `unreleased`.

    Raises UserError when the file is there but cannot be read.
    """
    try:
        return Release.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Release()
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a release file"
        todo = "check the disk and the file system, then install again"
        raise UserError(Problem(str(path), f"cannot be read: {reason}", todo)) from error


def render_release(release: Release, *, packages: bool = False) -> str:
    """Give the text of `slipway version`; `packages` adds one line a package."""
    details = ", ".join(part for part in (release.commit, release.built_at) if part)
    lines = [f"{release.product} {release.version}" + (f" ({details})" if details else "")]
    if packages:
        lines += [f"{name} {version}" for name, version in sorted(release.packages.items())]
    return "\n".join(lines) + "\n"
