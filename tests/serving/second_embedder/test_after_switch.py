"""What follows a switch of the embedder: search, corrections, videos that end late, forgetting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.networks import Networks
from facerec_models.errors import ConflictError, GalleryMismatchError
from facerec_models.vectors import track_embedding
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current, stored_result
from serving.archive.naming.undo import undo_edit
from serving.archive.search.people_and_faces import search_face
from serving.archive.search.track_index import TrackIndex
from serving.archive.second_embedder.switch import switch_embedder
from serving.archive.vector_sets import present_analyses, read_vectors
from serving.archive.videos import analyze_video, find_analysis, register_video
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from tests.serving.second_embedder.archives import ANALYSIS, A, B, ids, of_fragment, pairs, prepare, visible_state


def test_after_a_switch_everything_is_of_the_new_embedder(
    archive: Archive, store: Store, detector: MtcnnDetector, embedder: FaceEmbedder, facenet: FaceEmbedder, clip: Path
) -> None:
    index = TrackIndex(store, "p")
    first = present_analyses(store, "p")[0]
    track = store.get_tracks("p", [first.analysis_id])[first.analysis_id][0]
    prepare(archive)
    hits = search_face(archive, index, track_embedding(track)).hits
    assert (hits[0].track_id, hits[0].similarity) == (track.track_id, pytest.approx(1, abs=1e-5))
    switch_embedder(archive, "p")
    second = next(second for one, second in pairs(store) if one.analysis_id == first.analysis_id)
    theirs = store.get_tracks("p", [second.analysis_id])[second.analysis_id][0]
    hits = search_face(archive, index, track_embedding(theirs)).hits
    assert hits[0].similarity == pytest.approx(1, abs=1e-5)
    assert {hit.hit.row.analysis_id for hit in hits} <= set(store.latest_analyses("p").values())
    # A network that is not the project's is refused, and harms nothing.
    with pytest.raises(GalleryMismatchError, match=f"{B}, not of {A}"):
        store.fix_embedder("p", A)
    video = store.get_video("p", second.video_id)
    assert find_analysis(store, video, ANALYSIS, B) == store.get_analysis("p", second.analysis_id)
    # Corrections go on.
    change = correct(archive, "p", [TrackCorrection(second.video_id, theirs.track_id, CorrectionKind.IS, "Fay")])
    fay = store.list_faces("p", person_id="Fay")
    assert {face.embedder for face in fay} == {B}
    undo_edit(archive, "p", change.edit)
    config = of_fragment(0.0, 3.0)
    video = register_video(store, "p", clip, config)
    row = analyze_video(archive, video, config, Networks(detector, facenet))
    assign_current(archive, row)
    shown = stored_result(archive, "p", video.video_id, lambda *_: "").model
    assert (shown.version, shown.embedder) == (store.get_model("p").version, B)
    # What embedded the stored crops anew is not known, so it is not claimed to be what the first embeddings came from.
    assert (shown.engine.detector, shown.engine.embedder) == (detector.engine, "")
    assert first.summary["engines"]["embedder"] == embedder.engine
    with pytest.raises(GalleryMismatchError):
        analyze_video(archive, video, config, Networks(detector, embedder))


def test_a_video_that_ends_after_the_switch_is_refused_and_leaves_nothing(
    archive: Archive, store: Store, detector: MtcnnDetector, embedder: FaceEmbedder, clip: Path
) -> None:
    prepare(archive)
    config = of_fragment(0.0, 2.0)
    video = register_video(store, "p", clip, config)
    late = present_analyses(store, "p")[0]
    switched: list[dict[str, Any]] = []

    def switch(_: float) -> None:
        if not switched:
            switch_embedder(archive, "p")
            switched.append(visible_state(archive))

    with pytest.raises(GalleryMismatchError, match=f"{B}, not of {A}"):
        analyze_video(archive, video, config, Networks(detector, embedder), on_progress=switch)
    with pytest.raises(GalleryMismatchError, match="analyse the video"):
        assign_current(archive, late)
    assert visible_state(archive) == switched[0]
    folders = {path.name for path in archive.files.analysis("p", "x").parent.iterdir()}
    assert folders == set(ids(store))
    # The archive goes on.
    assert identify_archive(archive, "p", max_false_names=0.3).applied


def test_forgetting_reaches_both_sets(archive: Archive, store: Store) -> None:
    prepared = prepare(archive)
    change = switch_embedder(archive, "p")
    undo_edit(archive, "p", change.edit)
    named = [
        (row.analysis_id, track_id)
        for row in store.list_appearances("p", ids(store))
        if row.owner == "Eileen_Collins"
        for track_id in row.track_ids
    ]
    faces = {face.face_id for face in store.list_faces("p", person_id="Eileen_Collins")}
    assert faces <= read_vectors(archive.files, "p", B).keys()
    assert faces <= read_vectors(archive.files, "p", A).keys()
    receipt = forget(archive, "p", "Eileen_Collins")
    assert prepared.version in receipt.models
    assert receipt.tracks == 2 * len(named)
    second = {first.analysis_id: second.analysis_id for first, second in pairs(store)}
    for analysis_id, track_id in named:
        for one in (analysis_id, second[analysis_id]):
            tracks = {track.track_id: track for track in store.get_tracks("p", [one])[one]}
            assert len(tracks[track_id].embedded) == 0
            assert not list(archive.files.analysis("p", one).glob(f"{track_id}-*.jpg"))
    for embedder in (A, B):
        assert not faces & read_vectors(archive.files, "p", embedder).keys()
    with pytest.raises(ConflictError, match="no second set"):
        switch_embedder(archive, "p")
    prepare(archive)
    switch_embedder(archive, "p")
    assert "Eileen_Collins" not in {row.owner for row in store.list_appearances("p", ids(store))}
