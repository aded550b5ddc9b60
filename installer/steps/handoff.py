"""Leaves on the node what it must know about itself, and the record of how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from hostlib.files import write_atomic
from hostlib.paths import EVENTS, INSTALL_LOG, LOGS, RELEASE
from hostlib.record import Dmi
from hostlib.release import read_release
from hostlib.seed import SEED_PATH, NodeSeed, SeedEnrollment, write_seed
from installer.config import InstallConfig
from installer.redaction import collect_secrets, redact_all
from installer.steps.base import Context, Preview, Progress
from installer.steps.lvm import THIN_POOL, VG


def plan_seed(
    config: InstallConfig, *, install_id: str, installed_at: str, version: str, machine: Dmi | None = None
) -> NodeSeed:
    """Give the seed of the node. Only here the token goes on: what is printed of a seed shows asterisks."""
    enrollment = config.enrollment
    return NodeSeed(
        install_id=install_id,
        installed_at=installed_at,
        version=version,
        fqdn=config.fqdn,
        address=config.network.address,
        management=config.network.management,
        vg=VG,
        thin_pool=THIN_POOL if config.layout.data_bytes else None,
        mailto=config.mailto,
        machine=machine or Dmi(),
        enrollment=SeedEnrollment(
            mode=enrollment.mode,
            cluster_name=enrollment.cluster_name,
            urls=enrollment.urls,
            fingerprint=enrollment.fingerprint,
            token=enrollment.token,
        ),
    )


@dataclass(frozen=True, slots=True)
class Handoff:
    """Step: seed, configuration, answer and log are on the node. No secret but the token for the cluster, in the seed."""

    config: InstallConfig
    name: ClassVar[str] = "handoff"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = True

    def describe(self) -> list[Preview]:
        """Give the files whose content is known."""
        seed = plan_seed(self.config, install_id="<id>", installed_at="<now>", version="<version>")
        return [
            Preview(path=f"/{SEED_PATH}", content=seed.model_dump_json(by_alias=True, indent=2) + "\n"),
            Preview(path=f"{LOGS}/config.json", content=self._config_text()),
        ]

    def _config_text(self) -> str:
        # pydantic writes a SecretStr as asterisks; what stands in the query of a URL is left.
        text = self.config.model_dump_json(by_alias=True, indent=2) + "\n"
        return redact_all(text, collect_secrets(self.config))

    def run(self, context: Context, progress: Progress) -> None:
        """Write the files, readable by root only."""
        del progress
        now = datetime.now(UTC).isoformat(timespec="seconds")
        release = read_release(context.target / RELEASE.relative_to("/"))
        machine = context.inventory.dmi if context.inventory else None
        seed = plan_seed(
            self.config,
            install_id=context.install_id,
            installed_at=now,
            version=release.version,
            machine=machine,
        )
        write_seed(seed, context.target)
        logs = context.target / LOGS.relative_to("/")
        logs.mkdir(parents=True, exist_ok=True)
        logs.chmod(0o700)
        write_atomic(logs / "config.json", self._config_text(), 0o600)
        if context.answer:
            write_atomic(logs / "answer.json", context.answer, 0o600)
        copy_records(context)


def copy_records(context: Context) -> None:
    """Copy log and events as they are now to the node. Raises OSError."""
    for source in (INSTALL_LOG, EVENTS):
        if source.exists():
            text = redact_all(source.read_text(encoding="utf-8", errors="replace"), context.secrets)
            write_atomic(context.target / LOGS.relative_to("/") / source.name, text, 0o600)
