"""Lists in environment variables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


def _listed(value: Any) -> Any:
    """Read a list in an environment variable: a JSON list, or parts with commas between them."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"{error}; give a JSON list, or parts with commas between them") from error
    return [part.strip() for part in value.split(",") if part.strip()]


Names = Annotated[frozenset[str], NoDecode, BeforeValidator(_listed)]
Folders = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_listed)]
Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
