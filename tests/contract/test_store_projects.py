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
from serving.store.contract import Store
from serving.store.job_rows import JobState
from serving.store.naming_rows import AppearanceQuery, CorrectionKind, Edit, NamingChange, Promotion
from serving.store.rows import FaceStatus
from tests.contract.store_cases import (
    Opener,
    correct,
    make_analysis,
    make_appearance,
    make_correction,
    make_face,
    make_job,
    make_model,
    make_track,
    make_video,
    name,
    names_of,
    promote,
    put_analyses,
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
    for one in ("z", "a", "ö", "B"):
        store.create_project(one)
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
        lambda s: s.judge_faces("absent", ["f"], FaceStatus.TAKEN, None),
        lambda s: s.list_people("absent"),
        lambda s: s.add_model(make_model("m", project="absent")),
        lambda s: s.add_new_model(make_model("m", project="absent")),
        lambda s: s.read_naming("absent"),
        lambda s: s.get_model("absent"),
        lambda s: s.get_model("absent", "m"),
        lambda s: s.list_models("absent"),
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
        lambda s: s.list_named("absent"),
        lambda s: s.list_former_named("absent", 1),
        lambda s: s.apply("absent", NamingChange(), if_version=0),
        lambda s: s.list_edits("absent"),
        lambda s: s.get_inverse("absent", 1),
        lambda s: s.raise_version("absent"),
        lambda s: s.seal_edits("absent"),
        lambda s: s.list_appearances("absent", []),
        lambda s: s.find_appearances("absent", AppearanceQuery(), limit=1),
        lambda s: s.list_screen_times("absent", AppearanceQuery()),
        lambda s: s.list_strangers("absent"),
        lambda s: s.find_stranger_number("absent"),
        lambda s: s.list_stranger_tracks("absent"),
        lambda s: s.list_stranger_sums("absent"),
        lambda s: s.list_corrections("absent"),
        lambda s: s.latest_analyses("absent"),
        lambda s: s.columns_state("absent"),
        lambda s: s.columns_positions("absent"),
        lambda s: s.list_columns("absent", limit=1),
        lambda s: s.get_columns("absent", []),
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
        (lambda s: promote(s, "absent"), ModelNotFoundError),
        (lambda s: s.delete_model("p", "absent"), ModelNotFoundError),
        (lambda s: s.get_video("p", "absent"), VideoNotFoundError),
        (lambda s: s.delete_video("p", "absent"), VideoNotFoundError),
        (lambda s: s.put_analysis(make_analysis("b", "absent"), []), VideoNotFoundError),
        (lambda s: s.get_analysis("p", "absent"), VideoNotFoundError),
        (lambda s: s.latest_analysis("p", "absent"), VideoNotFoundError),
        (lambda s: s.get_tracks("p", ["a", "absent"]), VideoNotFoundError),
        (lambda s: s.pick_tracks("p", {"a": [1], "absent": []}), VideoNotFoundError),
        (lambda s: name(s, make_appearance("a"), make_appearance("absent")), VideoNotFoundError),
        (lambda s: s.list_appearances("p", ["a", "absent"]), VideoNotFoundError),
        (lambda s: s.get_job("absent"), JobNotFoundError),
    ],
)
def test_absent_rows_are_errors_and_change_nothing(
    store: Store, call: Callable[[Store], object], error: type[Exception]
) -> None:
    put_analyses(store, "a")
    with pytest.raises(error, match="'absent'"):
        call(store)
    assert (names_of(store), store.list_edits("p"), store.get_project("p").version) == ({}, [], 0)


def test_deleting_a_project_deletes_its_rows_and_no_others(store: Store) -> None:
    store.create_project("q")
    for project in ("p", "q"):
        store.put_faces(project, [make_face("f", project=project)])
        store.add_model(make_model("m", project=project))
        promote(store, "m", project)
        store.put_video(make_video("v", project=project))
        store.put_analysis(make_analysis("a", project=project), [make_track(1)])
        for _ in range(2):
            edit = Edit("identify", faces=[make_face("f", project=project)])
            name(store, make_appearance(project=project, video_id="v"), project=project, edit=edit)
        store.submit_job(make_job(f"j-{project}", project=project))

    store.delete_project("p")

    with pytest.raises(ProjectNotFoundError):
        store.get_project("p")
    with pytest.raises(JobNotFoundError):
        store.get_job("j-p")
    store.create_project("p")
    assert store.list_faces("p") == store.list_models("p") == store.list_videos("p") == store.list_analyses("p") == []
    assert store.list_edits("p") == store.list_jobs("p") == store.list_people("p") == []
    with pytest.raises(ModelNotFoundError):
        store.get_model("p")
    store.add_model(make_model("m"))
    store.put_video(make_video("v"))
    store.put_analysis(make_analysis("a"), [])
    assert store.get_tracks("p", ["a"]) == {"a": []}
    assert store.list_appearances("p", ["a"]) == store.list_named("p") == store.list_former_named("p", 2) == []
    assert store.columns_state("p")[0] == 1

    assert [face.face_id for face in store.list_faces("q")] == ["f"]
    assert store.get_model("q").version == "m"
    assert len(store.get_tracks("q", ["a"])["a"]) == 1
    assert len(store.list_appearances("q", ["a"])) == len(store.list_former_named("q", 3)) == 1
    assert [row.number for row in store.list_edits("q")] == [1, 2, 3]
    assert store.columns_state("q")[0] == 1
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


def test_a_version_that_is_there_is_not_added_anew(store: Store) -> None:
    model = make_model("m", 1.0)
    assert store.add_new_model(model)
    assert not store.add_new_model(replace(model, metrics={"gate": "passed"}))
    assert store.list_models("p") == [model]


def test_only_a_promoted_model_is_the_current_one(store: Store) -> None:
    store.add_model(make_model("m1"))
    with pytest.raises(ModelNotFoundError, match="promote"):
        store.get_model("p")
    promote(store, "m1")
    assert store.get_model("p") == make_model("m1")


def test_the_former_model_is_the_one_promoted_before_the_present_one(store: Store) -> None:
    for version in ("m1", "m2", "m3"):
        store.add_model(make_model(version))
    for missing in (None, "m1"):
        if missing is not None:
            promote(store, missing)
        with pytest.raises(ModelNotFoundError, match="before"):
            store.former_model("p")
    for version in ("m2", "m3", "m3"):
        promote(store, version)
    assert store.former_model("p") == make_model("m2")
    for version in ("m2", "m1"):
        name(store, edit=Edit("rollback", promotion=Promotion.GO_BACK, model_version=version))
        assert store.get_model("p").version == version
    with pytest.raises(ModelNotFoundError, match="before"):
        store.former_model("p")


def test_each_project_has_its_own_promotions(store: Store) -> None:
    store.create_project("q")
    for project in ("p", "q"):
        for version in ("m1", "m2"):
            store.add_model(make_model(version, project=project))
            promote(store, version, project)
    promote(store, "m1")
    assert store.former_model("p").version == "m2"
    assert (store.get_model("q").version, store.former_model("q").version) == ("m2", "m1")


def test_a_new_is_replaces_the_old_one_and_contraries_replace_each_other(store: Store) -> None:
    store.create_project("p")
    correct(store, make_correction("1", "is", "Ann"), make_correction("2", "is_not", "Bob"))
    correct(store, make_correction("1", "is", "Ann"))
    assert [(c.correction_id, c.kind, c.person_id) for c in store.list_corrections("p")] == [
        ("1", CorrectionKind.IS, "Ann"),
        ("2", CorrectionKind.IS_NOT, "Bob"),
    ]
    correct(store, make_correction("3", "is", "Bob"), make_correction("4", "is", "Ann", track_id=2))
    assert [c.correction_id for c in store.list_corrections("p")] == ["3", "4"]
    assert [c.correction_id for c in store.list_corrections("p", person_id="Ann")] == ["4"]
    assert [c.correction_id for c in store.list_corrections("p", analysis_ids=["a", "b"])] == ["3", "4"]
    assert store.list_corrections("p", analysis_ids=["b"]) == []
    np.testing.assert_array_equal(store.list_corrections("p")[0].embedding, np.ones(4))
    assert store.delete_corrections("p", ["3", "absent"]) == 1
    kinds = (("6", "is", "Cem"), ("7", "is", "Dan"), ("8", "is_not", "Dan"), ("9", "is", "Eva"), ("6", "is_not", "Cem"))
    correct(store, *(make_correction(*one) for one in kinds))
    assert [(c.correction_id, c.kind) for c in store.list_corrections("p")[1:]] == [
        ("6", "is_not"),
        ("8", "is_not"),
        ("9", "is"),
    ]
    store.create_project("q")
    with pytest.raises(ValueError, match="not 'q'"):
        correct(store, make_correction("5", "is", "Ann"), project="q")


def test_a_model_that_names_cannot_be_deleted(store: Store) -> None:
    for version in ("m1", "m2"):
        store.add_model(make_model(version))
        promote(store, version)
    with pytest.raises(ConflictError, match=r"'m2' .* names now"):
        store.delete_model("p", "m2")
    store.delete_model("p", "m1")
    assert [row.version for row in store.list_models("p")] == ["m2"]
    with pytest.raises(ModelNotFoundError, match="before"):
        store.former_model("p")
