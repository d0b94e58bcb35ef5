"""All settings of a process, from the environment: built once by an entry point, handed out in slices."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from platformdirs import user_data_path
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from facerec_models.config import AnalysisConfig, Config, IdentificationConfig
from training.crawling.config import CrawlConfig


class WebhookConfig(Config):
    """Where the ends of jobs may be told; see `serving.webhooks`."""

    hosts: frozenset[str] = Field(default=frozenset(), description="Hosts that may be told.")
    secret: SecretStr | None = Field(default=None, description="What messages are signed with.")
    timeout_s: float = Field(default=10.0, gt=0, description="How long to wait for an answer.")
    max_attempts: int = Field(default=16, ge=1, description="Tries before giving up, within some five hours.")


class Settings(BaseSettings):
    """Read from variables such as ``FACEREC_HOME`` and ``FACEREC_ANALYSIS__DETECTION__MIN_FACE_PX``."""

    model_config = SettingsConfigDict(
        env_prefix="FACEREC_", env_nested_delimiter="__", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    home: Path = Field(default_factory=lambda: user_data_path("facerec"), description="Where everything is kept.")
    files: str | None = Field(
        default=None,
        description="Where crops, models, cohorts and parts of jobs are, for all nodes: s3://bucket/prefix, gs://bucket/prefix or "
        "file:///folder; by default the home. Credentials are in the environment, as in AWS_ACCESS_KEY_ID.",
    )
    store: SecretStr | None = Field(
        default=None, description="Address of a MongoDB database, mongodb://...; without one: SQLite in the home."
    )
    shared_home: bool = Field(
        default=False, description="Whether the home is on a file system that all nodes of a cluster share."
    )
    allowed_hosts: frozenset[str] = Field(
        default=frozenset({"127.0.0.1", "localhost", "::1"}), description="Names under which the service may be asked."
    )
    media_roots: tuple[Path, ...] = Field(default=(), description="Folders whose files may be submitted by address.")
    max_queued_jobs: int = Field(default=1000, ge=1, description="Jobs that may wait.")
    analysis: AnalysisConfig = AnalysisConfig()
    identification: IdentificationConfig = IdentificationConfig()
    crawl: CrawlConfig = CrawlConfig()
    segment_s: float = Field(
        default=120.0, gt=0, description="Length of the segments that long videos are divided into, in seconds."
    )
    webhook: WebhookConfig = WebhookConfig()

    @model_validator(mode="after")
    def _shared_needs_a_store(self) -> Self:
        if self.shared_home and self.store is None:
            raise ValueError(
                "FACEREC_SHARED_HOME says that several machines use the home, and SQLite is for one: set FACEREC_STORE, too, where "
                "this process was started; on a running cluster that is in its nodes' environment or in the job's runtime_env"
            )
        return self
