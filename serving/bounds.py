"""How much may come in at once, and how much is kept: settings of the service, hung into `serving.settings.Settings`."""

from __future__ import annotations

from pydantic import Field

from facerec_models.config import Config


class IngressConfig(Config):
    """What a request may be, how slowly it may come, and how many are answered at a time; see `serving.api.ingress`.

    A class of requests that has no place left lets as many wait as it has places, and answers 429 beyond. Checks of health have no
    bound: they are always answered.
    """

    max_json_bytes: int = Field(default=2**20, ge=1024, description="Largest body of a request that carries no file.")
    max_table_bytes: int = Field(default=64 * 2**20, ge=1024, description="Largest table that is sent.")
    max_header_bytes: int = Field(default=32 * 2**10, ge=1024, description="Address and headers of a request together.")
    max_headers: int = Field(default=100, ge=10, description="Headers of a request.")
    head_timeout_s: float = Field(
        default=20.0, gt=0, description="A connection that has sent no whole head of a request for so long is closed."
    )
    silence_s: float = Field(default=20.0, gt=0, description="A body of which nothing comes for so long is given up.")
    least_bytes_s: int = Field(
        default=8 * 2**10, ge=0, description="A body that comes more slowly than this, after `silence_s`, is given up."
    )
    write_timeout_s: float = Field(
        default=300.0, gt=0, description="A client that takes none of its answer for so long is given up."
    )
    max_connections: int = Field(
        default=1024, ge=8, description="Open connections; beyond, the one that has been idle for longest is closed."
    )
    reading: int = Field(default=64, ge=1, description="Requests that read, at a time.")
    sending: int = Field(default=64, ge=1, description="Files and exports that are sent, at a time.")
    following: int = Field(default=64, ge=1, description="Streams of a job's events, at a time.")
    changing: int = Field(default=32, ge=1, description="Requests that change something, at a time.")
    uploading: int = Field(default=16, ge=1, description="Uploads of videos, of pictures of a person, of tables.")
    recognizing: int = Field(default=32, ge=1, description="Pictures in which faces are searched for, by requests.")
    max_wait_s: float = Field(default=10.0, gt=0, description="How long a request waits for its place.")


class KeepingConfig(Config):
    """How much an archive may hold: beyond, nothing is added, and nothing is lost."""

    max_projects: int = Field(default=10_000, ge=1, description="Projects.")
    max_people: int = Field(default=100_000, ge=1, description="People of a project.")
    max_pictures: int = Field(default=5_000, ge=1, description="Enrolled pictures of a person.")
    min_free_bytes: int = Field(
        default=2**30,
        ge=0,
        description="Free bytes of the home's disk below which nothing is uploaded and no job is made.",
    )
