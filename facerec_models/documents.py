"""What published documents are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from facerec_models.types import Interval


class Document(BaseModel):
    """A part of a published document: frozen, with no other fields than these."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AskedView(Document):
    """A person who was asked for, and whether and when they were found: the times of the appearances that have the name.

    Who is not `enrolled` has no pictures that are learned from, and is found only where a track was confirmed.
    """

    person_id: str
    identity: str
    enrolled: bool
    found: bool
    intervals: list[Interval]
