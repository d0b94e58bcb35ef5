"""A project that keeps nothing of faces that match nobody has no vector and no picture of them, wherever one looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig
from facerec_models.errors import NotFoundError
from facerec_models.types import Decision, Track
from facerec_models.vectors import track_embedding
from serving.archive.handle import Archive, open_archive
from serving.archive.naming.answer import become_answer
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current, stored_result
from serving.archive.privacy.policy import Policy, set_policy
from serving.archive.privacy.retention import apply_policy
from serving.archive.search.people_and_faces import search_face, search_people
from serving.archive.search.strangers import rank_strangers, show_stranger
from serving.archive.search.track_index import TrackIndex
from serving.archive.videos import analyze_video, register_video
from serving.settings import Settings
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery
from tests.archive import fill, put_video
from tests.builders import face_of
from tests.unit.serving.archive.edits import labels_in, result_in


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def keep_none(store: Store, project: str = "p") -> None:
    set_policy(store, project, Policy(keep_unmatched=False))


def traces_in(root: Path, tracks: list[Track]) -> list[str]:
    """Return in which files of a home the vectors of tracks are."""
    vectors = [one.astype("<f4").tobytes() for track in tracks for one in (*track.embeddings, track_embedding(track))]
    assert vectors
    found = []
    for path in root.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        found += [path.name] if any(one in data for one in vectors) else []
    return found


def test_a_new_video_leaves_nothing_of_strangers(archive: Archive, store: Store) -> None:
    keep_none(store)
    apply_policy(archive, "p")
    analysis = put_video(archive, "v-3", 2)
    strangers = store.get_tracks("p", ["a-v-3"])["a-v-3"][2:]
    assert traces_in(archive.files.root, strangers)
    assign_current(archive, analysis)
    assert labels_in(archive, "v-3") == ["Ann Lee", "Bob", "Undecidable", "Undecidable"]
    assert traces_in(archive.files.root, strangers) == []
    assert sorted(path.name for path in archive.files.analysis("p", "a-v-3").iterdir()) == [
        "1-0.jpg", "1-1.jpg", "2-0.jpg", "2-1.jpg"
    ]  # fmt: skip
    assert store.list_stranger_tracks("p") == []
    told = result_in(archive, "v-3").appearances[2]
    assert told.reason is not None
    assert "keeps nothing of faces that match nobody enrolled" in told.reason
    assert told.evidence.crops == []


def test_what_was_stored_before_goes_with_the_sweep(archive: Archive, store: Store) -> None:
    tracks = [track for found in store.get_tracks("p", ["a-v-1", "a-v-2"]).values() for track in found[2:]]
    assert traces_in(archive.files.root, tracks)
    keep_none(store)
    would = apply_policy(archive, "p", preview=True)
    assert (would.tracks, would.crops, would.preview) == (4, 8, True)
    assert len(store.list_stranger_tracks("p")) == 4
    report = apply_policy(archive, "p")
    assert (report.tracks, report.crops, report.removes_anything) == (4, 8, True)
    assert traces_in(archive.files.root, tracks) == []
    assert store.list_stranger_tracks("p") == []
    assert store.list_stranger_sums("p") == []
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", "Undecidable", "Undecidable"]
    entry = store.list_audit("p")[-1]
    assert (entry.action, entry.details["tracks"], entry.details["crops"]) == ("privacy-sweep", 4, 8)
    assert not apply_policy(archive, "p").removes_anything
    assert store.list_audit("p")[-1] == entry
    # What is named anew finds nothing to make strangers of.
    identify_archive(archive, "p")
    assert labels_in(archive, "v-2") == ["Ann Lee", "Bob", "Undecidable", "Undecidable"]


def test_an_analysis_that_nothing_has_named_loses_its_vectors_unless_a_job_is_about_to(
    archive: Archive, store: Store
) -> None:
    keep_none(store)
    apply_policy(archive, "p")
    put_video(archive, "v-3", 2)
    report = apply_policy(archive, "p")
    assert (report.tracks, report.crops) == (4, 8)
    assert not list(archive.files.analysis("p", "a-v-3").glob("*.jpg"))


def test_who_asks_for_strangers_is_told_that_there_are_none(archive: Archive, store: Store) -> None:
    keep_none(store)
    page = rank_strangers(archive, "p")
    assert page.strangers == []
    assert page.note == (
        "Project p keeps nothing of faces that match nobody enrolled: there are no strangers to show or find."
    )
    index = TrackIndex(store, "p")
    found = search_face(archive, index, face_of(7))
    assert found.note == page.note
    assert {one.hit.row.decision for one in found.hits} == {Decision.NAMED}
    with pytest.raises(NotFoundError, match="keeps nothing"):
        show_stranger(archive, "p", "Unknown 1")
    with pytest.raises(NotFoundError, match="keeps nothing"):
        search_people(archive, "p", ["Unknown 1"], AppearanceQuery())
    set_policy(store, "p", Policy())
    assert rank_strangers(archive, "p").note is None
    assert search_face(archive, index, face_of(7)).note is None


def test_no_vector_or_picture_of_a_stranger_is_in_the_home_after_the_demonstration(
    networks: Networks, clip: Path, own_trained_home: Path
) -> None:
    settings, config = Settings(home=own_trained_home), AnalysisConfig()
    with open_archive(settings) as archive:
        keep_none(archive.store, "default")
        video = register_video(archive.store, "default", clip, config)
        analysis = analyze_video(archive, video, config, networks)
        tracks = archive.store.get_tracks("default", [analysis.analysis_id])[analysis.analysis_id]
        crops = {
            path.name: path.read_bytes()
            for path in archive.files.analysis("default", analysis.analysis_id).glob("*.jpg")
        }
        become_answer(archive, analysis)
        result = stored_result(archive, "default", video.video_id, lambda *_: "x")
        decisions = {track.track_id: track.decision for track in result.tracks}
        assert set(decisions.values()) == {"named", "undecidable"}
        lost = [track for track in tracks if decisions[track.track_id] != "named" and len(track.embedded)]
        kept = [track for track in tracks if decisions[track.track_id] == "named"]
        assert lost
        assert traces_in(own_trained_home, lost) == []
        assert traces_in(own_trained_home, kept)
        strangers = [data for name, data in crops.items() if decisions[int(name.partition("-")[0])] != "named"]
        everything = [path.read_bytes() for path in own_trained_home.rglob("*") if path.is_file()]
        assert strangers
        assert not any(one in data for one in strangers for data in everything)
