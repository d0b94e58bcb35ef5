"""What the predecessor keeps in MongoDB, read so that nothing of it is lost: whom it saw where, its clusters, its catalogue.

Its collections are ``metadata`` (what a catalogue says of a video), ``status`` (of a video in a project), ``track`` (one document for
each face on each sampled frame) and ``feat_cluster`` (unknown faces that resemble each other). No embedding is kept in any of them, so
tracks cannot be named again: its answers are taken over as records to search, to check with ``facerec batch`` and to measure with
``facerec evaluate``, never as if a person had confirmed them. Nothing is written to the database.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median
from typing import Any, Self, TypeVar

from bson import json_util
from pydantic import Field, ValidationError
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError
from pymongo.uri_parser import parse_uri

from facerec_models.errors import InputError, SourceError
from facerec_models.files import write_atomically
from facerec_models.metrics import Interval, ShownName
from training.evaluation.baseline import Vote, merge_votes, vote
from training.evaluation.truth import Part, PersonId

COLLECTIONS = ("metadata", "status", "track", "feat_cluster")
_DATABASE, _PROJECT = "facerec", "general"
_STATES = ("unknown", "running", "complete", "error")
# One frame in 25, where no two samples of a video tell the period.
_USUAL_PERIOD_S = 1.0
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"]+@|\?access_token=[^\s\"&]*")


class _Of(Part):
    """A video in a project; documents of its first versions name no project, and belong to its default one."""

    locator: str = Field(min_length=1)
    project: str = _PROJECT


class _FaceRecord(_Of):
    name: PersonId
    track_id: int
    npt: float = Field(ge=0)
    confidence: float = Field(ge=0, le=1)


class _Status(_Of):
    status: int = Field(ge=0, lt=len(_STATES))


class _Element(Part):
    track: int


class _Cluster(_Of):
    locator: str = Field(min_length=1, alias="video")
    id: int
    elements: tuple[_Element, ...]


_D = TypeVar("_D", bound=_Of)


@dataclass(frozen=True, slots=True)
class Recording:
    """What the predecessor says of one video in one project.

    Parameters
    ----------
    status : str or None
        ``complete``, ``running``, ``error`` or ``unknown``; None where it keeps no status.
    samples, tracks : int
        Faces on sampled frames, and tracks that they belong to.
    names : tuple of ShownName
        By its own vote and merging, at any confidence, in order of time.
    strangers : tuple of ShownName
        When its clusters are seen, as "Unknown n"; people that it names are among them, as on its page.
    undecided : int
        Tracks whose faces do not agree on a name.
    lost_clusters : int
        Clusters of which no track is kept.
    """

    project: str
    locator: str
    status: str | None
    title: str
    samples: int
    tracks: int
    names: tuple[ShownName, ...]
    strangers: tuple[ShownName, ...]
    undecided: int
    lost_clusters: int


class PredecessorDatabase:
    """The predecessor's database on a MongoDB server, to be used in a ``with`` block.

    Parameters
    ----------
    uri : str
        ``mongodb://HOST[:PORT][/DATABASE]``; the database is ``facerec`` by default.

    Attributes
    ----------
    unreadable : Counter of str
        How many documents were left out of each collection, after reading.
    reasons : dict of str to str
        Why the first of each was.

    Raises
    ------
    InputError
        If the address is none, or the database has none of the collections.
    SourceError
        If the server does not answer.
    """

    def __init__(self, uri: str, *, timeout_s: float = 5.0) -> None:
        try:
            parsed = parse_uri(uri)
            self._client: MongoClient[dict[str, Any]] = MongoClient(
                uri,
                serverSelectionTimeoutMS=int(1000 * timeout_s),
                appname="facerec",
                readPreference="primaryPreferred",
            )
        except (InvalidURI, ConfigurationError, ValueError) as error:
            reason = without_credentials(str(error))
            raise InputError(f"no address of a MongoDB server ({reason}): give mongodb://HOST:27017/facerec") from error
        hosts = ",".join(f"{host}:{port}" for host, port in parsed["nodelist"])
        self._db = self._client[parsed["database"] or _DATABASE]
        self._name = f"database {self._db.name!r} of MongoDB at {hosts}"
        self.unreadable: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self._counts = self._count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def other_collections(self) -> dict[str, int]:
        """Collections that the predecessor does not have, by number of documents."""
        return {name: count for name, count in self._counts.items() if name not in COLLECTIONS}

    def metadata(self) -> list[str]:
        """Return what the catalogue says of each video, one JSON object each (MongoDB's relaxed extended form)."""
        with self._answering():
            return [_as_json(document) for document in self._db["metadata"].find({}, {"_id": False})]

    def recordings(self) -> Iterator[Recording]:
        """Yield what is kept of each video in each project; the tracks of one video at a time are in memory."""
        states = {(s.project, s.locator): _STATES[s.status] for s in self._read("status", _Status)}
        clusters: dict[tuple[str, str], list[_Cluster]] = defaultdict(list)
        for cluster in self._read("feat_cluster", _Cluster, ["id", "video", "project", "elements.track"]):
            clusters[cluster.project, cluster.locator].append(cluster)
        titles = self._titles()
        samples = self._read("track", _FaceRecord, list(_FaceRecord.model_fields))
        rest = dict.fromkeys([*states, *clusters])
        for key, group in groupby(samples, lambda sample: (sample.project, sample.locator)):
            rest.pop(key, None)
            yield _record(key, list(group), clusters.pop(key, []), states.get(key), titles.get(key[1], ""))
        for key in rest:
            yield _record(key, [], clusters.pop(key, []), states.get(key), titles.get(key[1], ""))

    def _read(self, collection: str, kind: type[_D], fields: list[str] | None = None) -> Iterator[_D]:
        """Yield documents by project and video; those that are none of this kind are counted."""
        with self._answering():
            # Documents without a project are of the same one as those that name it, and must not be sorted apart.
            stages: list[dict[str, Any]] = [
                {"$addFields": {"project": {"$ifNull": ["$project", _PROJECT]}}},
                {"$sort": {"project": 1, "locator": 1}},
            ]
            if fields is not None:
                stages.append({"$project": dict.fromkeys(fields, 1)})
            for document in self._db[collection].aggregate(stages, allowDiskUse=True):
                try:
                    yield kind.model_validate(document)
                except ValidationError as error:
                    first = error.errors(include_url=False)[0]
                    self.unreadable[collection] += 1
                    self.reasons.setdefault(collection, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")

    def _titles(self) -> dict[str, str]:
        with self._answering():
            found = self._db["metadata"].find({"title": {"$exists": True}}, ["locator", "title"])
            return {str(document.get("locator")): _first(document["title"]) for document in found}

    def _count(self) -> dict[str, int]:
        try:
            with self._answering():
                names = self._db.list_collection_names(filter={"name": {"$not": re.compile(r"^system\.")}})
                counts = {name: self._db[name].estimated_document_count() for name in sorted(names)}
        except SourceError:
            self._client.close()
            raise
        if not any(counts.get(name) for name in COLLECTIONS):
            self._client.close()
            raise InputError(
                f"{self._name} has nothing in {', '.join(COLLECTIONS)}: name the predecessor's database at the end of the address"
            )
        return counts

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except PyMongoError as error:
            reason = without_credentials(str(error).split(", Timeout:")[0])
            raise SourceError(f"{self._name} cannot be read ({reason}): check address, password and server") from error


def without_credentials(text: str) -> str:
    """Return a text without the names, passwords and tokens of the addresses in it."""
    return _CREDENTIALS.sub("", text)


def write_records(directory: Path, recordings: Sequence[Recording]) -> list[Path]:
    """Write what the predecessor says of a project's videos as tables.

    ``videos.csv`` lists the videos and ``names.csv`` who is seen when: both begin with the columns ``media,start,end,person`` that
    ``facerec batch`` and ``facerec evaluate`` read. ``strangers.csv`` says when its clusters are seen.

    Returns
    -------
    list of Path
        The files.
    """
    head = ["media", "start", "end", "person"]
    tables: dict[str, tuple[list[str], Sequence[Sequence[str | None]]]] = {
        "videos.csv": ([*head, "title", "status"], [[r.locator, "", "", "", r.title, r.status] for r in recordings]),
        "names.csv": ([*head, "confidence"], [_line(r, name) for r in recordings for name in r.names]),
        "strangers.csv": (
            ["media", "start", "end", "stranger"],
            [_line(r, name)[:-1] for r in recordings for name in r.strangers],
        ),
    }
    for name, (header, lines) in tables.items():
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(header)
        table.writerows(lines)
        write_atomically(directory / name, text.getvalue().encode(), is_private=False)
    return [directory / name for name in tables]


def _line(recording: Recording, name: ShownName) -> list[str]:
    return [recording.locator, f"{name.start_s:.3f}", f"{name.end_s:.3f}", name.person_id, f"{name.confidence:.4f}"]


def _record(
    key: tuple[str, str], samples: Sequence[_FaceRecord], clusters: Sequence[_Cluster], status: str | None, title: str
) -> Recording:
    tracks: dict[int, list[_FaceRecord]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.npt):
        tracks[sample.track_id].append(sample)
    period_s = _period(list(tracks.values()))
    seen = {track_id: _interval(own, period_s) for track_id, own in tracks.items()}
    decided = {
        track_id: vote([one.name for one in own], [one.confidence for one in own]) for track_id, own in tracks.items()
    }
    votes = [Vote(seen[track_id], *name) for track_id, name in decided.items() if name is not None]
    members = [(cluster.id, {element.track for element in cluster.elements} & seen.keys()) for cluster in clusters]
    unknown = [Vote(seen[i], f"Unknown {number}", 1.0) for number, ids in members for i in sorted(ids)]
    return Recording(
        project=key[0],
        locator=without_credentials(key[1]),
        status=status,
        title=title,
        samples=len(samples),
        tracks=len(tracks),
        names=tuple(merge_votes(votes, period_s, threshold=0.0)),
        strangers=tuple(merge_votes(unknown, period_s, threshold=0.0)),
        undecided=len(tracks) - len(votes),
        lost_clusters=sum(1 for _, ids in members if not ids),
    )


def _period(tracks: Sequence[Sequence[_FaceRecord]]) -> float:
    """Return the time between two sampled frames: the usual one between two samples at a track, which rarely misses a sample."""
    steps = [later.npt - sample.npt for track in tracks for sample, later in pairwise(track) if later.npt > sample.npt]
    return median(steps) if steps else _USUAL_PERIOD_S


def _interval(samples: Sequence[_FaceRecord], period_s: float) -> Interval:
    return max(samples[0].npt - period_s / 2, 0.0), samples[-1].npt + period_s / 2


def _first(title: Any) -> str:
    """Return the title, or the first of several."""
    return str(title[0] if isinstance(title, list) and title else title or "")


def _as_json(document: dict[str, Any]) -> str:
    return without_credentials(
        json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS, ensure_ascii=False)
    )
