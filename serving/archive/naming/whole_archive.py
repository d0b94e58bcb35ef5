"""Name the whole archive again, seen before it is applied; what was applied can be undone.

Corrections, promotions, rollbacks and other accepted errors go through `rename`; an undo, a switch of embedder and a single video
do not. Each application is recorded with what undoing it takes.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, islice
from typing import Any, NamedTuple, TypeVar

from facerec_models.errors import ConflictError
from facerec_models.identification.identify import identify_videos
from facerec_models.identification.naming_model import NamingModel
from facerec_models.names import short_id
from facerec_models.types import Match
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model, promoted_version
from serving.archive.naming import strangers
from serving.archive.naming.appearance_rows import appearance_rows
from serving.archive.naming.one_video import revision_of
from serving.archive.naming.preview import IdentificationChange, compare
from serving.archive.naming.strangers import Grouping, UnknownTracks
from serving.archive.vector_sets import present_analyses
from serving.store.contract import Store
from serving.store.naming_rows import (
    AppearanceRow,
    Application,
    Correction,
    EditRows,
    Naming,
    ProjectState,
    Revision,
    Stranger,
)
from serving.store.rows import AnalysisRow

Item = TypeVar("Item")

# Analyses whose tracks are in memory at once.
_BATCH = 256
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class NamingInput:
    """What an application depends on beside the model.

    Parameters
    ----------
    corrections : sequence of Correction
        All that hold with it.
    state : ProjectState
        What was known when that was worked out: `apply_naming` refuses it if that has changed.
    rows : EditRows or None
        What is stored with it.
    stranger : Stranger or None
        One who is named, as the row says it then.
    about : tuple of str
        What the state of a preview depends on beside the archive and the revision.
    undo : mapping
        What undoing takes beside the names, as JSON values.
    """

    corrections: Sequence[Correction]
    state: ProjectState
    rows: EditRows | None = None
    stranger: Stranger | None = None
    about: tuple[str, ...] = ()
    undo: Mapping[str, Any] = field(default_factory=dict)
    goes_back: bool = False


def with_current_corrections(
    store: Store, project: str, work: Callable[[list[Correction], ProjectState], Item], *, once: bool
) -> Item:
    """Do work that depends on all corrections; where others change them meanwhile, begin again, unless `once`."""
    attempts = 1 if once else _ATTEMPTS
    while True:
        attempts -= 1
        corrections, state = read_state(store, project)
        try:
            return work(corrections, state)
        except ConflictError:
            if attempts == 0 or read_state(store, project)[1] == state:
                raise


def read_state(store: Store, project: str) -> tuple[list[Correction], ProjectState]:
    """Return all corrections, and the state that a naming with them depends on."""
    # A change in between gives a state that never was: nothing is applied to it.
    applications = store.list_applications(project)
    corrections = store.list_corrections(project)
    standing = [row.number for row in applications if row.undone_at is None]
    last = applications[-1].number if applications else 0
    ids = frozenset(row.correction_id for row in corrections)
    return corrections, ProjectState(last, standing[-1] if standing else 0, ids, promoted_version(store, project))


def identify_archive(
    archive: Archive,
    project: str,
    *,
    max_false_names: float | None = None,
    model_version: str | None = None,
    goes_back: bool = False,
    apply: bool,
    expected_state: str | None = None,
) -> IdentificationChange:
    """Name all stored tracks again, from stored embeddings; `apply` makes it so.

    Parameters
    ----------
    max_false_names : float, optional
        Accepted error; by default that of most of the archive, or the configured one where nothing is named yet.
    model_version : str, optional
        The promoted version by default; another one is promoted with it.
    goes_back : bool
        Whether the version that was promoted before the present one names again.
    expected_state : str, optional
        What a preview answered as `state`.

    Raises
    ------
    ModelNotFoundError
        If there is no such version, none is promoted, or none was before.
    ConflictError
        If the archive is not in the expected state, or changes meanwhile.
    """
    cause = "rollback" if goes_back else "identify" if model_version is None else "promotion"

    def name(corrections: list[Correction], state: ProjectState) -> IdentificationChange:
        version = (
            archive.store.former_model(project) if goes_back else archive.store.get_model(project, model_version)
        ).version
        limit = usual_error(archive.store, project) if max_false_names is None else max_false_names
        return rename(
            archive,
            project,
            revision_of(project, version, archive.rules, limit),
            load_model(archive.files, project, version),
            cause=cause,
            given=NamingInput(corrections, state, goes_back=goes_back),
            apply=apply,
            expected_state=expected_state,
        )

    return with_current_corrections(archive.store, project, name, once=not apply or expected_state is not None)


def usual_error(store: Store, project: str) -> float | None:
    """Return the accepted error of most of the archive; None where nothing is named."""
    limits = {revision.revision: revision.max_false_names for revision in store.list_revisions(project)}
    usual = Counter(limits[row.revision] for row in present_analyses(store, project) if row.revision in limits)
    return usual.most_common(1)[0][0] if usual else None


def rename(
    archive: Archive,
    project: str,
    revision: Revision,
    model: NamingModel,
    *,
    cause: str,
    note: str = "",
    given: NamingInput,
    apply: bool,
    expected_state: str | None = None,
) -> IdentificationChange:
    """Name the archive by a revision, or say what that would change; see `identify_archive`.

    Where a video ends meanwhile, it is done again with that video, unless a state is expected. Where another application,
    undoing or correction comes first, it is a `ConflictError`: the model does not know it.

    Parameters
    ----------
    model : NamingModel
        The revision's. For a preview neither it nor the corrections need be stored.
    """
    attempts = _ATTEMPTS if apply and expected_state is None else 1
    while True:
        attempts -= 1
        try:
            return _rename(archive, project, revision, model, cause, note, given, apply, expected_state)
        except ConflictError:
            if attempts == 0 or read_state(archive.store, project)[1] != given.state:
                raise


def _rename(
    archive: Archive,
    project: str,
    revision: Revision,
    model: NamingModel,
    cause: str,
    note: str,
    given: NamingInput,
    apply: bool,
    expected_state: str | None,
) -> IdentificationChange:
    change = IdentificationChange(revision.revision, state_of(archive.store, project, revision, *given.about))
    require_state(project, change.state, expected_state)
    analyses = present_analyses(archive.store, project)
    before = rows_by_analysis(archive.store.list_appearances(project, [row.analysis_id for row in analyses]))
    named = name_analyses(archive, project, [(row, revision, model) for row in analyses])
    # Not before the appearances: all whom they show must be among them.
    known, shown = archive.store.read_strangers(project)
    grouping = strangers.regroup(project, named.unknown, shown, known, given.corrections)
    after = named.rows(grouping)
    compare(archive.store, project, before, after, [*known, *grouping.strangers], change)
    latest = set(archive.store.latest_analyses(project).values())
    change.videos = len(latest)
    change.tracks = sum(len(spans) for analysis_id, spans in named.spans.items() if analysis_id in latest)
    if not apply:
        return change
    naming = Naming(
        expected={row.analysis_id: row.revision for row in analyses},
        revisions=dict.fromkeys(named.spans, revision.revision),
        appearances=[row for rows in after.values() for row in rows],
        strangers=newest_rows([*grouping.strangers, *([given.stranger] if given.stranger else [])]),
        stranger_tracks=grouping.tracks,
        known=len(known),
        promoted=revision.model_version,
        goes_back=given.goes_back,
        edit=given.rows,
        state=given.state,
    )
    undo = {**before_naming(archive.store, project, naming, known), **given.undo}
    change.application = record(archive.store, project, revision, naming, undo, cause, note)
    change.applied = True
    return change


def newest_rows(strangers: Sequence[Stranger]) -> list[Stranger]:
    """Return strangers without earlier rows of the same one."""
    return list({stranger.stranger_id: stranger for stranger in strangers}.values())


def record(
    store: Store, project: str, revision: Revision, naming: Naming, undo: dict[str, Any], cause: str, note: str
) -> int:
    """Write a naming as the project's next application, and return its number."""
    store.put_revision(revision)
    applications = store.list_applications(project)
    number = applications[-1].number + 1 if applications else 1
    application = Application(
        project=project,
        number=number,
        revision=revision.revision,
        model_version=revision.model_version,
        max_false_names=revision.max_false_names,
        cause=cause,
        note=note,
        created_at=time.time(),
        undo=undo,
    )
    store.apply_naming(project, naming, application)
    return number


def before_naming(store: Store, project: str, naming: Naming, known: Sequence[Stranger]) -> dict[str, Any]:
    """Return what a naming replaces, as JSON values."""
    replaced = {stranger.stranger_id for stranger in naming.strangers}
    tracks: dict[str, list[tuple[int, str]]] = {}
    for row in store.list_stranger_tracks(project):
        tracks.setdefault(row.analysis_id, []).append((row.track_id, row.stranger_id))
    return {
        "revisions": dict(naming.expected),
        "stranger_tracks": tracks,
        "strangers": [asdict(stranger) for stranger in known if stranger.stranger_id in replaced],
        "promoted": _version_before(store, project, naming),
    }


def _version_before(store: Store, project: str, naming: Naming) -> str | None:
    """Return the version that names before: the promoted one, or where that has only named new videos so far, the archive's."""
    promoted = promoted_version(store, project)
    if promoted != naming.promoted:
        return promoted
    versions = {row.revision: row.model_version for row in store.list_revisions(project)}
    names = Counter(versions[revision] for revision in naming.expected.values() if revision in versions)
    return names.most_common(1)[0][0] if names else promoted


class Span(NamedTuple):
    """What of a track an appearance is made from."""

    track_id: int
    shot: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Named:
    """Whom the tracks of analyses show; who the unknown ones are to each other is still open.

    Parameters
    ----------
    spans, matches : mapping of str
        By analysis, in the order of its tracks.
    """

    analyses: Sequence[AnalysisRow]
    spans: dict[str, list[Span]] = field(default_factory=dict)
    matches: dict[str, list[Match]] = field(default_factory=dict)
    unknown: list[UnknownTracks] = field(default_factory=list)

    def rows(self, grouping: Grouping) -> dict[str, list[AppearanceRow]]:
        """Return the appearances of each analysis."""
        owners: dict[str, dict[int, str]] = {}
        for row in grouping.tracks:
            owners.setdefault(row.analysis_id, {})[row.track_id] = row.stranger_id
        return {
            row.analysis_id: appearance_rows(
                row, self.spans[row.analysis_id], self.matches[row.analysis_id], owners.get(row.analysis_id, {})
            )
            for row in self.analyses
        }


def name_analyses(
    archive: Archive,
    project: str,
    wanted: Sequence[tuple[AnalysisRow, Revision, NamingModel]],
) -> Named:
    """Name stored analyses, each by a revision with its model; writes nothing, and keeps few tracks in memory."""
    sha256 = {video.video_id: video.sha256 for video in archive.store.list_videos(project)}
    named = Named([row for row, _, _ in wanted])
    for (_, limit), group in groupby(wanted, key=lambda one: (id(one[2]), one[1].max_false_names)):
        for part in batched(group, _BATCH):
            rows, model = [row for row, _, _ in part], part[0][2]
            for row in rows:
                model.check_embedder(row.embedder)
            tracks = archive.store.get_tracks(project, [row.analysis_id for row in rows])
            videos = [(row.analysis_id, tracks[row.analysis_id]) for row in rows]
            for row, matches in zip(
                rows, identify_videos(videos, model, archive.rules, max_false_names=limit), strict=True
            ):
                found = tracks[row.analysis_id]
                named.spans[row.analysis_id] = [
                    Span(track.track_id, track.shot, track.start_s, track.end_s) for track in found
                ]
                named.matches[row.analysis_id] = [replace(match, candidates=()) for match in matches]
                named.unknown.append(UnknownTracks.of(row, sha256[row.video_id], found, matches))
    return named


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Split items into lists of at most `size`."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def rows_by_analysis(rows: Sequence[AppearanceRow]) -> dict[str, list[AppearanceRow]]:
    """Return appearances by analysis."""
    found: dict[str, list[AppearanceRow]] = {}
    for row in rows:
        found.setdefault(row.analysis_id, []).append(row)
    return found


def state_of(store: Store, project: str, revision: Revision, *more: object) -> str:
    """Return a short text that is the same as long as nothing has changed that naming the archive by a revision depends on."""
    tracks = [(row.analysis_id, row.track_id, row.stranger_id) for row in store.list_stranger_tracks(project)]
    seen = {stranger_id for _, _, stranger_id in tracks}
    parts = [
        revision.revision,
        [(row.analysis_id, row.revision, row.created_at) for row in present_analyses(store, project)],
        # One that was undone is seen nowhere, and changes nothing.
        [
            asdict(one)
            for one in store.list_strangers(project)
            if one.stranger_id in seen or one.merged_into or one.person_id
        ],
        tracks,
        [row.correction_id for row in store.list_corrections(project)],
        promoted_version(store, project),
        *more,
    ]
    return short_id("s", json.dumps(parts))


def require_state(project: str, found: str, expected: str | None) -> None:
    """Raise `ConflictError` if the archive is not in the state that a preview answered."""
    if expected is not None and expected != found:
        raise ConflictError(
            f"project {project!r} is not in the state {expected} of the preview any more: preview again"
        )
