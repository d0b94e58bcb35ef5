"""Projects of every store, their models, corrections and strangers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.errors import (
    ConflictError,
    GalleryMismatchError,
    JobNotFoundError,
    ModelNotFoundError,
    ProjectNotFoundError,
    VideoNotFoundError,
)
from serving.store import Store
from serving.store.job_rows import JobState
from serving.store.naming_rows import AppearanceQuery, CorrectionKind, Revision, Stranger, StrangerTrack
from serving.store.rows import FaceStatus
from tests.contract.store_cases import (
    Opener,
    make_analysis,
    make_appearance,
    make_application,
    make_correction,
    make_face,
    make_job,
    make_model,
    make_naming,
    make_track,
    make_video,
    named_by,
    put_analyses,
    put_revisions,
)


def test_a_project_is_created_once(opener: Opener, store: Store) -> None:
    before = time.time()
    first = store.create_project("Straße 7")
    assert first.name == "Straße 7"
    assert first.embedder is None
    assert before <= first.created_at <= time.time()
    assert store.create_project("Straße 7") == store.get_project("Straße 7") == first
    with closing(opener()) as another:
        assert another.get_project("Straße 7") == first


def test_projects_are_listed_by_name(store: Store) -> None:
    for name in ("z", "a", "ö", "B"):
        store.create_project(name)
    assert [project.name for project in store.list_projects()] == ["B", "a", "p", "z", "ö"]


def test_the_first_embedder_of_a_project_stays(store: Store) -> None:
    assert store.fix_embedder("p", "dlib").embedder == "dlib"
    assert store.fix_embedder("p", "dlib").embedder == "dlib"
    with pytest.raises(GalleryMismatchError, match=r"'p' .*dlib.*facenet"):
        store.fix_embedder("p", "facenet")
    assert store.get_project("p").embedder == "dlib"


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.get_project("absent"),
        lambda s: s.fix_embedder("absent", "dlib"),
        lambda s: s.delete_project("absent"),
        lambda s: s.put_faces("absent", []),
        lambda s: s.list_faces("absent"),
        lambda s: s.set_face_status("absent", ["f"], FaceStatus.TAKEN, None),
        lambda s: s.list_people("absent"),
        lambda s: s.add_model(make_model("m", project="absent")),
        lambda s: s.get_model("absent"),
        lambda s: s.get_model("absent", "m"),
        lambda s: s.list_models("absent"),
        lambda s: s.promote_model("absent", "m"),
        lambda s: s.former_model("absent"),
        lambda s: s.put_video(make_video("v", project="absent")),
        lambda s: s.get_video("absent", "v"),
        lambda s: s.list_videos("absent"),
        lambda s: s.delete_video("absent", "v"),
        lambda s: s.put_analysis(make_analysis("a", project="absent"), []),
        lambda s: s.get_analysis("absent", "a"),
        lambda s: s.latest_analysis("absent", "v"),
        lambda s: s.list_analyses("absent"),
        lambda s: s.find_videos("absent", name="x"),
        lambda s: s.get_tracks("absent", ["a"]),
        lambda s: s.pick_tracks("absent", {"a": [1]}),
        lambda s: s.put_revision(Revision("r", "absent", "m", 0.01, 1.0)),
        lambda s: s.get_revision("absent", "r"),
        lambda s: s.list_revisions("absent"),
        lambda s: s.assign_revision("absent", "r", ["a"], []),
        lambda s: s.apply_naming("absent", make_naming({}, None), make_application(1, project="absent")),
        lambda s: s.undo_naming("absent", make_naming({}, None), 1, 1.0),
        lambda s: s.list_applications("absent"),
        lambda s: s.seal_applications("absent"),
        lambda s: s.list_appearances("absent", []),
        lambda s: s.find_appearances("absent", AppearanceQuery(), limit=1),
        lambda s: s.list_screen_times("absent", AppearanceQuery()),
        lambda s: s.read_strangers("absent"),
        lambda s: s.latest_analyses("absent"),
        lambda s: s.vector_state("absent"),
        lambda s: s.vector_positions("absent"),
        lambda s: s.list_vectors("absent", limit=1),
        lambda s: s.submit_job(make_job("j", project="absent")),
        lambda s: s.list_jobs("absent"),
    ],
)
def test_an_absent_project_is_an_error(store: Store, call: Callable[[Store], object]) -> None:
    with pytest.raises(ProjectNotFoundError, match="'absent'"):
        call(store)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda s: s.get_model("p", "absent"), ModelNotFoundError),
        (lambda s: s.promote_model("p", "absent"), ModelNotFoundError),
        (lambda s: s.get_video("p", "absent"), VideoNotFoundError),
        (lambda s: s.delete_video("p", "absent"), VideoNotFoundError),
        (lambda s: s.put_analysis(make_analysis("b", "absent"), []), VideoNotFoundError),
        (lambda s: s.get_analysis("p", "absent"), VideoNotFoundError),
        (lambda s: s.latest_analysis("p", "absent"), VideoNotFoundError),
        (lambda s: s.get_tracks("p", ["a", "absent"]), VideoNotFoundError),
        (lambda s: s.pick_tracks("p", {"a": [1], "absent": []}), VideoNotFoundError),
        (lambda s: s.put_revision(Revision("r2", "p", "absent", 0.01, 1.0)), ModelNotFoundError),
        (lambda s: s.get_revision("p", "absent"), ModelNotFoundError),
        (lambda s: s.assign_revision("p", "absent", ["a"], []), ModelNotFoundError),
        (lambda s: s.assign_revision("p", "r", ["a", "absent"], []), VideoNotFoundError),
        (lambda s: s.apply_naming("p", make_naming({"a": None}, "absent"), make_application(1)), ModelNotFoundError),
        (lambda s: s.apply_naming("p", make_naming({"absent": None}, "r"), make_application(1)), VideoNotFoundError),
        (lambda s: s.list_appearances("p", ["a", "absent"]), VideoNotFoundError),
        (lambda s: s.get_job("absent"), JobNotFoundError),
    ],
)
def test_absent_rows_are_errors_and_change_nothing(
    store: Store, call: Callable[[Store], object], error: type[Exception]
) -> None:
    put_analyses(store, "a")
    put_revisions(store, "r")
    with pytest.raises(error, match="'absent'"):
        call(store)
    assert named_by(store) == {"a": None}
    assert [row.revision for row in store.list_revisions("p")] == ["r"]


def test_deleting_a_project_deletes_its_rows_and_no_others(store: Store) -> None:
    store.create_project("q")
    for project in ("p", "q"):
        store.put_faces(project, [make_face("f", project=project)])
        store.add_model(make_model("m", project=project))
        store.promote_model(project, "m")
        store.put_video(make_video("v", project=project))
        store.put_analysis(make_analysis("a", project=project), [make_track(1)])
        for revision in ("r", "r2"):
            store.put_revision(Revision(revision, project, "m", 0.01, 1.0))
            store.assign_revision(project, revision, ["a"], [make_appearance(project=project, video_id="v")])
        naming = make_naming({"a": "r2"}, "r", make_appearance(project=project, video_id="v"))
        store.apply_naming(project, naming, make_application(1, "r", project=project))
        store.submit_job(make_job(f"j-{project}", project=project))

    store.delete_project("p")

    with pytest.raises(ProjectNotFoundError):
        store.get_project("p")
    with pytest.raises(JobNotFoundError):
        store.get_job("j-p")
    store.create_project("p")
    assert store.list_faces("p") == store.list_models("p") == store.list_videos("p") == store.list_analyses("p") == []
    assert store.list_revisions("p") == store.list_jobs("p") == store.list_people("p") == []
    with pytest.raises(ModelNotFoundError):
        store.get_model("p")
    store.add_model(make_model("m"))
    store.put_video(make_video("v"))
    store.put_analysis(make_analysis("a"), [])
    store.put_revision(Revision("r2", "p", "m", 0.01, 1.0))
    assert store.get_tracks("p", ["a"]) == {"a": []}
    assert store.list_appearances("p", ["a"]) == store.list_applications("p") == []
    assert store.vector_state("p")[0] == 0

    assert [face.face_id for face in store.list_faces("q")] == ["f"]
    assert store.get_model("q").version == "m"
    assert len(store.get_tracks("q", ["a"])["a"]) == 1
    assert len(store.list_appearances("q", ["a"])) == len(store.list_applications("q")) == 1
    assert store.vector_state("q")[0] == 1
    assert store.get_job("j-q").state is JobState.QUEUED


def test_models_come_back_as_they_were_oldest_first(store: Store) -> None:
    models = [make_model("b", 1.0), make_model("a", 2.0)]
    for model in reversed(models):
        store.add_model(model)
    assert store.list_models("p") == models
    known = replace(models[0], metrics={"gate": "passed"})
    store.add_model(known)
    assert store.list_models("p") == [known, models[1]]
    assert store.get_model("p", "b") == known


def test_only_a_promoted_model_is_the_current_one(store: Store) -> None:
    store.add_model(make_model("m1"))
    with pytest.raises(ModelNotFoundError, match="promote"):
        store.get_model("p")
    store.promote_model("p", "m1")
    assert store.get_model("p") == make_model("m1")


def test_promotion_fails_if_corrections_changed_since_training(store: Store) -> None:
    store.add_model(make_model("m1"))
    store.put_corrections("p", [make_correction("c1", "is", "Ann"), make_correction("c2", "is", "Bob", track_id=2)])
    store.create_project("q")
    for corrections in ({"c1"}, {"c1", "c2", "c3"}, set()):
        with pytest.raises(ConflictError, match="train again"):
            store.promote_model("p", "m1", corrections=corrections)
        with pytest.raises(ModelNotFoundError):
            store.get_model("p")
    store.promote_model("p", "m1", corrections=["c2", "c1"])
    assert store.get_model("p").version == "m1"


def test_the_former_model_is_the_one_promoted_before_the_present_one(store: Store) -> None:
    for version in ("m1", "m2", "m3"):
        store.add_model(make_model(version))
    for missing in (None, "m1"):
        if missing is not None:
            store.promote_model("p", missing)
        with pytest.raises(ModelNotFoundError, match="before"):
            store.former_model("p")
    for version in ("m2", "m3", "m3"):
        store.promote_model("p", version)
    assert store.former_model("p") == make_model("m2")
    for number, version in enumerate(("m2", "m1"), 1):
        store.put_revision(Revision(f"r-{version}", "p", version, 0.01, 1.0))
        naming = make_naming({}, None, promoted=version, goes_back=True)
        store.apply_naming("p", naming, make_application(number, f"r-{version}"))
        assert store.get_model("p").version == version
    with pytest.raises(ModelNotFoundError, match="before"):
        store.former_model("p")


def test_each_project_has_its_own_promotions(store: Store) -> None:
    store.create_project("q")
    for project in ("p", "q"):
        for version in ("m1", "m2"):
            store.add_model(make_model(version, project=project))
            store.promote_model(project, version)
    store.promote_model("p", "m1")
    assert store.former_model("p").version == "m2"
    assert (store.get_model("q").version, store.former_model("q").version) == ("m2", "m1")


def test_a_new_is_replaces_the_old_one_and_contraries_replace_each_other(store: Store) -> None:
    store.create_project("p")
    store.put_corrections("p", [make_correction("1", "is", "Ann"), make_correction("2", "is_not", "Bob")])
    store.put_corrections("p", [make_correction("1", "is", "Ann")])
    assert [(c.correction_id, c.kind, c.person_id) for c in store.list_corrections("p")] == [
        ("1", CorrectionKind.IS, "Ann"),
        ("2", CorrectionKind.IS_NOT, "Bob"),
    ]
    store.put_corrections("p", [make_correction("3", "is", "Bob"), make_correction("4", "is", "Ann", track_id=2)])
    assert [c.correction_id for c in store.list_corrections("p")] == ["3", "4"]
    assert [c.correction_id for c in store.list_corrections("p", person_id="Ann")] == ["4"]
    np.testing.assert_array_equal(store.list_corrections("p")[0].embedding, np.ones(4))
    assert store.delete_corrections("p", ["3", "absent"]) == 1
    store.create_project("q")
    with pytest.raises(ValueError, match="not 'q'"):
        store.put_corrections("q", [make_correction("5", "is", "Ann")])


def test_strangers_are_written_only_if_their_number_is_as_expected(store: Store) -> None:
    store.create_project("p")
    put_analyses(store, "a", "b")
    ann = Stranger("stranger-a", "p", 1, 1.0)
    track = StrangerTrack("p", "a", 1, "stranger-a", np.ones(4, np.float32))
    store.put_strangers("p", [ann], [track], ["a"], known=0)
    assert store.list_strangers("p") == [ann]
    assert [row.stranger_id for row in store.list_stranger_tracks("p")] == ["stranger-a"]
    with pytest.raises(ConflictError, match="1 strangers by now, not 0"):
        store.put_strangers("p", [Stranger("stranger-b", "p", 2, 1.0)], [], ["a"], known=0)
    store.put_strangers("p", [replace(ann, person_id="Ann")], [], ["a"], known=1)
    assert store.list_strangers("p")[0].person_id == "Ann"
    assert store.list_stranger_tracks("p") == []
    store.put_strangers("p", [], [track], ["b"], known=1)
    store.delete_video("p", "v-a")
    assert store.list_stranger_tracks("p") == []


def test_deleting_a_model_removes_its_revisions_and_names(store: Store) -> None:
    store.create_project("p")
    put_analyses(store, "a")
    put_revisions(store, "r1")
    store.promote_model("p", "m")
    store.assign_revision("p", "r1", ["a"], [make_appearance()])
    store.delete_model("p", "m")
    assert store.list_models("p") == []
    assert store.list_revisions("p") == []
    assert store.get_analysis("p", "a").revision is None
    assert store.list_appearances("p", ["a"]) == []
    with pytest.raises(ModelNotFoundError):
        store.get_model("p")
