"""Text for people and programs from answers, configurations and plans. No secret gets into it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from pydantic import BaseModel, SecretStr

from hostlib.run import REDACTED
from installer.steps.base import Preview, Step


def render_redacted(record: BaseModel) -> str:
    """Give a record as JSON with each secret replaced."""

    def plain(value: object) -> str:
        if isinstance(value, SecretStr):
            return REDACTED
        raise TypeError(f"{type(value).__name__} has no JSON form")

    return json.dumps(record.model_dump(by_alias=True), default=plain, indent=2, ensure_ascii=False) + "\n"


def render_plan(steps: Sequence[Step]) -> str:
    """Give the steps in order, each with its commands and the files it writes."""
    lines: list[str] = []
    for number, step in enumerate(steps, 1):
        lines.append(f"{number}. {step.name}")
        for preview in step.describe():
            lines += _preview_lines(preview)
    return "".join(f"{line}\n" for line in lines)


def _preview_lines(preview: Preview) -> list[str]:
    lines = [f"   $ {shlex.join(preview.command)}"] if preview.command else []
    if preview.path:
        lines.append(f"   > {preview.path}")
        lines += [f"     | {line}".rstrip() for line in preview.content.splitlines()]
    return lines
