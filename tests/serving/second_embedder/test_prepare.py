"""A second set of vectors is made beside the first, from crops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.config import TrainingConfig
from facerec_models.errors import ConflictError, GalleryError, GalleryMismatchError, ModelNotFoundError, WeightsError
from facerec_models.files import write_atomically
from facerec_models.images import encode_crop
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.undo import undo_edit
from serving.archive.second_embedder.compare import compare_sets
from serving.archive.second_embedder.prepare import prepare_second_set
from serving.archive.second_embedder.switch import preview_swap, switch_embedder
from serving.archive.vector_sets import present_analyses, read_vectors
from serving.store.contract import Store
from serving.store.rows import FaceStatus
from tests.serving.second_embedder.archives import CPU, A, B, StopAt, pairs, prepare, visible_state
from training.ray_tasks import TrainingStoppedError


def test_a_second_set_is_made_from_crops_and_changes_nothing_visible(
    archive: Archive, store: Store, facenet: FaceEmbedder
) -> None:
    before, models = visible_state(archive), store.list_models("p")
    for video in store.list_videos("p"):
        store.put_video(replace(video, file="/nowhere/video.mp4"))
    progress = StopAt(2.0)
    found = prepare(archive, progress=progress)
    assert progress.seen == sorted(progress.seen)
    assert progress.seen[-1] == 1.0
    assert visible_state(archive) == before
    (added,) = [row for row in store.list_models("p") if row not in models]
    assert (added.version, added.embedder, added.faces) == (found.version, B, found.faces)
    assert (found.videos, found.made, found.lost_tracks, found.unusable_faces) == (2, 2, 0, 0)
    assert (found.corrections, found.lost_corrections) == (len(store.list_corrections("p")), 0)
    assert len(pairs(store)) == 2
    for first, second in pairs(store):
        theirs, ours = (store.get_tracks("p", [row.analysis_id])[row.analysis_id] for row in (first, second))
        assert [track.track_id for track in ours] == [track.track_id for track in theirs]
        for a, b in zip(theirs, ours, strict=True):
            np.testing.assert_array_equal(a.embedded, b.embedded)
            np.testing.assert_array_equal(a.quality, b.quality)
            assert b.embeddings.shape == (len(b.embedded), facenet.dimension)
            for k in range(len(b.embedded)):
                crops = [
                    archive.files.track_crop("p", row.analysis_id, a.track_id, k).read_bytes()
                    for row in (first, second)
                ]
                assert crops[0] == crops[1]


def test_a_stopped_preparation_goes_on_where_it_was(archive: Archive, store: Store) -> None:
    with pytest.raises(TrainingStoppedError):
        prepare(archive, progress=StopAt(0.9))
    assert len(pairs(store)) == 2
    assert store.list_models("p")[-1].embedder == A
    stored = store.columns_state("p")
    faces = read_vectors(archive.files, "p", B)
    assert len(faces) == len(store.list_faces("p"))
    found = prepare(archive)
    assert (found.made, found.videos) == (0, 2)
    assert store.columns_state("p") == stored
    again = prepare(archive)
    assert (again, store.columns_state("p")) == (found, stored)


def test_a_face_or_track_without_a_crop_gets_no_vector(archive: Archive, store: Store) -> None:
    (row, _) = present_analyses(store, "p")
    tracks = store.get_tracks("p", [row.analysis_id])[row.analysis_id]
    partly, wholly = tracks[0], tracks[1]
    archive.files.track_crop("p", row.analysis_id, partly.track_id, 0).unlink()
    for k in range(len(wholly.embedded)):
        archive.files.track_crop("p", row.analysis_id, wholly.track_id, k).unlink()
    face = store.list_faces("p")[0]
    archive.files.face_crop("p", face.face_id).unlink()
    found = prepare(archive)
    assert (found.lost_tracks, found.unusable_faces) == (1, 1)
    second = next(second for first, second in pairs(store) if first.analysis_id == row.analysis_id)
    ours = {track.track_id: track for track in store.get_tracks("p", [second.analysis_id])[second.analysis_id]}
    np.testing.assert_array_equal(ours[partly.track_id].embedded, partly.embedded[1:])
    assert len(ours[wholly.track_id].embedded) == 0
    moved = archive.files.track_crop("p", second.analysis_id, partly.track_id, 0).read_bytes()
    assert moved == archive.files.track_crop("p", row.analysis_id, partly.track_id, 1).read_bytes()
    change = switch_embedder(archive, "p")
    undo_edit(archive, "p", change.edit)


@pytest.mark.parametrize("use", [preview_swap, switch_embedder, compare_sets])
def test_an_unprepared_second_set_is_refused(archive: Archive, use: Callable[[Archive, str], object]) -> None:
    with pytest.raises(ConflictError, match="no second set of vectors: 'facerec embedder prepare'"):
        use(archive, "p")


def test_a_set_that_cannot_be_made_is_refused_and_leaves_nothing(archive: Archive, store: Store) -> None:
    with pytest.raises(ConflictError, match="already"):
        prepare(archive, "dlib")
    with pytest.raises(WeightsError, match="no embedder 'nonsense'"):
        prepare(archive, "nonsense")
    with pytest.raises(WeightsError, match="facerec weights fetch facenet-casia"):
        prepare(archive, "facenet-casia")
    store.create_project("empty")
    with pytest.raises(ConflictError, match="no vectors yet"):
        prepare_second_set(archive, "empty", B, CPU)
    archive.files.cohort("p", B).unlink()
    with pytest.raises(GalleryError, match="facerec cohort import"):
        prepare(archive)
    assert pairs(store) == []


def test_a_second_set_that_is_out_of_date_is_refused_until_it_is_prepared_again(
    archive: Archive, store: Store, embedder: FaceEmbedder
) -> None:
    own, prepared = store.get_model("p").version, prepare(archive)
    with pytest.raises(ConflictError, match=f"facerec identify --model {own}"):
        switch_embedder(archive, "p", own)
    with pytest.raises(GalleryMismatchError, match="facerec embedder switch"):
        identify_archive(archive, "p", model_version=prepared.version)
    with pytest.raises(ModelNotFoundError, match="m-none"):
        switch_embedder(archive, "p", "m-none")
    version = preview_swap(archive, "p").change.version
    # A face less, and the version is not of what is enrolled.
    store.judge_faces("p", [store.list_faces("p")[0].face_id], FaceStatus.DISABLED, "by hand")
    with pytest.raises(ConflictError, match="other faces or corrections"):
        switch_embedder(archive, "p")
    found = prepare(archive)
    assert (found.made, found.version != prepared.version) == (0, True)
    identify_archive(archive, "p", max_false_names=0.4)
    with pytest.raises(ConflictError, match="preview again"):
        switch_embedder(archive, "p", expected=version)
    before = visible_state(archive)
    add_video(archive, embedder)
    with pytest.raises(ConflictError, match=r"1 of 3 videos .* 'facerec embedder prepare facenet-vggface2'"):
        switch_embedder(archive, "p")
    after = visible_state(archive)
    assert after["embedder"] == before["embedder"]
    assert all(row in after["appearances"] for row in before["appearances"])
    assert prepare(archive).made == 1
    assert switch_embedder(archive, "p").videos == 3


def add_video(archive: Archive, embedder: FaceEmbedder) -> None:
    """Store one more video, with a track of a real crop."""
    (source, *_) = present_analyses(archive.store, "p")
    video = archive.store.get_video("p", source.video_id)
    archive.store.put_video(replace(video, video_id="v-new", sha256="ab" * 32))
    row = replace(source, analysis_id="a-new", video_id="v-new")
    (track, *_) = archive.store.get_tracks("p", [source.analysis_id])[source.analysis_id]
    crop = np.zeros((embedder.template.size, embedder.template.size, 3), np.uint8)
    for k in range(len(track.embedded)):
        write_atomically(archive.files.track_crop("p", "a-new", track.track_id, k), encode_crop(crop))
    archive.store.put_analysis(row, [track])
    assign_current(archive, row)


def test_learned_classifiers_and_seen_strangers_are_prepared_alike(archive: Archive, store: Store) -> None:
    config = TrainingConfig(classifier="knn", use_seen_strangers=True, promote="yes")
    train(archive, "p", config)
    identify_archive(archive, "p")
    before = visible_state(archive)
    prepare(archive)
    row = store.list_models("p")[-1]
    assert (row.classifier, row.metrics["training"]["use_seen_strangers"]) == ("knn", True)
    assert "seen in the project's videos" in row.metrics["cohort"]
    change = switch_embedder(archive, "p")
    undo_edit(archive, "p", change.edit)
    assert visible_state(archive) == before
