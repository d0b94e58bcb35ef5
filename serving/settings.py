"""All settings of a process, from the environment: built once by an entry point, handed out in slices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from facerec_models.config import AnalysisConfig, Config, IdentificationConfig
from facerec_models.errors import ClosedPlaceError, InputError
from facerec_models.names import check_project_name
from serving.bounds import IngressConfig, KeepingConfig
from serving.setting_types import Folders, Names
from serving.sources.config import SourcesConfig
from serving.store.access_rows import Role
from serving.telemetry.traces import TracesConfig
from training.crawling.bounds import CrawlConfig


def _origins(found: frozenset[str]) -> frozenset[str]:
    for origin in found:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(
                f"{origin!r} is no origin: give a scheme and a host, as https://archive.example or http://127.0.0.1:8080"
            )
    return found


Origins = Annotated[Names, AfterValidator(_origins)]


class WebhookConfig(Config):
    """Where the ends of jobs may be told; see `serving.jobs.webhooks`."""

    hosts: Names = Field(default=frozenset(), description="Hosts that may be told, with commas between them.")
    secret: SecretStr | None = Field(default=None, description="What messages are signed with.")
    timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=60,
        description="How long to wait for a connection, for a message to be taken, for an answer.",
    )
    max_attempts: int = Field(default=16, ge=1, le=100, description="Tries before giving up, within some five hours.")


class OidcConfig(Config):
    """An identity provider (OpenID Connect) whose tokens are taken beside keys."""

    issuer: str = Field(pattern=r"^https?://\S+$", description="Who must have issued a token: its claim 'iss'.")
    audience: str = Field(min_length=1, description="Whom a token must be for: its claim 'aud'.")
    keys_url: str = Field(pattern=r"^https?://\S+$", description="Where the provider's public keys are ('jwks_uri').")
    groups_claim: str = Field(default="groups", description="The claim that names the groups of a user.")
    grants: dict[str, dict[str, Role]] = Field(
        description='The roles of groups in projects, or in "*", all of them: {"archivists": {"opera": "curate"}}.'
    )


class AccessConfig(Config):
    """Who may ask; see `serving.api.ingress.access`."""

    keys: bool = Field(
        default=False,
        description="Whether everybody needs a key. Without it, nobody on this machine needs one until there is one; from other "
        "machines a key is always needed.",
    )
    per_minute: int = Field(
        default=6000, ge=1, description="Requests a minute of a caller, but where its key says otherwise."
    )
    oidc: OidcConfig | None = Field(default=None, description="An identity provider whose tokens are taken, too.")


class ExportConfig(Config):
    """What is written into documents that leave."""

    creator: str = Field(
        default="FaceRec", min_length=1, description="Who is named as the creator of annotations: a name or an address."
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        pattern=r"^https?://[^\s]+$",
        description="Address under which the service is reached: documents refer to videos and pictures there.",
    )


class RenditionConfig(Config):
    """How much is kept of videos that were encoded for browsers."""

    max_kept_bytes: int = Field(
        default=200 * 2**30,
        ge=0,
        description="Bytes that are kept. What was not played for longest goes first, nothing that was played within the last hour.",
    )


class Settings(BaseSettings):
    """Read from variables such as ``FACEREC_HOME`` and ``FACEREC_ANALYSIS__DETECTION__MIN_FACE_PX``."""

    model_config = SettingsConfigDict(
        env_prefix="FACEREC_", env_nested_delimiter="__", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    home: Path = Field(
        default_factory=lambda: user_data_path("facerec"),
        description="Where everything is kept; by default 'facerec' in the user's data folder.",
    )
    files: str | None = Field(
        default=None,
        description="Where crops, models, cohorts and parts of jobs are, for all nodes: s3://bucket/prefix, gs://bucket/prefix or "
        "file:///folder; by default the home. Credentials are in the environment, as in AWS_ACCESS_KEY_ID.",
    )
    store: SecretStr | None = Field(
        default=None, description="Address of a MongoDB database, mongodb://...; without one: SQLite in the home."
    )
    store_file: Path | None = Field(
        default=None,
        description="A file with the address of the database, as secrets of containers are given; instead of 'store'.",
    )
    shared_home: bool = Field(
        default=False, description="Whether the home is on a file system that all nodes of a cluster share."
    )
    allowed_hosts: Names = Field(
        default=frozenset({"127.0.0.1", "localhost", "::1"}),
        description="Names under which the service may be asked, with commas between them.",
    )
    cors_origins: Origins = Field(
        default=frozenset(),
        description="Origins of web pages elsewhere that may ask the service, as https://archive.example, with commas between them.",
    )
    legacy_api: bool = Field(
        default=False,
        description="Whether the predecessor's API is answered, for its clients, at the root of the service.",
    )
    media_roots: Folders = Field(
        default=(), description="Folders whose files may be submitted by address, with commas between them."
    )
    watched: dict[str, Path] = Field(
        default_factory=dict,
        description='Folders whose new videos are submitted by themselves, by project: {"news": "/incoming/news"}.',
    )
    watched_settle_s: float = Field(
        default=30.0, ge=0, description="How long a file of a watched folder must not have changed."
    )
    max_queued_jobs: int = Field(default=1000, ge=1, description="Jobs that may wait.")
    analysis: AnalysisConfig = AnalysisConfig()
    identification: IdentificationConfig = IdentificationConfig()
    crawl: CrawlConfig = CrawlConfig()
    segment_s: float = Field(
        default=120.0, gt=0, description="Length of the segments that long videos are divided into, in seconds."
    )
    webhook: WebhookConfig = WebhookConfig()
    access: AccessConfig = AccessConfig()
    exports: ExportConfig = ExportConfig()
    sources: SourcesConfig = SourcesConfig()
    renditions: RenditionConfig = RenditionConfig()
    ingress: IngressConfig = IngressConfig()
    keeping: KeepingConfig = KeepingConfig()
    traces: TracesConfig = TracesConfig()

    @model_validator(mode="before")
    @classmethod
    def _read_store(cls, given: dict[str, Any]) -> dict[str, Any]:
        file = given.get("store_file")
        if not file:
            return given
        if given.get("store"):
            raise ValueError("FACEREC_STORE and FACEREC_STORE_FILE are both set: set one")
        try:
            address = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ValueError(f"FACEREC_STORE_FILE: {file} cannot be read ({type(error).__name__})") from error
        return {**given, "store": address, "store_file": None}

    @model_validator(mode="after")
    def _shared_needs_a_store(self) -> Self:
        if self.shared_home and self.store is None:
            raise ValueError(
                "FACEREC_SHARED_HOME says that several machines use the home, and SQLite is for one: set FACEREC_STORE, too, where "
                "this process was started; on a running cluster that is in its nodes' environment or in the job's runtime_env"
            )
        return self

    @model_validator(mode="after")
    def _watched_projects_have_names(self) -> Self:
        for project in self.watched:
            try:
                check_project_name(project)
            except InputError as error:
                raise ValueError(f"FACEREC_WATCHED: {error}") from error
        return self

    def require_open(self, path: Path, given: str) -> Path:
        """Return a file or folder of this machine that a request may name, resolved.

        Raises
        ------
        ClosedPlaceError
            If it is below none of `media_roots`; `given` is what the request names.
        """
        found = path.resolve()
        if not any(found.is_relative_to(root.resolve()) for root in self.media_roots):
            raise ClosedPlaceError(f"{given!r} is in none of the folders that FACEREC_MEDIA_ROOTS names")
        return found


def read_settings(home: Path | None = None) -> Settings:
    """Read the settings from the environment; `home`, where given, goes before ``FACEREC_HOME``.

    Raises
    ------
    InputError
        If a variable cannot be taken: says which, in one line.
    """
    try:
        return Settings() if home is None else Settings(home=home)
    except SettingsError as error:
        # Its text has the name between quotes, and of the value only where JSON ends: it may be a secret.
        name = "FACEREC_" + str(error).partition('"')[2].partition('"')[0].upper()
        raise InputError(f"{name} is no JSON ({error.__cause__}); set its parts alone, as {name}__PART") from None
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # several together
            raise InputError(str(first["msg"])) from None
        name = "FACEREC_" + "__".join(str(part).upper() for part in first["loc"])
        raise InputError(f"{name}={first['input']!r}: {first['msg']}") from None
