"""How a knowledge graph is asked for videos: a file for each graph, shipped or the operator's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from facerec_models.config import Config
from facerec_models.errors import InputError

_SHIPPED = Path(__file__).parent / "graphs"

HttpAddress = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Credentials(Config):
    """Names of the environment variables in which a name and a password are; neither is ever in a file."""

    user: VariableName
    password: VariableName


class TokenLogin(Config):
    """How to log in for a token.

    The name and the password are sent as a form by POST, the answer is JSON.
    """

    url: HttpAddress
    credentials: Credentials
    user_field: str = "username"
    password_field: str = "password"  # noqa: S105
    fields: dict[str, str] = Field(default_factory=dict, description="What else the form has.")
    token: str = Field(
        default="access_token", description="Where in the answer the token is: keys with dots between them."
    )


class MediaApi(Config):
    """A second step: what the graph gives as locator is an asset, of which an API knows the file."""

    login: TokenLogin | None = None
    asset: HttpAddress | None = Field(
        default=None,
        description="Asked with the token for each video, as JSON; {locator} is what the graph says. None: none is asked.",
    )
    file: str = Field(default="url", description="Where in the asset's answer the file's address is.")
    sent_in: Literal["header", "query"] = Field(
        default="header", description="How the API gets the token: as 'Authorization: Bearer', or as a parameter."
    )
    token_parameter: str = Field(default="access_token", description="The parameter's name.")
    sends_token_for_file: bool = Field(
        default=False, description="Whether the file itself needs the token, as a parameter."
    )


class GraphConfig(Config):
    """One knowledge graph.

    The queries are SPARQL. In each, ``$uri`` is the address that was given, and in `metadata` and `segments` also ``$programme`` what
    `locator` found as ``?programme``, or else the address.

    Parameters
    ----------
    prefixes : tuple of str
        What the addresses begin with that this graph knows.
    locator : str
        Selects ``?locator``, the address of the file, and may select ``?programme``.
    metadata : str, optional
        May select ``?title ?date ?channel ?channel_name ?genre ?theme ?rights ?duration``; several rows are several values.
    segments : str, optional
        Selects ``?label ?start ?end``; times are seconds, ``hh:mm:ss`` or an ``xsd:duration``.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    prefixes: tuple[HttpAddress, ...] = Field(min_length=1)
    endpoint: HttpAddress
    endpoint_variable: VariableName | None = Field(
        default=None, description="Environment variable that names another endpoint of the same graph, such as a copy."
    )
    credentials: Credentials | None = None
    locator: str
    metadata: str | None = None
    segments: str | None = None
    media_api: MediaApi | None = None
    timeout_s: float = Field(default=30.0, gt=0, le=600)

    @field_validator("locator")
    @classmethod
    def _selects_locator(cls, query: str) -> str:
        if "?locator" not in query:
            raise ValueError("must select ?locator")
        return query


def read_graph(given: str) -> GraphConfig:
    """Return the configuration of a shipped graph, by its name, or of a YAML file.

    Raises
    ------
    InputError
        If there is none, or it is not as it must be.
    """
    file = Path(given) if given.endswith((".yaml", ".yml")) else _SHIPPED / f"{given}.yaml"
    try:
        return GraphConfig.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        shipped = ", ".join(sorted(one.stem for one in _SHIPPED.glob("*.yaml")))
        raise InputError(
            f"FACEREC_SOURCES__GRAPHS names {given!r}, which cannot be read: give {shipped}, or a .yaml file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"the graph {str(file)!r} is no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"the graph {str(file)!r}: {where}: {first['msg']}") from error
