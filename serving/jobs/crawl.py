"""Crawl pictures of a person as a job: what a request may name as a source, and the work."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from facerec_models.analysis.networks import Networks
from facerec_models.errors import InputError
from serving.archive.handle import Archive
from serving.archive.learning.enrol import content_elsewhere, enrol
from serving.jobs.runner import JobControl
from serving.settings import Settings
from serving.store.job_rows import Job
from training.crawling.crawl import CrawlStoppedError, crawl
from training.crawling.sources import Source, SourceKind, parse_source

logger = logging.getLogger(__name__)

# Of the progress, how much is fetching; the rest is enrolment.
_FETCHING = 0.7


def check_source(text: str, person_id: str, settings: Settings) -> Source:
    """Return the source that a request names, if a stranger may name it.

    Files and folders must be below one that the operator opened. Addresses are checked when they are asked, since what a name
    leads to, and where a server redirects, is known only then.

    Raises
    ------
    InputError
        If it is no source, or one of this machine's files that is not open.
    """
    source = parse_source(text).of_person(person_id)
    if source.kind in (SourceKind.URLS, SourceKind.FOLDER):
        settings.require_open(Path(source.target), text)
    return source


def crawl_person(archive: Archive, settings: Settings, networks: Networks, job: Job, control: JobControl) -> None:
    """Do a job of kind ``crawl``: fetch pictures of a person and enrol them.

    Raises
    ------
    InputError
        If the person was forgotten since the job ended before.
    SourceError
        If the source gave nothing usable; what was there is enrolled before.
    CrawlStoppedError
        If the job was cancelled or lost; what was fetched is kept for the next crawl.
    """
    spec: dict[str, Any] = job.spec
    person_id, most = spec["person_id"], spec["max_num"]
    if person_id is None:
        raise InputError(f"the person of job {job.job_id} was forgotten: begin another crawl")
    fetched = 0

    def count(_: object) -> None:
        nonlocal fetched
        fetched += 1
        control.report(_FETCHING * fetched / most)

    report = crawl(
        person_id,
        check_source(spec["source"], person_id, settings),
        archive.files.pictures(job.project, person_id),
        settings.crawl,
        settings.analysis.limits,
        max_num=most,
        public_only=not settings.crawl.private_addresses,
        known_sha256=content_elsewhere(archive.store.list_faces(job.project, person_id=person_id)),
        on_picture=count,
        should_stop=control.should_stop,
    )
    if report.stopped:
        raise CrawlStoppedError(f"the crawl of {person_id} was stopped")
    control.report(_FETCHING)
    faces = enrol(
        archive,
        job.project,
        report.to_enrol(),
        networks,
        settings.analysis,
        one_face_only=spec["discard_multi_face"],
    )
    logger.info("%d pictures of %s are enrolled or refused", len(list(faces)), person_id, extra={"job_id": job.job_id})
    control.report(1.0)
    report.check()
