"""What may be fetched, from where, how long that may take, and how much of it is kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from facerec_models.config import Config
from serving.setting_types import Listed, Names


def normal_host(host: str) -> str:
    """Return a host's name or address as all are compared: in lower case, without brackets and the dot at its end.

    Examples
    --------
    >>> normal_host("Media.Intranet."), normal_host("[::1]")
    ('media.intranet', '::1')
    """
    return host.strip("[]").rstrip(".").lower()


def _normal_hosts(hosts: frozenset[str]) -> frozenset[str]:
    return frozenset(normal_host(host) for host in hosts)


Hosts = Annotated[Names, AfterValidator(_normal_hosts)]


class SourcesConfig(Config):
    """Which addresses videos may be fetched from, within which bounds; see `serving.sources`."""

    private_hosts: Hosts = Field(
        default=frozenset(),
        description="Hosts, as addresses name them, that may be fetched from though they are not on the public internet.",
    )
    buckets: Names = Field(
        default=frozenset(),
        description="Buckets of s3:// and gs:// that requests may name, or bucket/prefix, with commas between them.",
    )
    stream_hosts: Hosts = Field(
        default=frozenset(), description="Hosts whose rtsp:// streams may be recorded, with commas between them."
    )
    graphs: Listed = Field(
        default=(),
        description="Knowledge graphs whose URIs are videos: memad, antract, or YAML files of your own, with commas between them.",
    )
    downgrade: bool = Field(default=False, description="Whether a redirect may lead from https:// to http://.")
    max_bytes: int = Field(default=20 * 2**30, ge=1, description="Largest file that is fetched.")
    max_manifest_bytes: int = Field(default=4 * 2**20, ge=1, description="Largest IIIF manifest.")
    max_header_bytes: int = Field(default=64 * 2**10, ge=1024, description="Largest header of an answer.")
    max_redirects: int = Field(default=5, ge=0, le=20, description="Redirects that are followed.")
    max_time_s: float = Field(default=6 * 3600.0, gt=0, description="Longest time that fetching one address may take.")
    connect_timeout_s: float = Field(default=10.0, gt=0, description="Longest wait for a connection.")
    read_timeout_s: float = Field(default=30.0, gt=0, description="Longest silence, and longest wait for a header.")
    min_bytes_per_s: float = Field(default=8 * 2**10, ge=0, description="A slower server is given up.")
    rate_period_s: float = Field(default=30.0, gt=0, description="Over so long a time its rate is measured.")
    max_attempts: int = Field(default=5, ge=1, le=100, description="Tries in a row that bring nothing new.")
    retry_pause_s: float = Field(
        default=1.0, ge=0, description="Pause after the first of them; each further one is twice as long."
    )
    max_kept_bytes: int = Field(
        default=200 * 2**30,
        ge=1,
        description="How much of what was fetched is kept; what was not used for longest goes first.",
    )
    max_partial_age_s: float = Field(
        default=7 * 24 * 3600.0, gt=0, description="What was fetched in part is removed after this time."
    )
    max_stream_s: float = Field(default=60.0, gt=0, le=24 * 3600, description="Longest window of a stream.")
