"""Edits at random: each is drawn whole, so that it can be previewed, applied, undone and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from facerec_models.config import TrainingConfig
from facerec_models.names import STRANGER_PREFIX
from serving.archive.deletion import delete_video
from serving.archive.forget import forget
from serving.archive.former_names import standing_merges
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.edit_strangers import hide_stranger, merge_strangers, unmerge_stranger
from serving.archive.naming.enable import enable_faces
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.named import owners_of
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.rename import merge_people, rename_person, unmerge_person
from serving.archive.naming.undo import undo_edit
from serving.store.naming_rows import CorrectionKind
from serving.store.rows import AnalysisRow
from tests.archive import enrol, put_mirror, put_video

PEOPLE = ["Ann_Lee", "Bob", "Cem", "Dee", "Eve"]
# People whom videos show: the first two are enrolled at first.
_SEEN = 12
_MOST_VIDEOS = 12
# How often each kind of edit is drawn.
_WEIGHTS = {
    "is": 16, "is not": 12, "several": 6, "name": 10, "is not a stranger": 8, "hide": 3, "show": 2, "limit": 4, "again": 3,
    "promote": 3, "go back": 3, "train": 3, "undo": 10, "enrol": 2, "video": 12, "mirror": 2, "same again": 3,
    "otherwise": 4, "old again": 2, "delete": 4, "forget": 2, "rename": 3, "merge": 3, "faces": 4, "one stranger": 5,
    "two strangers": 3, "apart": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RandomEdit:
    """Something that changes names.

    Parameters
    ----------
    edit : callable or None
        Does it, or says what it would change, with ``preview`` and ``expected``; None where it is no edit.
    change : callable or None
        Does what is no edit, and cannot be undone.
    is_correction : bool
        Whether the model learns all corrections with it.
    """

    what: str
    edit: Callable[..., IdentificationChange] | None = None
    change: Callable[[], Any] | None = None
    is_correction: bool = False


def draw(archive: Archive, rng: np.random.Generator, step: int) -> RandomEdit:
    """Draw something that may be done now."""
    kinds = list(_WEIGHTS)
    weights = np.array([_WEIGHTS[kind] for kind in kinds], np.float64)
    while True:
        kind = str(rng.choice(kinds, p=weights / weights.sum()))
        found = _draw(archive, rng, kind, step)
        if found is not None:
            return found


def _draw(archive: Archive, rng: np.random.Generator, kind: str, step: int) -> RandomEdit | None:
    store = archive.store
    if kind in {"is", "is not", "several", "is not a stranger"}:
        count = int(rng.integers(2, 6)) if kind == "several" else 1
        given = [one for one in (_correction(archive, rng, kind) for _ in range(count)) if one is not None]
        told = ", ".join(f"{one.video_id}/{one.track_id} {one.kind} {one.person_id}" for one in given)
        return RandomEdit(told, partial(correct, archive, "p", given), is_correction=True) if given else None
    if kind in {"name", "hide", "show"}:
        shown = sorted({row.stranger_id for row in store.list_stranger_tracks("p")})
        if kind != "name":
            rows = store.list_strangers("p", shown)
            shown = [row.stranger_id for row in rows if row.is_hidden == (kind == "show")]
        if not shown:
            return None
        one = str(rng.choice(shown))
        if kind == "name":
            name = str(rng.choice(PEOPLE))
            edit = partial(name_stranger, archive, "p", one, name)
            return RandomEdit(f"{one} is {name}", edit, is_correction=True)
        return RandomEdit(f"{kind} {one}", partial(hide_stranger, archive, "p", one, is_hidden=kind == "hide"))
    if kind in {"limit", "again", "promote", "go back"}:
        return _identify(archive, rng, kind)
    if kind in {"rename", "merge"}:
        known = [person.person_id for person in store.list_people("p")]
        one = str(rng.choice(known)) if known else None
        others = [other for other in PEOPLE if other != one and (other in known) == (kind == "merge")]
        if one is None or not others:
            return None
        other = str(rng.choice(others))
        door = rename_person if kind == "rename" else merge_people
        return RandomEdit(f"{kind} {one} {other}", partial(door, archive, "p", one, other), is_correction=True)
    if kind == "apart":
        merges = standing_merges(store.list_edits("p"))
        if not merges:
            return None
        merge = merges[int(rng.integers(len(merges)))]
        edit = partial(unmerge_person, archive, "p", merge.former, holder=merge.holder)
        return RandomEdit(f"take {merge.former} from {merge.holder}", edit, is_correction=True)
    if kind == "faces":
        faces = [face.face_id for face in store.list_faces("p")]
        some, enabled = rng.choice(faces, min(3, len(faces))).tolist(), bool(rng.integers(2))
        edit = partial(enable_faces, archive, "p", some, enabled=enabled)
        return RandomEdit(f"faces {some} {enabled}", edit, is_correction=True) if faces else None
    if kind in {"one stranger", "two strangers"}:
        return _of_strangers(archive, rng, kind)
    if kind == "undo":
        return RandomEdit("undo", partial(undo_edit, archive, "p"))
    return _no_edit(archive, rng, kind, step)


def _of_strangers(archive: Archive, rng: np.random.Generator, kind: str) -> RandomEdit | None:
    rows = archive.store.list_strangers("p")
    if kind == "two strangers":
        merged = [row.stranger_id for row in rows if row.merged_into is not None]
        one = str(rng.choice(merged)) if merged else None
        return RandomEdit(f"take apart {one}", partial(unmerge_stranger, archive, "p", one)) if one else None
    if len(rows) < 2:
        return None
    one, other = (str(who) for who in rng.choice([row.stranger_id for row in rows], 2, replace=False))
    return RandomEdit(f"{one} is {other}", partial(merge_strangers, archive, "p", one, other))


def _identify(archive: Archive, rng: np.random.Generator, kind: str) -> RandomEdit | None:
    again = partial(identify_archive, archive, "p")
    if kind == "limit":
        limit = float(rng.choice([0.001, 0.005, 0.1]))
        return RandomEdit(f"limit {limit}", partial(again, max_false_names=limit))
    if kind == "promote":
        versions = [row.version for row in archive.store.list_models("p")]
        if not versions:
            return None
        version = str(rng.choice(versions[-4:]))
        return RandomEdit(f"promote {version}", partial(again, model_version=version))
    return RandomEdit(kind, partial(again, goes_back=kind == "go back"))


def _no_edit(archive: Archive, rng: np.random.Generator, kind: str, step: int) -> RandomEdit | None:
    store = archive.store
    videos = [row.video_id for row in store.list_videos("p")]
    if kind == "train":
        config = TrainingConfig(
            promote="yes" if rng.random() < 0.6 else "no",
            classifier="knn" if rng.random() < 0.2 else "prototype",
            use_seen_strangers=bool(rng.random() < 0.4),
        )
        return RandomEdit(f"train {config!r}", None, lambda: train(archive, "p", config))
    if kind == "enrol":
        who = int(rng.integers(len(PEOPLE)))
        return RandomEdit(f"enrol {PEOPLE[who]}", None, lambda: enrol(archive, who + 1, PEOPLE[who]))
    if kind in {"video", "mirror"}:
        if len(videos) >= _MOST_VIDEOS:
            return None
        video_id, number = f"v-{step + 10}", step + 10
        if kind == "mirror":
            who = int(rng.integers(1, _SEEN))
            return RandomEdit(f"{video_id} and an image", None, lambda: put_mirror(archive, video_id, number, who))
        seen = tuple(int(one) for one in rng.integers(1, _SEEN, size=rng.integers(1, 6)))
        together = bool(rng.integers(2))
        limit = 0.05 if rng.random() < 0.3 else None
        return RandomEdit(
            f"{video_id} shows {seen}{' at once' if together else ''}, limit {limit}",
            None,
            lambda: assign_current(archive, put_video(archive, video_id, number, seen, together=together), limit),
        )
    if kind == "forget":
        known = [person.person_id for person in store.list_people("p")]
        if not known:
            return None
        person = str(rng.choice(known))
        return RandomEdit(f"forget {person}", None, lambda: forget(archive, "p", person))
    if not videos:
        return None
    video = str(rng.choice(videos))
    if kind == "delete":
        return RandomEdit(f"delete {video}", None, lambda: delete_video(archive, "p", video))
    rows = store.list_analyses("p", video_id=video)
    if kind == "old again":
        row = rows[int(rng.integers(len(rows)))]
        return RandomEdit(
            f"{row.analysis_id} answers", None, lambda: store.touch_analysis("p", row.analysis_id, 1e6 + step)
        )
    latest = store.latest_analysis("p", video)
    if kind == "same again":
        return RandomEdit(
            f"{video} again", None, lambda: _analyse(archive, latest, latest.analysis_id, latest.created_at)
        )
    is_answer = bool(rng.integers(2))
    at = latest.created_at + (0.5 if is_answer else -0.5)
    other = f"a-{step}-{video}"
    return RandomEdit(
        f"{other}{' answers' if is_answer else ''}",
        None,
        lambda: _analyse(archive, latest, other, at, leave_out=step % 3),
    )


def _analyse(archive: Archive, like: AnalysisRow, analysis_id: str, created_at: float, leave_out: int = 0) -> None:
    """Store an analysis of a video with the tracks of another one, but for the first ones, and name it."""
    tracks = archive.store.get_tracks("p", [like.analysis_id])[like.analysis_id]
    tracks = tracks[leave_out:] or tracks
    row = replace(like, analysis_id=analysis_id, created_at=created_at)
    archive.store.put_analysis(row, tracks)
    for track in tracks:
        for k in range(2):
            crop = archive.files.track_crop("p", like.analysis_id, track.track_id, k)
            copy = archive.files.track_crop("p", analysis_id, track.track_id, k)
            if crop != copy and crop.is_file():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(crop.read_bytes())
    assign_current(archive, row)


def _correction(archive: Archive, rng: np.random.Generator, kind: str) -> TrackCorrection | None:
    store = archive.store
    latest = store.latest_analyses("p")
    if not latest:
        return None
    video = str(rng.choice(sorted(latest)))
    columns = store.get_columns("p", [latest[video]])[latest[video]]
    row = int(rng.integers(len(columns)))
    track = int(columns.track_ids[row])
    is_not = kind in {"is not", "is not a stranger"} or (kind == "several" and bool(rng.integers(2)))
    if not is_not:
        return TrackCorrection(video, track, CorrectionKind.IS, str(rng.choice(PEOPLE)))
    named = next(iter(store.list_named("p", [latest[video]])), None)
    owner = None if named is None else owners_of(named)[row]
    if kind == "is not a stranger":
        known = sorted({one.stranger_id for one in store.list_stranger_tracks("p")})
        own = [owner] if owner is not None and owner.startswith(STRANGER_PREFIX) else []
        known = own if own and rng.random() < 0.7 else known
    else:
        people = [person.person_id for person in store.list_people("p")]
        known = [owner] if owner in people and rng.random() < 0.6 else people
    return TrackCorrection(video, track, CorrectionKind.IS_NOT, str(rng.choice(known))) if known else None
