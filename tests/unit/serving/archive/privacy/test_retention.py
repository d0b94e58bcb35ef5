"""What is older than a project keeps goes, names stay, and what was killed is done by the next sweep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facerec_models.errors import InputError, StoreError
from serving.archive import forget as forgetting
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.rename import merge_people, rename_person, unmerge_person
from serving.archive.naming.undo import undo_edit
from serving.archive.privacy.consent import note_consent
from serving.archive.privacy.policy import DAY_S, Policy, changed_policy, read_policy, set_policy
from serving.archive.privacy.retention import apply_policy
from serving.archive.search.people_and_faces import search_people
from serving.archive.search.strangers import rank_strangers
from serving.jobs.sweep import sweep
from serving.sources.config import SourcesConfig
from serving.store import leases
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, CorrectionKind
from tests.archive import enrol, fill
from tests.contract.store_cases import make_job
from tests.unit.serving.archive.edits import add_named_video, correct_track, labels_in, result_in

NOBODY = ["Undecidable", "Undecidable"]


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it, submitted and analysed at the beginning of 1970."""
    fill(archive)
    return archive


def without_vectors(archive: Archive, project: str = "p") -> None:
    """Let the time of all vectors be over."""
    set_policy(archive.store, project, Policy(vectors_days=30))
    report = apply_policy(archive, project)
    assert report.tracks == 8
    tracks = archive.store.get_tracks(project, ["a-v-1", "a-v-2"])
    assert not any(len(track.embedded) for found in tracks.values() for track in found)


# The policy


def test_a_policy_is_kept_and_bounded(archive: Archive, store: Store) -> None:
    assert read_policy(store, "p") == Policy()
    set_policy(store, "p", changed_policy(Policy(), videos_days=30, keep_unmatched=False))
    assert read_policy(store, "p") == Policy(videos_days=30, keep_unmatched=False)
    with pytest.raises(InputError, match="videos_days"):
        changed_policy(Policy(), videos_days=-1)
    with pytest.raises(InputError, match="sometimes"):
        changed_policy(Policy(), sometimes=True)


def test_nothing_is_removed_by_a_policy_that_cannot_be_read(archive: Archive, store: Store) -> None:
    store.set_policy("p", {"videos_days": 1, "of_a_later_version": True})
    with pytest.raises(StoreError, match="set it anew"):
        apply_policy(archive, "p")
    assert len(store.list_videos("p")) == 2


# Videos and pictures


def test_videos_go_when_their_time_is_over(archive: Archive, store: Store) -> None:
    store.put_video(replace(store.get_video("p", "v-2"), created_at=time.time() - 10 * DAY_S))
    set_policy(store, "p", Policy(videos_days=30))
    assert apply_policy(archive, "p", preview=True).videos == ["v-1"]
    assert len(store.list_videos("p")) == 2
    report = apply_policy(archive, "p")
    assert (report.videos, report.crops, report.tracks) == (["v-1"], 0, 0)
    assert [video.video_id for video in store.list_videos("p")] == ["v-2"]
    assert not list(archive.files.analysis("p", "a-v-1").glob("*"))
    assert store.list_audit("p")[-1].details["videos"] == 1


def test_pictures_go_and_no_answer_names_them(archive: Archive, store: Store) -> None:
    add_named_video(archive, (1, 7))
    now = 2 + 30 * DAY_S
    set_policy(store, "p", Policy(crops_days=30))
    before = labels_in(archive, "v-1")
    report = apply_policy(archive, "p", now=now)
    assert (report.crops, report.tracks) == (16, 0)
    assert labels_in(archive, "v-1") == before
    for view in result_in(archive, "v-1").appearances:
        assert (view.evidence.crops, view.evidence.note) == ([], "pictures of it are no longer kept")
        assert view.evidence.nearest or view.person_id is None
    assert all(view.evidence.crops for view in result_in(archive, "v-3").appearances)
    hits = search_people(archive, "p", [], AppearanceQuery()).hits
    assert {(hit.row.video_id, hit.has_picture) for hit in hits} == {("v-1", False), ("v-2", False), ("v-3", True)}
    sightings = [one for stranger in rank_strangers(archive, "p").strangers for one in stranger.sightings]
    assert {(one.video_id, one.crop is None) for one in sightings} == {("v-1", True), ("v-2", True), ("v-3", False)}
    assert not apply_policy(archive, "p", now=now).removes_anything


# Vectors: names stay


def test_names_stay_when_vectors_go(archive: Archive, store: Store) -> None:
    without_vectors(archive)
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", *NOBODY]
    assert not list(archive.files.analysis("p", "a-v-1").glob("*.jpg"))
    assert store.list_stranger_tracks("p") == []
    view = result_in(archive, "v-1").appearances[0]
    assert view.probability > 0.9
    assert view.evidence.note == "pictures of it are no longer kept"


@pytest.mark.parametrize("limit", [None, 0.3, 1e-9])
def test_naming_the_archive_again_keeps_the_names_of_tracks_without_vectors(
    archive: Archive, limit: float | None
) -> None:
    without_vectors(archive)
    change = identify_archive(archive, "p", max_false_names=limit)
    assert change.people == []
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", *NOBODY]


def test_other_edits_keep_them_too(archive: Archive) -> None:
    without_vectors(archive)
    add_named_video(archive, (1, 2, 7))
    correct(archive, "p", [TrackCorrection("v-3", 3, CorrectionKind.IS, "Bob")])
    correct(archive, "p", [TrackCorrection("v-3", 1, CorrectionKind.IS_NOT, "Ann_Lee")])
    enrol(archive, 9, "Cem")
    train(archive, "p")
    for video_id in ("v-1", "v-2"):
        assert labels_in(archive, video_id) == ["Ann Lee", "Bob", *NOBODY]


def test_an_edit_before_is_undone_without_bringing_strangers_back(archive: Archive, store: Store) -> None:
    name_stranger(archive, "p", "Unknown 2", "Dee")
    without_vectors(archive)
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", "Undecidable", "Dee"]
    undo_edit(archive, "p")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", *NOBODY]
    assert store.list_stranger_tracks("p") == []


def test_undoing_after_a_sweep_that_was_killed_brings_no_strangers_back(archive: Archive, store: Store) -> None:
    name_stranger(archive, "p", "Unknown 1", "Dee")
    name_stranger(archive, "p", "Unknown 2", "Eve")
    store.empty_tracks("p", [(f"a-v-{video}", track) for video in (1, 2) for track in (1, 2, 3, 4)])
    undo_edit(archive, "p")
    undo_edit(archive, "p")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", *NOBODY]
    assert store.list_stranger_tracks("p") == []


def test_an_edit_that_no_sweep_came_after_is_undone_so_too(archive: Archive, store: Store) -> None:
    set_policy(store, "p", Policy(vectors_days=30))
    apply_policy(archive, "p")
    number = correct_track(archive, CorrectionKind.IS, "Bob", track=3)
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", "Bob", "Undecidable"]
    undo_edit(archive, "p", number)
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", *NOBODY]


def test_a_track_without_vectors_is_corrected_like_any_other(archive: Archive) -> None:
    without_vectors(archive)
    correct_track(archive, CorrectionKind.IS_NOT, "Bob", track=2)
    assert labels_in(archive, "v-1") == ["Ann Lee", "Undecidable", *NOBODY]
    assert labels_in(archive, "v-2") == ["Ann Lee", "Bob", *NOBODY]
    correct_track(archive, CorrectionKind.IS, "Bob", track=1)
    assert labels_in(archive, "v-1") == ["Bob", "Undecidable", *NOBODY]


def test_forgetting_takes_the_name_of_tracks_without_vectors(archive: Archive) -> None:
    without_vectors(archive)
    forget(archive, "p", "Bob")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Undecidable", *NOBODY]
    enrol(archive, 2, "Bob")
    train(archive, "p")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Undecidable", *NOBODY]
    everything = [path.read_bytes() for path in archive.files.root.rglob("*") if path.is_file()]
    forget(archive, "p", "Ann_Lee")
    assert labels_in(archive, "v-1") == ["Undecidable"] * 4
    assert any(b"Ann_Lee" in data for data in everything)
    assert not any(b"Ann_Lee" in path.read_bytes() for path in archive.files.root.rglob("*") if path.is_file())


def test_who_is_renamed_or_merged_keeps_tracks_without_vectors(archive: Archive) -> None:
    without_vectors(archive)
    rename_person(archive, "p", "Bob", "Robert")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Robert", *NOBODY]
    undo_edit(archive, "p")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", *NOBODY]
    merge_people(archive, "p", "Bob", "Ann_Lee")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Ann Lee", *NOBODY]
    rename_person(archive, "p", "Ann_Lee", "Ada")
    unmerge_person(archive, "p", "Bob")
    assert labels_in(archive, "v-1") == ["Ada", "Bob", *NOBODY]
    undo_edit(archive, "p")
    assert labels_in(archive, "v-1") == ["Ada", "Ada", *NOBODY]


def test_names_of_a_model_that_is_gone_back_to(archive: Archive, store: Store) -> None:
    first = store.get_model("p").version
    name_stranger(archive, "p", "Unknown 2", "Dee")
    without_vectors(archive)
    identify_archive(archive, "p", model_version=first)
    # That version never knew Dee.
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", *NOBODY]
    undo_edit(archive, "p")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", "Undecidable", "Dee"]


# Strangers


def test_strangers_go_who_were_not_seen_lately(archive: Archive, store: Store) -> None:
    put = store.put_video
    add_named_video(archive, (1, 7))
    put(replace(store.get_video("p", "v-3"), created_at=time.time() - DAY_S))
    set_policy(store, "p", Policy(strangers_days=30))
    assert len(rank_strangers(archive, "p").strangers) == 2
    report = apply_policy(archive, "p")
    assert (len(report.strangers), report.tracks, report.crops) == (1, 2, 4)
    (left,) = rank_strangers(archive, "p").strangers
    assert (left.number, left.videos) == (1, 3)
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", "Unknown 1", "Undecidable"]
    assert not list(archive.files.analysis("p", "a-v-1").glob("4-*"))
    assert not apply_policy(archive, "p").removes_anything


# Consent


def test_people_whose_consent_is_over_are_reported_or_forgotten(archive: Archive, store: Store) -> None:
    note_consent(store, "p", "Bob", "form 7", "2020-01-31")
    note_consent(store, "p", "Ann Lee", "form 8", "2999-01-31")
    report = apply_policy(archive, "p")
    assert (report.expired, report.forgotten, report.removes_anything) == (["Bob"], [], False)
    set_policy(store, "p", Policy(forget_expired=True))
    assert apply_policy(archive, "p", preview=True).forgotten == ["Bob"]
    report = apply_policy(archive, "p")
    assert (report.expired, report.forgotten) == ([], ["Bob"])
    assert [person.person_id for person in store.list_people("p")] == ["Ann_Lee"]
    assert [note.person_id for note in store.list_notes("p")] == ["Ann_Lee"]
    assert "Bob" not in str(store.list_audit("p"))


def test_who_cannot_be_forgotten_is_in_no_others_way(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Ann Lee", "Bob"):
        note_consent(store, "p", name, "form 7", "2020-01-31")
    set_policy(store, "p", Policy(forget_expired=True))
    store.submit_job(replace(make_job("j-1"), kind="crawl", spec={"person_id": "Ann_Lee"}))
    assert leases.claim(store, ["crawl"], "another", 60.0) is not None
    monkeypatch.setattr(forgetting, "_PATIENCE_S", 0.0)

    def fail() -> None:
        raise StoreError("others read")

    monkeypatch.setattr(store, "scrub", fail)
    report = apply_policy(archive, "p")
    assert (report.expired, report.forgotten) == (["Ann_Lee"], ["Bob"])
    assert store.list_audit("p")[-1].details["forgotten"] == 1


# Interrupted


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("step", ["empty_tracks", "apply", "delete_video", "log_action"])
def test_a_sweep_that_was_killed_at_any_step_is_completed_by_the_next(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, step: str, is_done: bool
) -> None:
    store.put_video(replace(store.get_video("p", "v-2"), created_at=time.time()))
    set_policy(store, "p", Policy(videos_days=30, vectors_days=30, keep_unmatched=False))
    original = getattr(store, step)

    def die(*args: Any, **options: Any) -> None:
        if is_done:
            original(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, step, die)
    with pytest.raises(KeyboardInterrupt):
        apply_policy(archive, "p")
    monkeypatch.undo()
    apply_policy(archive, "p")
    assert [video.video_id for video in store.list_videos("p")] == ["v-2"]
    assert labels_in(archive, "v-2") == ["Ann Lee", "Bob", *NOBODY]
    assert store.list_stranger_tracks("p") == []
    assert not any(len(track.embedded) for track in store.get_tracks("p", ["a-v-2"])["a-v-2"])
    assert not list(archive.files.analysis("p", "a-v-2").glob("*.jpg"))
    assert not apply_policy(archive, "p").removes_anything


# The sweep of the service


@pytest.mark.expects_errors
def test_the_sweep_applies_each_policy_and_one_that_fails_is_in_no_others_way(archive: Archive, store: Store) -> None:
    store.create_project("a")
    store.set_policy("a", {"of_a_later_version": True})
    sweep(archive, SourcesConfig())
    assert len(store.list_videos("p")) == 2
    set_policy(store, "p", Policy(videos_days=30))
    sweep(archive, SourcesConfig())
    assert store.list_videos("p") == []


def test_a_sweep_reads_no_tracks_where_no_project_has_a_policy(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any, **__: Any) -> Sequence[Path]:
        raise AssertionError("it was read")

    for method in ("get_columns", "get_tracks", "list_named", "list_videos"):
        monkeypatch.setattr(store, method, read)
    sweep(archive, SourcesConfig())
