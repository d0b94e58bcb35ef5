"""A project's embedder is compared, switched and undone without opening a video."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.networks import Networks
from facerec_models.config import SamplingConfig
from facerec_models.errors import ConflictError, ModelNotFoundError, VideoNotFoundError
from facerec_models.identification.cohort import Cohort, save_cohort
from facerec_models.types import Decision
from facerec_models.vectors import normalize
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.one_video import assign_current, stored_result
from serving.archive.naming.undo import undo_edit
from serving.archive.second_embedder.compare import compare_sets
from serving.archive.second_embedder.switch import switch_embedder
from serving.archive.vector_sets import present_analyses
from serving.archive.videos import analyze_video, register_video
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from serving.store.opening import open_store
from tests.contract.store_cases import make_face
from tests.serving.second_embedder.archives import (
    ANALYSIS,
    A,
    B,
    hidden_state,
    make_archive,
    pairs,
    prepare,
    visible_state,
)
from ui.demo_material import DemoMaterial


def test_a_switch_is_as_compared_and_can_be_undone(archive: Archive, store: Store) -> None:
    prepare(archive)
    before, rest = visible_state(archive), hidden_state(store)
    corrections = {(row.kind, row.person_id) for row in store.list_corrections("p")}
    compared = compare_sets(archive, "p")
    assert compared.present is not None
    assert (compared.present.embedder, compared.prepared.embedder) == (A, B)
    assert compared.present.cross_validated.nearest == compared.present.cross_validated.faces > 5
    assert compared.swap.agreement.tracks == compared.swap.change.tracks
    json.dumps(compared.to_dict())
    assert (visible_state(archive), hidden_state(store)) == (before, rest)

    change = switch_embedder(archive, "p", expected=compared.swap.change.version)
    preview = compared.swap.change.to_dict()
    assert change.to_dict() == {**preview, "applied": True, "edit": before["edits"][-1] + 1}
    after = visible_state(archive)
    assert (after["embedder"], after["promoted"]) == (B, compared.prepared.version)
    assert set(after["latest"].values()) == {second.analysis_id for _, second in pairs(store)}
    assert {face[1] for face in after["faces"]} == {B}
    assert {(row.kind, row.person_id) for row in store.list_corrections("p")} == corrections
    assert {row.embedder for row in store.list_corrections("p")} == {B}
    confirmed = next(row for row in store.list_corrections("p") if row.kind is CorrectionKind.IS)
    assert confirmed.analysis_id in after["latest"].values()
    rows = store.list_appearances("p", [confirmed.analysis_id])
    assert [row.owner for row in rows if confirmed.track_id in row.track_ids] == ["Dee"]
    same_strangers = {row[2] for row in rest["tracks"]} & {row.stranger_id for row in store.list_stranger_tracks("p")}
    assert same_strangers
    assert {row.decision for row in after["appearances"]} >= {Decision.NAMED, Decision.UNKNOWN}
    assert_counted(change.appearances_added, change.appearances_removed, before, after)
    # The same faces make the same version again.
    assert train(archive, "p").version == compared.prepared.version

    with pytest.raises(ConflictError, match="is not the last one that stands"):
        undo_edit(archive, "p", change.edit)
    undo_edit(archive, "p")  # the training
    undone = undo_edit(archive, "p", change.edit)
    assert (undone.videos, undone.applied) == (2, True)
    assert (visible_state(archive), hidden_state(store)) == (before, rest)
    # Once more, there and back: the version was trained again, and is no longer prepared.
    with pytest.raises(ConflictError, match="belongs to no second set"):
        switch_embedder(archive, "p", compared.prepared.version)
    assert prepare(archive).version == compared.prepared.version
    again = switch_embedder(archive, "p")
    assert visible_state(archive)["appearances"] == after["appearances"]
    undo_edit(archive, "p", again.edit)
    assert visible_state(archive) == before


def assert_counted(added: Any, removed: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    def of(rows: dict[str, Any], person: str) -> set[tuple[str, tuple[int, ...]]]:
        return {(row.video_id, row.track_ids) for row in rows["appearances"] if row.owner == person}

    for person in ("Eileen_Collins", "Carphone_Man", "Dee"):
        was, is_now = of(before, person), of(after, person)
        assert (added[person], removed[person]) == (len(is_now - was), len(was - is_now))


def test_a_switch_conflicts_with_a_correction_that_is_deleted_meanwhile(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(archive)
    apply, corrections = store.apply, [row.correction_id for row in store.list_corrections("p")]

    def delete_one_and_apply(*arguments: Any, **options: Any) -> int:
        store.delete_corrections("p", corrections[:1])
        return apply(*arguments, **options)

    monkeypatch.setattr(store, "apply", delete_one_and_apply)
    with pytest.raises(ConflictError, match="other faces or corrections"):
        switch_embedder(archive, "p")
    assert [row.correction_id for row in store.list_corrections("p")] == corrections[1:]


def test_a_switch_from_a_random_network_to_a_trained_one_names_people(
    tmp_path: Path,
    material: DemoMaterial,
    clip: Path,
    facenet_weights: Path,
    detector: MtcnnDetector,
    facenet: FaceEmbedder,
    facenet_strangers: Cohort,
) -> None:
    home = Files(tmp_path / "home")
    save_cohort(facenet_strangers, home.cohort("p", B))
    with closing(open_store(home.root)) as store:
        archive = Archive(store, home)
        make_archive(archive, Networks(detector, facenet), material, [(clip, ANALYSIS)], facenet_weights)
        before = visible_state(archive)
        prepare(archive, "dlib")
        compared = compare_sets(archive, "p")
        assert compared.present is not None
        assert compared.prepared.cross_validated.named > compared.present.cross_validated.named
        change = switch_embedder(archive, "p")
        (video,) = store.list_videos("p")
        result = stored_result(archive, "p", video.video_id, lambda *_: "")
        names = {one.identity for one in result.appearances if one.identity}
        assert names == {"Eileen Collins", "Carphone Man"}
        undo_edit(archive, "p", change.edit)
        assert visible_state(archive) == before


def test_undoing_a_switch_keeps_videos_and_faces_added_since(
    archive: Archive, store: Store, detector: MtcnnDetector, facenet: FaceEmbedder, material: DemoMaterial, clip: Path
) -> None:
    prepare(archive)
    change = switch_embedder(archive, "p")
    networks = Networks(detector, facenet)
    # A known video again, another one, and another picture.
    for file, span in ((clip, (0.0, 3.0)), (find_other(material, clip), (0.0, 2.0))):
        config = ANALYSIS.model_copy(update={"sampling": SamplingConfig(fragment=span)})
        video = register_video(store, "p", file, config)
        row = analyze_video(archive, video, config, networks)
        assign_current(archive, row)
    store.put_faces("p", [make_face("new", "Gil", embedder=B, embedding=normalize(np.ones(512, np.float32)))])
    undone = undo_edit(archive, "p", change.edit)
    assert undone.videos == 2
    assert {row.embedder for row in present_analyses(store, "p")} == {A}
    latest = store.latest_analyses("p")
    assert sum(store.get_analysis("p", one).embedder == A for one in latest.values()) == 2
    with pytest.raises(ModelNotFoundError, match="not identified"):
        stored_result(archive, "p", video.video_id, lambda *_: "")
    with pytest.raises(VideoNotFoundError, match="submit it again"):
        correct(archive, "p", [TrackCorrection(video.video_id, 1, CorrectionKind.IS, "Hal")])
    assert {face.embedder for face in store.list_faces("p") if face.face_id != "new"} == {A}
    # The video is of the second set alone: the next switch takes it along.
    prepare(archive)
    again = switch_embedder(archive, "p")
    assert again.videos == 3
    stored_result(archive, "p", video.video_id, lambda *_: "")


def find_other(material: DemoMaterial, clip: Path) -> Path:
    """Return a video that the archive does not have: other bytes of the same pictures."""
    other = clip.with_name("other.mp4")
    other.write_bytes(clip.read_bytes() + b"\0\0\0\x08free")
    return other
