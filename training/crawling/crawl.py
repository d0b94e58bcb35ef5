"""Collect pictures of people: from search engines, lists of addresses, sites and folders, into a folder for each person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from facerec_models.config import LimitsConfig
from facerec_models.errors import InputError, SourceError
from facerec_models.names import identity_of, person_id_of
from training.crawling.album import Album, AlbumPicture
from training.crawling.bounds import CrawlConfig
from training.crawling.engine import PictureCrawler, Run
from training.crawling.session import PoliteSession
from training.crawling.sources import Source, SourceKind, list_folder
from training.pictures import Picture

_SHOWN_REASONS = 3


class CrawlStoppedError(Exception):
    """The caller asked to stop."""


@dataclass(frozen=True, slots=True)
class CrawlReport:
    """What a crawl of one person gave.

    Parameters
    ----------
    pictures : tuple of AlbumPicture
        Everything in the folder, what earlier crawls fetched included.
    fetched : int
        How many of them are new.
    dropped : tuple of (str, str)
        Address and reason of each picture that was not kept.
    error : str or None
        Why the source gave nothing; what was there is kept.
    note : str or None
        Why there are fewer pictures than were wanted, although the source answered.
    """

    person_id: str
    directory: Path
    pictures: tuple[AlbumPicture, ...]
    fetched: int
    dropped: tuple[tuple[str, str], ...]
    error: str | None
    note: str | None
    stopped: bool

    def check(self) -> None:
        """Raise SourceError if the source gave nothing."""
        if self.error is not None:
            raise SourceError(self.error)

    def to_enrol(self) -> list[Picture]:
        """Return the pictures in the form that enrolment takes."""
        return [
            Picture(
                self.directory / picture.file,
                f"{self.person_id}/{picture.file}",
                self.person_id,
                disabled=False,
                source=picture.source,
                fetched_at=picture.fetched_at.timestamp(),
            )
            for picture in self.pictures
        ]


def split_names(text: str) -> list[str]:
    """Return the person ids of names that are separated by semicolons, without repetitions.

    Raises
    ------
    InputError
        If there is none, or one cannot be the name of a folder.
    """
    names = [name for part in text.split(";") if (name := part.strip())]
    if not names:
        raise InputError(f"{text!r} names nobody: give names separated by semicolons, as 'Ada Lovelace;Grace Hopper'")
    return list(dict.fromkeys(person_id_of(name) for name in names))


def crawl(
    person_id: str,
    source: Source,
    directory: Path,
    config: CrawlConfig,
    limits: LimitsConfig,
    *,
    max_num: int = 20,
    alone: bool = True,
    public_only: bool = False,
    known_sha256: Collection[str] = (),
    on_picture: Callable[[AlbumPicture], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> CrawlReport:
    """Fetch pictures of a person into a folder until it has `max_num`.

    Pictures that are there count, and are not fetched again; nor are those that were found to be no good. Each picture
    is safe from the moment that `on_picture` is called: an interruption loses none.

    Parameters
    ----------
    directory : Path
        The person's folder; made if need be. Its ``manifest.json`` says where each picture came from.
    max_num : int
        Most pictures in the folder.
    alone : bool
        Whether a folder as source, without a folder of the person's name in it, is all theirs.
    public_only : bool
        Fetch from addresses of the public internet only: for sources that a stranger named.
    known_sha256 : collection of str
        Content of pictures that the person has elsewhere.
    on_picture : callable
        Called with each new picture, by several threads.
    should_stop : callable
        Asked at least once a second and before each picture.

    Raises
    ------
    InputError
        If the list or folder that the source names cannot be read, or the manifest is damaged.
    """
    source = source.of_person(person_id)
    album = Album(directory, config, limits, known_sha256=known_sha256)
    before = len(album)
    session = PoliteSession(config, public_only=public_only, obey_robots=source.kind is SourceKind.SITE)
    run = Run(album, session, config, max_num, on_picture, should_stop)
    try:
        if not run.is_over():
            if source.kind is SourceKind.FOLDER:
                _take_folder(run, album, list_folder(Path(source.target), person_id, alone=alone), config)
            else:
                PictureCrawler(run, session, config, source, identity_of(person_id)).fetch()
    finally:
        run.close()
        session.close()
    error = note = None
    if len(album) < max_num and not run.stopped:
        name, found = identity_of(person_id), run.there + len(album) - before
        text = _explain(run, config, found)
        if not found:
            error = f"{source} gave no usable picture of {name!r}: {text}"
        else:
            note = f"{source} gave {len(album)} of {max_num} pictures of {name!r}: {text}"
    return CrawlReport(
        person_id, directory, album.pictures, len(album) - before, tuple(run.dropped), error, note, run.stopped
    )


def _take_folder(run: Run, album: Album, files: list[Path], config: CrawlConfig) -> None:
    for file in files:
        source = file.resolve().as_uri()
        if run.is_over():
            return
        if album.has(source):
            run.there += 1
        elif (reason := album.why_dropped(source)) is not None:
            run.dropped.append((source, reason))
        elif file.stat().st_size > config.max_answer_bytes:
            run.dropped.append((source, f"larger than {config.max_answer_bytes} bytes"))
        else:
            run.take(file.read_bytes(), source)


def _explain(run: Run, config: CrawlConfig, found: int) -> str:
    """Say in a line why there are not more pictures."""
    parts = []
    if run.late:
        parts.append(f"the time of {config.max_time_s:g} s was up")
    if run.page_errors:
        parts.append(f"{_count(len(run.page_errors), 'page')} failed, the first being {run.page_errors[0]}")
    if run.dropped:
        reasons = Counter(reason for _, reason in run.dropped)
        shown = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(_SHOWN_REASONS))
        parts.append(f"{_count(len(run.dropped), 'picture')} dropped: {shown}")
    if not parts:
        parts.append("it has no more" if found else f"it shows none on {_count(run.pages, 'page')}")
    return "; ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
