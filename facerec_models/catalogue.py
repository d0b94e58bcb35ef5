"""What a catalogue knows of a video: kept with it, shown beside it, and exported with its result."""

from __future__ import annotations

from pydantic import Field

from facerec_models.documents import Document


class Channel(Document):
    """Who published a programme."""

    id: str | None = None
    name: str


class Publication(Document):
    """When and where a programme was published; the date as the catalogue writes it."""

    date: str | None = None
    channel: Channel | None = None


class CatalogueSegment(Document):
    """A part of a programme, in seconds of the programme."""

    label: str
    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)


class Catalogue(Document):
    """A video's entry in the catalogue that it came from.

    Parameters
    ----------
    uri : str
        Of the entry.
    programme : str or None
        URI of the programme that the video shows.
    titles, dates, genres, themes, rights : list of str
        As the catalogue writes them.
    """

    uri: str
    programme: str | None = None
    titles: list[str] = Field(default_factory=list)
    dates: list[str] = Field(default_factory=list)
    channels: list[Channel] = Field(default_factory=list)
    publications: list[Publication] = Field(default_factory=list)
    genres: list[str] = Field(default_factory=list)
    themes: list[str] = Field(default_factory=list)
    rights: list[str] = Field(default_factory=list)
    duration: str | None = None
    segments: list[CatalogueSegment] = Field(default_factory=list)
