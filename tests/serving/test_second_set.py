"""A project's embedder is changed without opening a video: prepared, compared, switched and undone, with two real networks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec_models.analysis.embedders.torch_embedder import TorchEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.networks import Networks
from facerec_models.analysis.weights import DLIB, FACENET_VGGFACE2
from facerec_models.config import AnalysisConfig, EmbeddingConfig, IdentificationConfig, SamplingConfig, TrainingConfig
from facerec_models.errors import (
    ConflictError,
    GalleryError,
    GalleryMismatchError,
    ModelNotFoundError,
    VideoNotFoundError,
    WeightsError,
)
from facerec_models.files import write_atomically
from facerec_models.identification.cohort import Cohort, save_cohort
from facerec_models.images import encode_crop
from facerec_models.types import Decision
from facerec_models.vectors import normalize, track_embedding
from serving.archive.files import Files
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.enrol import enrol
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.one_video import assign, assign_current, current_revision, stored_result
from serving.archive.naming.undo import undo_application
from serving.archive.naming.whole_archive import identify_archive
from serving.archive.search.people_and_faces import search_face
from serving.archive.search.strangers import rank_strangers
from serving.archive.search.track_index import TrackIndex
from serving.archive.second_embedder.compare import compare_sets
from serving.archive.second_embedder.prepare import Prepared, prepare_second_set
from serving.archive.second_embedder.switch import preview_swap, switch_embedder
from serving.archive.vector_sets import present_analyses, read_vectors
from serving.archive.videos import MADE_FROM, analyze_video, find_analysis, register_video
from serving.store import Store, open_store
from serving.store.naming_rows import CorrectionKind
from serving.store.rows import AnalysisRow, FaceStatus
from tests.contract.store_cases import make_face
from training.pictures import find_pictures
from training.ray_tasks import TrainingStoppedError, Workers
from ui.demo_material import DemoMaterial

RULES = IdentificationConfig()
ANALYSIS = AnalysisConfig()
PART = ANALYSIS.model_copy(update={"sampling": SamplingConfig(fragment=(13.0, 21.0))})
CPU = EmbeddingConfig(device="cpu")
A, B = DLIB.name, FACENET_VGGFACE2.name


class Here(Workers):
    """Works in this process: what a task does is the same, and only one test needs a Ray."""

    def map(
        self,
        function: Callable[..., Any],
        batches: Iterable[Any],
        *shared: Any,
        on_done: Callable[[int, Any], None],
        should_stop: Callable[[], bool],
    ) -> list[Any]:
        results = []
        for number, batch in enumerate(batches):
            if should_stop():
                raise TrainingStoppedError("the training was stopped")
            results.append(function(batch, *shared))
            on_done(number, results[-1])
        return results


def make_archive(
    home: Files,
    networks: Networks,
    material: DemoMaterial,
    videos: Sequence[tuple[Path, AnalysisConfig]],
    facenet_weights: Path,
) -> None:
    """Enrol the demonstration's people, and name videos."""
    home.weights.symlink_to(facenet_weights)
    with closing(open_store(home.root)) as store:
        list(enrol(Archive(store, home, RULES), "p", find_pictures(material.people), networks, ANALYSIS, outliers=None))
        train(Archive(store, home, RULES), "p")
        for file, config in videos:
            video = register_video(store, "p", file, config)
            assign_current(Archive(store, home, RULES), analyze_video(Archive(store, home), video, config, networks))
        identify_archive(Archive(store, home, RULES), "p", apply=True)


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory,
    material: DemoMaterial,
    clip: Path,
    facenet_weights: Path,
    detector: MtcnnDetector,
    embedder: TorchEmbedder,
) -> Path:
    """By dlib's network, with something said of it."""
    home = Files(tmp_path_factory.mktemp("archive"))
    make_archive(
        home, Networks(detector, embedder), material, [(clip, ANALYSIS), (material.reel, PART)], facenet_weights
    )
    with closing(open_store(home.root)) as store:
        first, second = rank_strangers(Archive(store, home, RULES), "p", limit=2).strangers
        name_stranger(Archive(store, home, RULES), "p", first.stranger_id, "Dee")
        sighting = second.sightings[0]
        denied = TrackCorrection(sighting.video_id, sighting.track_id, CorrectionKind.IS_NOT, second.stranger_id)
        collins = next(
            row for row in store.list_appearances("p", ids(store)) if row.owner == "Eileen_Collins" and row.track_ids
        )
        wrong = TrackCorrection(collins.video_id, collins.track_ids[0], CorrectionKind.IS_NOT, "Dee")
        correct(Archive(store, home, RULES), "p", [denied, wrong])
    return home.root


@pytest.fixture
def home(archive: Path, facenet_strangers: Cohort, tmp_path: Path) -> Files:
    shutil.copytree(archive, tmp_path / "home", symlinks=True)
    home = Files(tmp_path / "home")
    save_cohort(facenet_strangers, home.cohort("p", B))
    return home


@pytest.fixture
def store(home: Files) -> Iterator[Store]:
    with closing(open_store(home.root)) as store:
        yield store


def ids(store: Store) -> list[str]:
    return [row.analysis_id for row in store.list_analyses("p")]


def prepare(store: Store, home: Files, embedder: str = B, **options: Any) -> Prepared:
    return prepare_second_set(
        Archive(store, home, RULES), "p", embedder, CPU, **{"workers": Here(home.root), **options}
    )


def shown(store: Store, home: Files) -> dict[str, Any]:
    """Return all that somebody who looks at the project sees."""
    results = {}
    for video in store.list_videos("p"):
        with suppress(ModelNotFoundError):
            result = stored_result(
                Archive(store, home, RULES), "p", video.video_id, lambda row, *k: f"{row.analysis_id} {k}"
            )
            results[video.video_id] = result.model_dump(exclude={"timing"})
    rounded = json.loads(json.dumps(results), parse_float=lambda text: round(float(text), 5))
    return {
        "results": rounded,
        "latest": store.latest_analyses("p"),
        "strangers": rank_strangers(Archive(store, home, RULES), "p").strangers,
        "appearances": store.list_appearances("p", list(store.latest_analyses("p").values())),
        "promoted": store.get_model("p").version,
        "embedder": store.get_project("p").embedder,
        "faces": [
            (face.face_id, face.embedder, face.status, None if face.embedding is None else face.embedding.tobytes())
            for face in store.list_faces("p")
        ],
        "corrections": [
            (row.correction_id, row.embedder, row.embedding.tobytes()) for row in store.list_corrections("p")
        ],
        "applications": [row.number for row in store.list_applications("p") if row.undone_at is None],
        "state": identify_archive(Archive(store, home, RULES), "p", apply=False).state,
    }


def kept(store: Store) -> dict[str, Any]:
    """Return what undoing must bring back beside what is shown."""
    return {
        "analyses": [(row.analysis_id, row.created_at, row.revision) for row in store.list_analyses("p")],
        "tracks": [(row.analysis_id, row.track_id, row.stranger_id) for row in store.list_stranger_tracks("p")],
        "appearances": store.list_appearances("p", ids(store)),
    }


def pairs(store: Store) -> list[tuple[AnalysisRow, AnalysisRow]]:
    rows = {row.analysis_id: row for row in store.list_analyses("p")}
    return [(rows[row.summary[MADE_FROM]], row) for row in rows.values() if MADE_FROM in row.summary]


class StopAt:
    """Asks to stop when a fraction is done."""

    def __init__(self, at: float) -> None:
        self.at, self.seen = at, [0.0]

    def report(self, progress: float) -> None:
        self.seen.append(progress)

    def should_stop(self) -> bool:
        return self.seen[-1] >= self.at


def test_a_second_set_is_made_from_crops_and_nobody_sees_it(store: Store, home: Files, facenet: TorchEmbedder) -> None:
    before, models = shown(store, home), store.list_models("p")
    for video in store.list_videos("p"):
        store.put_video(replace(video, file="/nowhere/video.mp4"))
    progress = StopAt(2.0)
    found = prepare(store, home, progress=progress, workers=Workers(home.root))
    assert progress.seen == sorted(progress.seen)
    assert progress.seen[-1] == 1.0
    assert shown(store, home) == before
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
                crops = [home.track_crop("p", row.analysis_id, a.track_id, k).read_bytes() for row in (first, second)]
                assert crops[0] == crops[1]


def test_a_stopped_preparation_goes_on_where_it_was(store: Store, home: Files) -> None:
    with pytest.raises(TrainingStoppedError):
        prepare(store, home, progress=StopAt(0.9))
    assert len(pairs(store)) == 2
    assert store.list_models("p")[-1].embedder == A
    stored = store.vector_state("p")
    faces = read_vectors(home, "p", B)
    assert len(faces) == len(store.list_faces("p"))
    found = prepare(store, home)
    assert (found.made, found.videos) == (0, 2)
    assert store.vector_state("p") == stored
    again = prepare(store, home)
    assert (again, store.vector_state("p")) == (found, stored)


def test_what_has_no_crop_has_no_vector(store: Store, home: Files) -> None:
    (row, _) = present_analyses(store, "p")
    tracks = store.get_tracks("p", [row.analysis_id])[row.analysis_id]
    partly, wholly = tracks[0], tracks[1]
    home.track_crop("p", row.analysis_id, partly.track_id, 0).unlink()
    for k in range(len(wholly.embedded)):
        home.track_crop("p", row.analysis_id, wholly.track_id, k).unlink()
    face = store.list_faces("p")[0]
    home.face_crop("p", face.face_id).unlink()
    found = prepare(store, home)
    assert (found.lost_tracks, found.unusable_faces) == (1, 1)
    second = next(second for first, second in pairs(store) if first.analysis_id == row.analysis_id)
    ours = {track.track_id: track for track in store.get_tracks("p", [second.analysis_id])[second.analysis_id]}
    np.testing.assert_array_equal(ours[partly.track_id].embedded, partly.embedded[1:])
    assert len(ours[wholly.track_id].embedded) == 0
    moved = home.track_crop("p", second.analysis_id, partly.track_id, 0).read_bytes()
    assert moved == home.track_crop("p", row.analysis_id, partly.track_id, 1).read_bytes()
    change = switch_embedder(Archive(store, home, RULES), "p")
    undo_application(Archive(store, home, RULES), "p", change.revision)


def test_what_was_compared_is_switched_and_undone(store: Store, home: Files) -> None:
    prepare(store, home)
    before, rest = shown(store, home), kept(store)
    said = {(row.kind, row.person_id) for row in store.list_corrections("p")}
    compared = compare_sets(Archive(store, home, RULES), "p")
    assert compared.present is not None
    assert (compared.present.embedder, compared.prepared.embedder) == (A, B)
    assert compared.present.cross_validated.nearest == compared.present.cross_validated.faces > 5
    assert compared.swap.agreement.tracks == compared.swap.change.tracks
    json.dumps(compared.to_dict())
    assert (shown(store, home), kept(store)) == (before, rest)

    change = switch_embedder(Archive(store, home, RULES), "p", expected_state=compared.swap.change.state)
    preview = compared.swap.change.to_dict()
    assert change.to_dict() == {**preview, "applied": True, "application": before["applications"][-1] + 1}
    after = shown(store, home)
    assert (after["embedder"], after["promoted"]) == (B, compared.prepared.version)
    assert set(after["latest"].values()) == {second.analysis_id for _, second in pairs(store)}
    assert {face[1] for face in after["faces"]} == {B}
    assert {(row.kind, row.person_id) for row in store.list_corrections("p")} == said
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
    assert train(Archive(store, home, RULES), "p").version == compared.prepared.version

    undone = undo_application(Archive(store, home, RULES), "p", change.revision)
    assert (undone.videos, undone.promoted, undone.note) == (2, before["promoted"], "")
    assert (shown(store, home), kept(store)) == (before, rest)
    # And once more, there and back; the version was trained again, and is prepared no more.
    with pytest.raises(ConflictError, match="belongs to no second set"):
        switch_embedder(Archive(store, home, RULES), "p", compared.prepared.version)
    assert prepare(store, home).version == compared.prepared.version
    again = switch_embedder(Archive(store, home, RULES), "p")
    assert shown(store, home)["appearances"] == after["appearances"]
    undo_application(Archive(store, home, RULES), "p", again.revision)
    assert shown(store, home) == before


def assert_counted(added: Any, removed: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    def of(rows: dict[str, Any], person: str) -> set[tuple[str, tuple[int, ...]]]:
        return {(row.video_id, row.track_ids) for row in rows["appearances"] if row.owner == person}

    for person in ("Eileen_Collins", "Carphone_Man", "Dee"):
        was, is_now = of(before, person), of(after, person)
        assert (added[person], removed[person]) == (len(is_now - was), len(was - is_now))


def test_what_is_said_while_the_network_changes_is_not_overwritten(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(store, home)
    apply, said = store.apply_naming, [row.correction_id for row in store.list_corrections("p")]

    def take_back_and_apply(*arguments: Any) -> None:
        store.delete_corrections("p", said[:1])
        apply(*arguments)

    monkeypatch.setattr(store, "apply_naming", take_back_and_apply)
    with pytest.raises(ConflictError, match="meanwhile"):
        switch_embedder(Archive(store, home, RULES), "p")
    assert [row.correction_id for row in store.list_corrections("p")] == said[1:]


def test_from_a_network_that_knows_nobody_to_one_that_does(
    tmp_path: Path,
    material: DemoMaterial,
    clip: Path,
    facenet_weights: Path,
    detector: MtcnnDetector,
    facenet: TorchEmbedder,
    facenet_strangers: Cohort,
) -> None:
    home = Files(tmp_path / "home")
    save_cohort(facenet_strangers, home.cohort("p", B))
    make_archive(home, Networks(detector, facenet), material, [(clip, ANALYSIS)], facenet_weights)
    with closing(open_store(home.root)) as store:
        before = shown(store, home)
        prepare(store, home, "dlib")
        compared = compare_sets(Archive(store, home, RULES), "p")
        assert compared.present is not None
        assert compared.prepared.cross_validated.named > compared.present.cross_validated.named
        change = switch_embedder(Archive(store, home, RULES), "p")
        (video,) = store.list_videos("p")
        result = stored_result(Archive(store, home, RULES), "p", video.video_id, lambda *_: "")
        names = {one.identity for one in result.appearances if one.identity}
        assert names == {"Eileen Collins", "Carphone Man"}
        undo_application(Archive(store, home, RULES), "p", change.revision)
        assert shown(store, home) == before


def test_after_a_switch_everything_is_of_the_new_embedder(
    store: Store, home: Files, detector: MtcnnDetector, embedder: TorchEmbedder, facenet: TorchEmbedder, clip: Path
) -> None:
    index = TrackIndex(store, "p")
    first = present_analyses(store, "p")[0]
    track = store.get_tracks("p", [first.analysis_id])[first.analysis_id][0]
    prepare(store, home)
    hits = search_face(store, index, track_embedding(track)).hits
    assert (hits[0].track_id, hits[0].similarity) == (track.track_id, pytest.approx(1, abs=1e-5))
    switch_embedder(Archive(store, home, RULES), "p")
    second = next(second for one, second in pairs(store) if one.analysis_id == first.analysis_id)
    theirs = store.get_tracks("p", [second.analysis_id])[second.analysis_id][0]
    hits = search_face(store, index, track_embedding(theirs)).hits
    assert hits[0].similarity == pytest.approx(1, abs=1e-5)
    assert {hit.hit.row.analysis_id for hit in hits} <= set(store.latest_analyses("p").values())
    # A network that is not the project's is refused, and harms nothing.
    with pytest.raises(GalleryMismatchError, match=f"{B}, not of {A}"):
        store.fix_embedder("p", A)
    video = store.get_video("p", second.video_id)
    assert find_analysis(store, video, ANALYSIS, B) == store.get_analysis("p", second.analysis_id)
    # What people say is carried on with.
    statement = TrackCorrection(second.video_id, theirs.track_id, CorrectionKind.IS, "Fay")
    said = correct(Archive(store, home, RULES), "p", [statement])
    fay = store.list_faces("p", person_id="Fay")
    assert {face.embedder for face in fay} == {B}
    undo_application(Archive(store, home, RULES), "p", said.revision)
    video = register_video(store, "p", clip, PART.model_copy(update={"sampling": SamplingConfig(fragment=(0.0, 3.0))}))
    config = ANALYSIS.model_copy(update={"sampling": SamplingConfig(fragment=(0.0, 3.0))})
    row = analyze_video(Archive(store, home), video, config, Networks(detector, facenet))
    assert assign_current(Archive(store, home, RULES), row).model_version == store.get_model("p").version
    with pytest.raises(GalleryMismatchError):
        analyze_video(Archive(store, home), video, config, Networks(detector, embedder))


def test_a_video_that_ends_after_the_switch_is_told_and_leaves_nothing(
    store: Store, home: Files, detector: MtcnnDetector, embedder: TorchEmbedder, clip: Path
) -> None:
    prepare(store, home)
    config = ANALYSIS.model_copy(update={"sampling": SamplingConfig(fragment=(0.0, 2.0))})
    video = register_video(store, "p", clip, config)
    late = present_analyses(store, "p")[0]
    revision = current_revision(Archive(store, home, RULES), "p")
    switched: list[dict[str, Any]] = []

    def switch(_: float) -> None:
        if not switched:
            switch_embedder(Archive(store, home, RULES), "p")
            switched.append(shown(store, home))

    with pytest.raises(GalleryMismatchError, match=f"{B}, not of {A}"):
        analyze_video(Archive(store, home), video, config, Networks(detector, embedder), on_progress=switch)
    with pytest.raises(GalleryMismatchError, match="submit the video again"):
        assign(Archive(store, home, RULES), late, revision)
    assert shown(store, home) == switched[0]
    folders = {path.name for path in home.analysis("p", "x").parent.iterdir()}
    assert folders == set(ids(store))
    # The archive goes on.
    assert identify_archive(Archive(store, home, RULES), "p", max_false_names=0.3, apply=True).applied


def test_undoing_keeps_what_came_since_where_it_can(
    store: Store, home: Files, detector: MtcnnDetector, facenet: TorchEmbedder, material: DemoMaterial, clip: Path
) -> None:
    prepare(store, home)
    change = switch_embedder(Archive(store, home, RULES), "p")
    networks = Networks(detector, facenet)
    # A known video again, another one, and another picture.
    for file, span in ((clip, (0.0, 3.0)), (find_other(material, clip), (0.0, 2.0))):
        config = ANALYSIS.model_copy(update={"sampling": SamplingConfig(fragment=span)})
        video = register_video(store, "p", file, config)
        row = analyze_video(Archive(store, home), video, config, networks)
        assign(Archive(store, home, RULES), row, current_revision(Archive(store, home, RULES), "p"))
    store.put_faces("p", [make_face("new", "Gil", embedder=B, embedding=normalize(np.ones(512, np.float32)))])
    undone = undo_application(Archive(store, home, RULES), "p", change.revision)
    assert "1 videos came since and have no vectors of dlib" in undone.note
    assert undone.videos == 2
    assert {row.embedder for row in present_analyses(store, "p")} == {A}
    latest = store.latest_analyses("p")
    assert sum(store.get_analysis("p", one).embedder == A for one in latest.values()) == 2
    with pytest.raises(ModelNotFoundError, match="not identified"):
        stored_result(Archive(store, home, RULES), "p", video.video_id, lambda *_: "")
    with pytest.raises(VideoNotFoundError, match="submit it again"):
        correct(Archive(store, home, RULES), "p", [TrackCorrection(video.video_id, 1, CorrectionKind.IS, "Hal")])
    assert {face.embedder for face in store.list_faces("p") if face.face_id != "new"} == {A}
    # The video is of the second set alone: the next switch takes it along.
    prepare(store, home)
    again = switch_embedder(Archive(store, home, RULES), "p")
    assert again.videos == 3
    stored_result(Archive(store, home, RULES), "p", video.video_id, lambda *_: "")


def find_other(material: DemoMaterial, clip: Path) -> Path:
    """Return a video that the archive does not have: other bytes of the same pictures."""
    other = clip.with_name("other.mp4")
    other.write_bytes(clip.read_bytes() + b"\0\0\0\x08free")
    return other


def test_forgetting_reaches_both_sets(store: Store, home: Files) -> None:
    prepared = prepare(store, home)
    change = switch_embedder(Archive(store, home, RULES), "p")
    undo_application(Archive(store, home, RULES), "p", change.revision)
    named = [
        (row.analysis_id, track_id)
        for row in store.list_appearances("p", ids(store))
        if row.owner == "Eileen_Collins"
        for track_id in row.track_ids
    ]
    faces = {face.face_id for face in store.list_faces("p", person_id="Eileen_Collins")}
    assert faces <= read_vectors(home, "p", B).keys()
    assert faces <= read_vectors(home, "p", A).keys()
    receipt = forget(Archive(store, home, RULES), "p", "Eileen_Collins")
    assert prepared.version in receipt.models
    assert receipt.tracks == 2 * len(named)
    second = {first.analysis_id: second.analysis_id for first, second in pairs(store)}
    for analysis_id, track_id in named:
        for one in (analysis_id, second[analysis_id]):
            tracks = {track.track_id: track for track in store.get_tracks("p", [one])[one]}
            assert len(tracks[track_id].embedded) == 0
            assert not list(home.analysis("p", one).glob(f"{track_id}-*.jpg"))
    for embedder in (A, B):
        assert not faces & read_vectors(home, "p", embedder).keys()
    with pytest.raises(ConflictError, match="no second set"):
        switch_embedder(Archive(store, home, RULES), "p")
    prepare(store, home)
    switch_embedder(Archive(store, home, RULES), "p")
    assert "Eileen_Collins" not in {row.owner for row in store.list_appearances("p", ids(store))}


def test_what_is_not_ready_is_said(store: Store, home: Files, material: DemoMaterial, embedder: TorchEmbedder) -> None:
    own = store.get_model("p").version
    for call in (preview_swap, switch_embedder, compare_sets):
        with pytest.raises(ConflictError, match="no second set of vectors: 'facerec embedder prepare'"):
            call(Archive(store, home, RULES), "p")
    with pytest.raises(ConflictError, match="already"):
        prepare(store, home, "dlib")
    with pytest.raises(WeightsError, match="no embedder 'nonsense'"):
        prepare(store, home, "nonsense")
    with pytest.raises(WeightsError, match="facerec weights fetch facenet-casia"):
        prepare(store, home, "facenet-casia")
    store.create_project("empty")
    with pytest.raises(ConflictError, match="no vectors yet"):
        prepare_second_set(Archive(store, home, RULES), "empty", B, CPU)
    cohort = home.cohort("p", B)
    strangers = cohort.read_bytes()
    cohort.unlink()
    with pytest.raises(GalleryError, match="facerec cohort import"):
        prepare(store, home)
    assert pairs(store) == []
    write_atomically(cohort, strangers)
    prepared = prepare(store, home)
    with pytest.raises(ConflictError, match=f"facerec identify --model {own}"):
        switch_embedder(Archive(store, home, RULES), "p", own)
    with pytest.raises(GalleryMismatchError, match="facerec embedder switch"):
        store.promote_model("p", prepared.version)
    with pytest.raises(ModelNotFoundError, match="m-none"):
        switch_embedder(Archive(store, home, RULES), "p", "m-none")
    state = preview_swap(Archive(store, home, RULES), "p").change.state
    # A face more, and the version is not of what is enrolled.
    other = store.list_faces("p")[0]
    store.set_face_status("p", [other.face_id], FaceStatus.DISABLED, "by hand")
    with pytest.raises(ConflictError, match="other faces or corrections"):
        switch_embedder(Archive(store, home, RULES), "p")
    found = prepare(store, home)
    assert (found.made, found.version != prepared.version) == (0, True)
    identify_archive(Archive(store, home, RULES), "p", max_false_names=0.4, apply=True)
    with pytest.raises(ConflictError, match="preview again"):
        switch_embedder(Archive(store, home, RULES), "p", expected_state=state)
    before = shown(store, home)
    video_comes(store, home, embedder)
    with pytest.raises(ConflictError, match=r"1 of 3 videos .* 'facerec embedder prepare facenet-vggface2'"):
        switch_embedder(Archive(store, home, RULES), "p")
    assert shown(store, home)["appearances"][: len(before["appearances"])]
    assert prepare(store, home).made == 1
    assert switch_embedder(Archive(store, home, RULES), "p").videos == 3


def video_comes(store: Store, home: Files, embedder: TorchEmbedder) -> None:
    """Store one more video, with a track of a real crop."""
    (source, *_) = present_analyses(store, "p")
    video = store.get_video("p", source.video_id)
    store.put_video(replace(video, video_id="v-new", sha256="ab" * 32))
    row = replace(source, analysis_id="a-new", video_id="v-new", revision=None)
    (track, *_) = store.get_tracks("p", [source.analysis_id])[source.analysis_id]
    crop = np.zeros((embedder.template.size, embedder.template.size, 3), np.uint8)
    for k in range(len(track.embedded)):
        write_atomically(home.track_crop("p", "a-new", track.track_id, k), encode_crop(crop))
    store.put_analysis(row, [track])
    assign_current(Archive(store, home, RULES), row)


def test_learned_classifiers_and_seen_strangers_are_prepared_alike(store: Store, home: Files) -> None:
    config = TrainingConfig(classifier="knn", use_seen_strangers=True, promote="yes")
    train(Archive(store, home, RULES), "p", config)
    identify_archive(Archive(store, home, RULES), "p", apply=True)
    before = shown(store, home)
    prepare(store, home)
    row = store.list_models("p")[-1]
    assert (row.classifier, row.metrics["training"]["use_seen_strangers"]) == ("knn", True)
    assert "seen in the project's videos" in row.metrics["cohort"]
    change = switch_embedder(Archive(store, home, RULES), "p")
    undo_application(Archive(store, home, RULES), "p", change.revision)
    assert shown(store, home) == before
