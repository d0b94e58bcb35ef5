"""Naming the archive, undoing and forgetting while a video ends, somebody reads, or a mind is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Timer

import numpy as np
import pytest

from facerec_models.config import TrainingConfig
from facerec_models.errors import ConflictError, InputError, ModelNotFoundError, PersonNotFoundError, StoreError
from facerec_models.files import write_atomically
from facerec_models.video_writer import VideoWriter
from serving.archive import forget as forgetting
from serving.archive.files import Files
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.learning.model_versions import train
from serving.archive.naming import whole_archive as archive
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.one_video import assign, assign_current, current_revision
from serving.archive.naming.strangers import find_stranger
from serving.archive.naming.undo import undo_application
from serving.archive.naming.whole_archive import identify_archive
from serving.archive.search.people_and_faces import search_people
from serving.jobs import runner as jobs
from serving.jobs.crawl import crawl_person
from serving.settings import Settings
from serving.store import Store, leases, open_store
from serving.store.job_rows import JobState
from serving.store.naming_rows import AppearanceQuery, Application, CorrectionKind, Naming, Revision
from serving.store.rows import FaceStatus
from serving.store.sqlite.store import SqliteStore
from tests.archive import RULES, enrol, put_video
from tests.builders import EMBEDDER


def say(store: Store, home: Files, kind: CorrectionKind, person: str, video: str = "v-1", track: int = 3) -> str:
    return correct(Archive(store, home, RULES), "p", [TrackCorrection(video, track, kind, person)]).revision


def revisions(store: Store) -> list[Revision]:
    return [store.get_revision("p", row.revision or "") for row in store.list_analyses("p")]


def video_ends(store: Store, home: Files, seen: tuple[int, ...], video_id: str = "v-3") -> None:
    row = put_video(store, home, video_id, 2, seen=seen)
    assign(Archive(store, home, RULES), row, current_revision(Archive(store, home, RULES), "p"))


def before_each(monkeypatch: pytest.MonkeyPatch, store: Store, method: str, what: Callable[[int], None]) -> None:
    """Let something happen right before calls of a store's method; `what` gets the number of the call."""
    original, calls = getattr(store, method), []

    def first_that(*arguments: object, **options: object) -> object:
        calls.append(1)
        what(len(calls))
        return original(*arguments, **options)

    monkeypatch.setattr(store, method, first_that)


def words(store: Store) -> tuple[list[str], list[str]]:
    said = [f"{row.kind} {row.person_id}" for row in store.list_corrections("p")]
    faces = [face.person_id for face in store.list_faces("p", status=FaceStatus.TAKEN) if face.source]
    return sorted(said), sorted(set(faces))


def models_in_use(store: Store) -> set[str]:
    return {store.get_revision("p", row.revision).model_version for row in store.list_analyses("p") if row.revision}


# A video ends meanwhile


def test_a_video_that_ends_meanwhile_is_named_with_the_archive(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_each(monkeypatch, store, "apply_naming", lambda n: video_ends(store, home, (1, 9)) if n == 1 else None)
    revision = say(store, home, CorrectionKind.IS, "Cem")
    assert {row.revision for row in store.list_analyses("p")} == {revision}
    assert models_in_use(store) == {store.get_model("p").version}


def test_a_correction_that_always_comes_too_late_leaves_nothing(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, promoted = words(store), store.get_model("p").version
    before_each(monkeypatch, store, "apply_naming", lambda n: video_ends(store, home, (20 + n,), f"v-{10 + n}"))
    with pytest.raises(ConflictError):
        say(store, home, CorrectionKind.IS, "Cem")
    assert words(store) == before
    assert store.get_model("p").version == promoted
    assert sorted(path.name for path in (home.project("p") / "faces").iterdir()) == sorted(
        face.crop for face in store.list_faces("p") if face.crop
    )
    monkeypatch.undo()
    revision = say(store, home, CorrectionKind.IS, "Cem")
    undo_application(Archive(store, home, RULES), "p", revision)
    assert words(store) == before


def test_an_undoing_that_comes_too_late_takes_nothing_back(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = say(store, home, CorrectionKind.IS, "Cem")
    before = words(store)
    before_each(monkeypatch, store, "undo_naming", lambda n: video_ends(store, home, (20 + n,), f"v-{10 + n}"))
    with pytest.raises(ConflictError):
        undo_application(Archive(store, home, RULES), "p", revision)
    assert words(store) == before == (["is Cem"], ["Cem"])
    monkeypatch.undo()
    undo_application(Archive(store, home, RULES), "p", revision)
    assert words(store) == ([], [])


@pytest.mark.parametrize("seen", [(1, 2, 7, 8), (1, 9)])
def test_undoing_reaches_a_video_that_ends_meanwhile(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch, seen: tuple[int, ...]
) -> None:
    revision = say(store, home, CorrectionKind.IS, "Carl")
    ends = lambda call: video_ends(store, home, seen) if call == 1 else None  # noqa: E731
    before_each(monkeypatch, store, "undo_naming", ends)
    undo_application(Archive(store, home, RULES), "p", revision)
    assert len(store.list_analyses("p")) == 3
    assert {row.model_version for row in revisions(store)} == {store.get_model("p").version}
    assert "Carl" not in {row.owner for row in store.find_appearances("p", AppearanceQuery(), limit=99)}


@pytest.mark.parametrize("method", ["list_strangers", "list_stranger_tracks", "read_strangers", "list_appearances"])
def test_somebody_new_who_is_seen_meanwhile_ends_no_undoing_and_no_correction(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    ends = lambda call: video_ends(store, home, (9, 10), f"v-{call + 3}") if call in (1, 2) else None  # noqa: E731
    before_each(monkeypatch, store, method, ends)
    revision = say(store, home, CorrectionKind.IS, "Carl")
    monkeypatch.undo()
    before_each(monkeypatch, store, method, lambda call: ends(call + 10))
    undo_application(Archive(store, home, RULES), "p", revision)
    assert {row.model_version for row in revisions(store)} == {store.get_model("p").version}


def test_videos_that_end_at_once_get_strangers_one_after_the_other(store: Store, home: Files) -> None:
    ended = [put_video(store, home, f"v-{number}", number, seen=(number, number + 20)) for number in range(20, 32)]
    revision = current_revision(Archive(store, home, RULES), "p")
    with ThreadPoolExecutor(len(ended)) as pool:
        list(pool.map(lambda row: assign(Archive(store, home, RULES), row, revision), ended))
    known, shown = store.read_strangers("p")
    assert len(known) == 2 + 2 * len(ended)
    assert [one.number for one in known] == list(range(1, len(known) + 1))
    assert {row.stranger_id for row in shown} == {one.stranger_id for one in known}


def test_a_stranger_who_is_one_again_has_no_name(store: Store, home: Files) -> None:
    (first, _), _ = store.read_strangers("p")
    name_stranger(Archive(store, home, RULES), "p", "Unknown 1", "Bob")
    for video in ("v-1", "v-2"):
        say(store, home, CorrectionKind.IS_NOT, "Bob", video)
    again = find_stranger(store, "p", "Unknown 1")
    assert again == replace(first, person_id=None)
    assert {row.stranger_id for row in store.list_stranger_tracks("p")} >= {again.stranger_id}
    found = search_people(store, "p", ["Unknown 1"], AppearanceQuery()).hits
    assert {hit.label for hit in found} == {"Unknown 1"}


def test_a_video_that_was_named_by_the_old_model_is_named_by_the_new_one(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(store, home, 7, "Cem")
    version = train(Archive(store, home, RULES), "p", TrainingConfig(promote="no")).version
    row = put_video(store, home, "v-3", 2, seen=(1, 7))

    def promote(number: int) -> None:
        if number == 1:
            monkeypatch.undo()
            identify_archive(Archive(store, home, RULES), "p", model_version=version, apply=True)

    before_each(monkeypatch, store, "assign_revision", promote)
    assert assign_current(Archive(store, home, RULES), row).model_version == version
    assert models_in_use(store) == {version}


# Somebody else says something meanwhile


def who(store: Store) -> set[str | None]:
    return {row.owner for row in store.list_appearances("p", ["a-v-1", "a-v-2"])}


@pytest.mark.parametrize("when", ["add_model", "apply_naming"])
def test_of_two_who_correct_at_once_both_are_heard(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def other(number: int) -> None:
        if number == 1:
            say(store, home, CorrectionKind.IS, "Dee", track=4)

    before_each(monkeypatch, store, when, other)
    revision = say(store, home, CorrectionKind.IS, "Cem")
    assert words(store) == (["is Cem", "is Dee"], ["Cem", "Dee"])
    assert who(store) == {"Ann_Lee", "Bob", "Cem", "Dee"}
    assert models_in_use(store) == {store.get_model("p").version}
    undo_application(Archive(store, home, RULES), "p", revision)
    assert words(store) == (["is Dee"], ["Dee"])
    assert "Cem" not in who(store) >= {"Dee"}


def test_who_expects_a_state_is_told_that_somebody_was_faster_and_nothing_of_it_stays(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")
    state = correct(Archive(store, home, RULES), "p", [statement], preview=True).state
    before_each(
        monkeypatch,
        store,
        "apply_naming",
        lambda n: say(store, home, CorrectionKind.IS, "Dee", track=4) if n == 1 else None,
    )
    with pytest.raises(ConflictError):
        correct(Archive(store, home, RULES), "p", [statement], expected_state=state)
    assert words(store) == (["is Dee"], ["Dee"])
    assert who(store) >= {"Dee"}
    assert "Cem" not in who(store)
    assert sorted(path.name for path in (home.project("p") / "faces").iterdir()) == sorted(
        face.crop for face in store.list_faces("p") if face.crop
    )


@pytest.mark.parametrize("when", ["read", "applied"])
def test_naming_anew_does_not_bring_back_the_model_before_a_correction(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    before_each(
        monkeypatch,
        store,
        "apply_naming" if when == "applied" else "list_appearances",
        lambda n: say(store, home, CorrectionKind.IS, "Cem") if n == 1 else None,
    )
    identify_archive(Archive(store, home, RULES), "p", apply=True)
    assert who(store) >= {"Cem"}
    assert models_in_use(store) == {store.get_model("p").version}


def test_a_correction_does_not_bring_back_what_was_undone_meanwhile(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = say(store, home, CorrectionKind.IS, "Dee", track=4)
    before_each(
        monkeypatch,
        store,
        "apply_naming",
        lambda n: undo_application(Archive(store, home, RULES), "p", revision) if n == 1 else None,
    )
    say(store, home, CorrectionKind.IS, "Cem")
    assert words(store) == (["is Cem"], ["Cem"])
    assert "Dee" not in who(store) >= {"Cem"}


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_correction_is_learned_again_where_a_version_is_promoted_meanwhile(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    enrol(store, home, 5, "Eve")
    version = train(Archive(store, home, RULES), "p", TrainingConfig(promote="no", seed=5)).version
    before = store.get_model("p").version

    def promote(number: int) -> None:
        if number == 1:
            store.promote_model("p", version)
            if not is_kept:
                store.delete_model("p", before)

    before_each(monkeypatch, store, "apply_naming" if is_kept else "list_people", promote)
    revision = say(store, home, CorrectionKind.IS, "Cem")
    assert store.get_model("p").metrics["training"]["seed"] == 5
    undo_application(Archive(store, home, RULES), "p", revision)
    assert store.get_model("p").version == version != before


@pytest.mark.parametrize("is_undone", [True, False])
@pytest.mark.parametrize("times", [1, 3])
def test_a_training_does_not_bring_back_what_was_before_a_word(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch, times: int, is_undone: bool
) -> None:
    words = [(CorrectionKind.IS_NOT, "Ann_Lee", "v-1", 2 + n) for n in range(times)]
    revisions = [say(store, home, *word) for word in words if is_undone]
    enrol(store, home, 5, "Eve")

    def change(number: int) -> None:
        if number > times:
            return
        if is_undone:
            undo_application(Archive(store, home, RULES), "p", revisions.pop())
        else:
            say(store, home, *words.pop())
        enrol(store, home, 10 + number, f"Other{number}")

    before_each(monkeypatch, store, "promote_model", change)
    if times == 3:
        with pytest.raises(ConflictError, match="train again"):
            train(Archive(store, home, RULES), "p")
        reasons = [model.metrics["gate"].get("reason", "") for model in store.list_models("p")]
        assert sum("train again" in reason for reason in reasons) == 3
    else:
        row = train(Archive(store, home, RULES), "p")
        assert store.get_model("p").version == row.version
        assert row.metrics["gate"]["promoted"] is True
    model = load_model(home, "p", store.get_model("p").version)
    assert len(model.corrections.denied_people) == len(store.list_corrections("p")) == (0 if is_undone else times)


def test_a_training_that_knows_faces_of_a_word_that_was_undone_meanwhile_is_refused(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, revision = store.get_model("p").version, say(store, home, CorrectionKind.IS, "Cem")
    enrol(store, home, 5, "Eve")
    before_each(
        monkeypatch, store, "promote_model", lambda _: undo_application(Archive(store, home, RULES), "p", revision)
    )
    with pytest.raises(ConflictError, match="train again"):
        train(Archive(store, home, RULES), "p")
    assert store.get_model("p").version == before


# A mind is changed


def test_a_mind_that_is_changed_back_is_undone_step_by_step(store: Store, home: Files) -> None:
    def state() -> tuple[object, ...]:
        faces = {face.face_id: (face.person_id, face.status, face.reason) for face in store.list_faces("p")}
        return words(store), faces, sorted(path.name for path in (home.project("p") / "faces").iterdir())

    states, revisions = [state()], []
    for person in ("Cem", "Dee", "Cem"):
        revisions.append(say(store, home, CorrectionKind.IS, person))
        states.append(state())
    assert states[3][0] == (["is Cem"], ["Cem"])
    for revision, before in zip(reversed(revisions), reversed(states[:-1]), strict=True):
        undo_application(Archive(store, home, RULES), "p", revision)
        assert state() == before


@pytest.mark.parametrize("kind", [CorrectionKind.IS, CorrectionKind.IS_NOT])
def test_a_track_that_is_somebody_else_gives_its_faces_to_nobody_else(
    store: Store, home: Files, kind: CorrectionKind
) -> None:
    say(store, home, CorrectionKind.IS, "Ann_Lee")
    before = {face.face_id: (face.status, face.reason) for face in store.list_faces("p")}
    assert words(store) == (["is Ann_Lee"], ["Ann_Lee"])
    statement = TrackCorrection("v-1", 3, kind, "Cem" if kind is CorrectionKind.IS else "Ann_Lee")
    preview = correct(Archive(store, home, RULES), "p", [statement], preview=True)
    assert words(store) == (["is Ann_Lee"], ["Ann_Lee"])
    change = correct(Archive(store, home, RULES), "p", [statement], expected_state=preview.state)
    assert change.revision == preview.revision
    assert words(store)[1] == (["Cem"] if kind is CorrectionKind.IS else [])
    undo_application(Archive(store, home, RULES), "p", change.revision)
    assert {face.face_id: (face.status, face.reason) for face in store.list_faces("p")} == before
    say(store, home, kind, statement.person_id)
    say(store, home, CorrectionKind.IS, "Ann_Lee")
    assert words(store) == (["is Ann_Lee"], ["Ann_Lee"])


def test_of_two_words_on_one_track_the_last_enrols(store: Store, home: Files) -> None:
    both = [TrackCorrection("v-1", 3, CorrectionKind.IS, who) for who in ("Ann_Lee", "Cem")]
    correct(Archive(store, home, RULES), "p", both)
    assert words(store) == (["is Cem"], ["Cem"])


def test_the_same_word_twice_is_one_word(store: Store, home: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    namings: list[Naming] = []
    apply = store.apply_naming

    def look(project: str, naming: Naming, application: Application) -> None:
        namings.append(naming)
        apply(project, naming, application)

    monkeypatch.setattr(store, "apply_naming", look)
    said = [TrackCorrection("v-1", 3, CorrectionKind.IS, who) for who in ("Cem", "Ann_Lee", "Cem", " Cem", "Cem")]
    change = correct(Archive(store, home, RULES), "p", said)
    assert words(store) == (["is Cem"], ["Cem"])
    (naming,) = namings
    assert naming.edit is not None
    assert [row.person_id for row in naming.edit.corrections] == ["Ann_Lee", "Cem"]
    assert len({face.face_id for face in naming.edit.faces}) == len(naming.edit.faces) == 2
    undo_application(Archive(store, home, RULES), "p", change.revision)
    assert words(store) == ([], [])


def test_a_stranger_without_tracks_cannot_be_named_again(store: Store, home: Files) -> None:
    name_stranger(Archive(store, home, RULES), "p", "Unknown 1", "Dee")
    with pytest.raises(ConflictError, match="no track is Unknown 1, but Dee"):
        name_stranger(Archive(store, home, RULES), "p", "Unknown 1", "Eve")


def test_a_preview_of_one_name_allows_no_other(store: Store, home: Files) -> None:
    preview = name_stranger(Archive(store, home, RULES), "p", "Unknown 1", "Ann_Lee", preview=True)
    with pytest.raises(ConflictError, match="preview again"):
        name_stranger(Archive(store, home, RULES), "p", "Unknown 1", "Bob", expected_state=preview.state)


def test_undoing_the_first_word_leaves_no_model(tmp_path: Path) -> None:
    home = Files(tmp_path / "empty")
    with closing(open_store(home.root)) as store:
        store.create_project("p")
        store.fix_embedder("p", EMBEDDER)
        put_video(store, home, "v-1", 0)
        revision = say(store, home, CorrectionKind.IS, "Cem")
        video_ends(store, home, (1, 9))
        undo_application(Archive(store, home, RULES), "p", revision)
        assert words(store) == ([], [])
        assert models_in_use(store) == set()
        with pytest.raises(ModelNotFoundError):
            store.get_model("p")


def test_corrections_learn_as_the_promoted_version_did(store: Store, home: Files) -> None:
    train(Archive(store, home, RULES), "p", TrainingConfig(promote="yes", use_seen_strangers=True, seed=5))
    identify_archive(Archive(store, home, RULES), "p", apply=True)
    say(store, home, CorrectionKind.IS_NOT, "Ann_Lee", track=1)
    metrics = store.get_model("p").metrics
    assert metrics["training"] == {"classifier": "prototype", "seed": 5, "use_seen_strangers": True}
    assert "seen in the project's videos" in metrics["cohort"]


# Previews


@pytest.mark.parametrize("what", ["correction", "promotion", "strangers", "video"])
def test_a_state_changes_with_everything_that_naming_depends_on(store: Store, home: Files, what: str) -> None:
    enrol(store, home, 7, "Cem")
    version = train(Archive(store, home, RULES), "p", TrainingConfig(promote="no")).version
    revision = current_revision(Archive(store, home, RULES), "p")
    before = archive.state_of(store, "p", revision)
    if what == "correction":
        statement = TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")
        said = correct(Archive(store, home, RULES), "p", [statement], preview=True)
        assert said.state != before
        assert archive.state_of(store, "p", revision) == before
        store.put_corrections("p", _corrections(store, home))
    elif what == "promotion":
        store.promote_model("p", version)
    elif what == "strangers":
        rows = store.list_stranger_tracks("p")
        store.put_strangers("p", [], rows[:1], [rows[0].analysis_id], known=len(store.list_strangers("p")))
    else:
        put_video(store, home, "v-3", 2, seen=(1,))
    assert archive.state_of(store, "p", revision) != before


def _corrections(store: Store, home: Files) -> list:  # type: ignore[type-arg]
    revision = say(store, home, CorrectionKind.IS_NOT, "Ann_Lee", track=2)
    rows = store.list_corrections("p")
    undo_application(Archive(store, home, RULES), "p", revision)
    return rows


# Forgetting


def test_forgetting_reaches_a_video_that_ends_meanwhile(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_each(monkeypatch, store, "apply_naming", lambda n: video_ends(store, home, (1, 9)) if n == 1 else None)
    receipt = forget(Archive(store, home, RULES), "p", "Ann_Lee")
    tracks = store.get_tracks("p", ["a-v-3"])["a-v-3"]
    assert [len(track.embedded) for track in tracks] == [0, 2]
    assert not list(home.analysis("p", "a-v-3").glob("1-*.jpg"))
    assert (receipt.tracks, receipt.videos) == (3, 3)


@pytest.mark.parametrize(
    "when", ["before the store knows the version", "while it is measured", "before it is promoted"]
)
def test_a_training_that_knows_somebody_who_was_forgotten_meanwhile_leaves_nothing(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    enrol(store, home, 7, "Cem")

    def forget_ann(number: int) -> None:
        if number == 1:
            forget(Archive(store, home, RULES), "p", "Ann_Lee")

    def measure(*_: object) -> None:
        if when == "while it is measured" and store.list_faces("p", person_id="Ann_Lee"):
            forget_ann(1)

    if when == "before the store knows the version":
        before_each(monkeypatch, store, "add_model", forget_ann)
    elif when == "before it is promoted":
        before_each(monkeypatch, store, "add_model", lambda number: forget_ann(number - 1))
    with pytest.raises(ConflictError, match="train again"):
        train(Archive(store, home, RULES), "p", evaluate=measure)
    (left,) = store.list_models("p")
    assert store.get_model("p").version == left.version
    assert left.people == 2
    assert [path.name for path in home.model("p", left.version).parent.iterdir()] == [left.version]
    assert {person.person_id for person in store.list_people("p")} == {"Bob", "Cem"}


def test_a_video_that_is_drawn_while_somebody_is_forgotten_does_not_appear(store: Store, home: Files) -> None:
    folder = home.analysis("p", "a-v-1")

    def draw() -> None:
        with VideoWriter(folder / "annotated-r-1.mp4", 25, 64, 48) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8))
            forget(Archive(store, home, RULES), "p", "Bob")

    with pytest.raises(ConflictError, match="removed while it was written"):
        draw()
    assert [path.name for path in folder.iterdir() if "annotated" in path.name] == []


def crawl_of(store: Store, person_id: str) -> str:
    spec = {
        "person_id": person_id,
        "source": f"site:https://{person_id}.example",
        "max_num": 5,
        "discard_multi_face": False,
    }
    return jobs.submit(store, "p", "crawl", spec, max_queued=9).job_id


def test_forgetting_ends_crawls_and_takes_the_name_out_of_them(store: Store, home: Files) -> None:
    failed = crawl_of(store, "Ann_Lee")
    claimed = leases.claim(store, ["crawl"], "runner", 60)
    assert claimed is not None
    leases.finish(store, claimed, JobState.FAILED, error="nothing of 'Ann Lee'")
    left = crawl_of(store, "Ann_Lee")
    assert leases.claim(store, ["crawl"], "runner", -1) is not None
    waiting, other = crawl_of(store, "Ann_Lee"), crawl_of(store, "Bob")
    forget(Archive(store, home, RULES), "p", "Ann_Lee")
    for job_id in (failed, left, waiting):
        job = store.get_job(job_id)
        assert "Ann" not in repr(job)
        assert job.spec["person_id"] is None
    assert store.get_job(waiting).state is JobState.CANCELLED
    assert leases.claim(store, ["crawl"], "runner", 60).job.job_id == other  # type: ignore[union-attr]
    assert store.get_job(left).state is JobState.CANCELLED
    for file in home.root.glob("facerec.sqlite3*"):
        assert b"Ann_Lee" not in file.read_bytes()
    again = leases.retry(store, failed)
    with pytest.raises(InputError, match="was forgotten"):
        crawl_person(Archive(store, home), Settings(home=home.root), None, again, None)  # type: ignore[arg-type]


def test_a_crawl_that_is_at_work_is_waited_for_and_forgotten_with_what_it_enrolled(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = crawl_of(store, "Cem")
    claimed = leases.claim(store, ["crawl"], "runner", 60)
    assert claimed is not None
    monkeypatch.setattr(forgetting, "_PATIENCE_S", 0.3)
    home.pictures("p", "Cem").mkdir(parents=True)
    with pytest.raises(ConflictError, match=f"job {job_id}: try again"):
        forget(Archive(store, home, RULES), "p", "Cem")
    assert home.pictures("p", "Cem").is_dir()
    assert store.get_job(job_id).cancel_requested
    monkeypatch.undo()

    def end() -> None:
        enrol(store, home, 5, "Cem")
        leases.finish(store, claimed, JobState.SUCCEEDED)

    timer = Timer(0.3, end)
    timer.start()
    assert forget(Archive(store, home, RULES), "p", "Cem").faces == 3
    timer.join()
    assert store.list_faces("p", person_id="Cem") == []
    assert not home.pictures("p", "Cem").exists()


def test_somebody_whose_pictures_were_only_collected_is_forgotten(store: Store, home: Files) -> None:
    write_atomically(home.pictures("p", "Cem") / "1.jpg", b"jpeg")
    assert forget(Archive(store, home, RULES), "p", "Cem").pictures == 1
    with pytest.raises(PersonNotFoundError):
        forget(Archive(store, home, RULES), "p", "Cem")


def test_forgetting_that_others_interrupt_can_be_repeated(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_each(monkeypatch, store, "apply_naming", lambda n: video_ends(store, home, (20 + n,), f"v-{10 + n}"))
    with pytest.raises(ConflictError):
        forget(Archive(store, home, RULES), "p", "Ann_Lee")
    monkeypatch.undo()
    receipt = forget(Archive(store, home, RULES), "p", "Ann_Lee")
    assert len(receipt.models) >= 1
    assert "Ann_Lee" not in {row.owner for row in store.list_appearances("p", ["a-v-1", "a-v-2"])}
    with pytest.raises(PersonNotFoundError):
        forget(Archive(store, home, RULES), "p", "Ann_Lee")


def test_forgetting_while_somebody_reads_is_ended_by_the_next_try(store: Store, home: Files) -> None:
    path = home.root / "facerec.sqlite3"
    with closing(SqliteStore(path, busy_timeout_s=0.5)) as impatient, closing(sqlite3.connect(path)) as reader:
        reader.isolation_level = None
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM faces").fetchone()
        with pytest.raises(StoreError, match="try again"):
            forget(Archive(impatient, home, RULES), "p", "Ann_Lee")
        reader.execute("COMMIT")
        with pytest.raises(PersonNotFoundError):
            forget(Archive(impatient, home, RULES), "p", "Ann_Lee")
    for file in home.root.glob("facerec.sqlite3*"):
        assert b"Ann_Lee" not in file.read_bytes()
