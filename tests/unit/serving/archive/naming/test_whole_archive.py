"""The archive is named again: a preview says what an application does, and undoing brings back what was."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from facerec_models.config import TrainingConfig
from facerec_models.errors import ConflictError, ModelNotFoundError
from serving.archive.files import Files
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.one_video import assign, assign_current, current_revision, revision_of, stored_result
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.undo import undo_application
from serving.archive.naming.whole_archive import identify_archive
from serving.store import Store, open_store
from serving.store.naming_rows import CorrectionKind
from tests.archive import PEOPLE, RULES, enrol, put_video
from tests.builders import EMBEDDER


def everything(store: Store, home: Files) -> dict[str, Any]:
    """Return all that naming may change: results, search, strangers, what was said, who is enrolled, what is promoted."""
    analyses = store.list_analyses("p")
    results = [
        stored_result(Archive(store, home, RULES), "p", row.video_id, lambda *_: "").model_dump(exclude={"timing"})
        for row in analyses
        if row.revision
    ]
    rows = store.list_stranger_tracks("p")
    shown = {row.stranger_id for row in rows}
    return {
        "results": json.loads(json.dumps(results), parse_float=lambda text: round(float(text), 5)),
        "appearances": store.list_appearances("p", [row.analysis_id for row in analyses]),
        "revisions": {row.analysis_id: row.revision for row in analyses},
        # One that an application made keeps its number when that is undone, and is seen nowhere.
        "strangers": [row for row in store.list_strangers("p") if row.stranger_id in shown],
        "tracks": [(row.analysis_id, row.track_id, row.stranger_id) for row in rows],
        "corrections": [(row.correction_id, row.embedding.tobytes()) for row in store.list_corrections("p")],
        "faces": [face.face_id for face in store.list_faces("p")],
        "crops": sorted(path.name for path in (home.project("p") / "faces").iterdir()),
        "promoted": store.get_model("p").version,
    }


def tighter(store: Store, home: Files, **how: Any) -> IdentificationChange:
    return identify_archive(Archive(store, home, RULES), "p", max_false_names=1e-9, **how)


def promotion(store: Store, home: Files, **how: Any) -> IdentificationChange:
    enrol(store, home, 7, "Cem")
    version = train(Archive(store, home, RULES), "p", _config("no")).version
    return identify_archive(Archive(store, home, RULES), "p", model_version=version, **how)


def _config(promote: str) -> Any:
    from facerec_models.config import TrainingConfig

    return TrainingConfig.model_validate({"promote": promote})


def learned(call: Callable[..., IdentificationChange], *said: Any) -> Callable[..., IdentificationChange]:
    def change(store: Store, home: Files, *, apply: bool, expected_state: str | None = None) -> IdentificationChange:
        return call(Archive(store, home, RULES), "p", *said, preview=not apply, expected_state=expected_state)

    return change


CHANGES = {
    "accepted error": tighter,
    "promotion": promotion,
    "is": learned(correct, [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem Tan")]),
    "is not": learned(correct, [TrackCorrection("v-1", 1, CorrectionKind.IS_NOT, "Ann_Lee")]),
    "is not a stranger": learned(
        lambda store, home, project, *rest, **how: correct(
            store, home, project, [TrackCorrection("v-2", 3, CorrectionKind.IS_NOT, stranger_of(store))], *rest, **how
        )
    ),
    "name": learned(name_stranger, "Unknown 2", "Dee"),
}


def stranger_of(store: Store) -> str:
    return store.list_strangers("p")[0].stranger_id


@pytest.mark.parametrize("name", CHANGES)
def test_a_preview_says_what_is_applied_and_undoing_brings_back_what_was(store: Store, home: Files, name: str) -> None:
    change = CHANGES[name]
    if name == "promotion":
        enrol(store, home, 7, "Cem")
    before = everything(store, home)
    models = len(store.list_models("p"))
    preview = change(store, home, apply=False)
    assert not preview.applied
    assert everything(store, home) == before
    if name != "promotion":
        assert len(store.list_models("p")) == models
    applied = change(store, home, apply=True, expected_state=preview.state)
    assert applied.applied
    expected = {**preview.to_dict(), "applied": True, "application": 2}
    assert applied.to_dict() == expected
    after = everything(store, home)
    assert after["appearances"] != before["appearances"]
    assert_counted(preview, before, after)
    undone = undo_application(Archive(store, home, RULES), "p", applied.revision)
    assert (undone.videos, undone.note) == (2, "")
    assert everything(store, home) == before
    assert [row.undone_at is None for row in store.list_applications("p")] == [True, False]
    # It can be done once more, and is the same.
    change(store, home, apply=True, expected_state=preview.state)
    again = everything(store, home)
    assert again["appearances"] == after["appearances"]
    assert again["faces"] == after["faces"]


def assert_counted(change: IdentificationChange, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Compare the counts with a count of the stored appearances themselves."""
    for person in ("Ann_Lee", "Bob", "Cem", "Cem_Tan", "Dee"):
        was, is_now = (
            {(row.analysis_id, row.track_ids) for row in rows["appearances"] if row.owner == person}
            for rows in (before, after)
        )
        assert change.appearances_added[person] == len(is_now - was), person
        assert change.appearances_removed[person] == len(was - is_now), person
        for example in change.examples.get(person, []):
            assert (example.analysis_id, example.track_ids) in was ^ is_now


def test_examples_show_who_it_was_and_is(store: Store, home: Files) -> None:
    change = name_stranger(Archive(store, home, RULES), "p", "Unknown 2", "Dee", preview=True)
    assert change.people == ["Dee"]
    first, second = change.examples["Dee"]
    assert {first.video, second.video} == {"v-1.mp4", "v-2.mp4"}
    assert (first.before, first.after, first.track_ids) == ("Unknown 2", "Dee", (4,))
    lost = tighter(store, home, apply=False).examples["Bob"][0]
    assert (lost.before, lost.after) == ("Bob", "Unknown 4")


def test_each_application_is_listed_and_the_last_one_is_undone_first(store: Store, home: Files) -> None:
    first = tighter(store, home, apply=True)
    second = name_stranger(Archive(store, home, RULES), "p", "Unknown 2", "Dee")
    rows = store.list_applications("p")
    assert [(row.number, row.cause, row.note) for row in rows] == [
        (1, "identify", ""),
        (2, "identify", ""),
        (3, "stranger", "Unknown 2 is Dee"),
    ]
    with pytest.raises(ConflictError, match=f"undo {second.revision} first"):
        undo_application(Archive(store, home, RULES), "p", first.revision)
    undo_application(Archive(store, home, RULES), "p", second.revision)
    undo_application(Archive(store, home, RULES), "p", first.revision)
    with pytest.raises(ConflictError, match="undone already"):
        undo_application(Archive(store, home, RULES), "p", first.revision)
    with pytest.raises(ModelNotFoundError, match="'r-none'"):
        undo_application(Archive(store, home, RULES), "p", "r-none")
    undo_application(Archive(store, home, RULES), "p", rows[0].revision)
    assert {row.revision for row in store.list_analyses("p")} == {None}
    assert store.list_appearances("p", ["a-v-1", "a-v-2"]) == []


@pytest.mark.parametrize(
    "meddle",
    [
        lambda store, home: tighter(store, home, apply=True),
        lambda store, home: correct(
            Archive(store, home, RULES), "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Bob")]
        ),
        lambda store, home: put_video(store, home, "v-3", 3),
        lambda store, home: store.delete_video("p", "v-2"),
    ],
)
def test_an_application_can_insist_on_the_archive_of_its_preview(
    store: Store, home: Files, meddle: Callable[[Store, Files], object]
) -> None:
    state = name_stranger(Archive(store, home, RULES), "p", "Unknown 2", "Dee", preview=True).state
    assert name_stranger(Archive(store, home, RULES), "p", "Unknown 2", "Dee", preview=True).state == state
    other = identify_archive(Archive(store, home, RULES), "p", max_false_names=0.4, apply=False).state
    meddle(store, home)
    before = everything(store, home)
    with pytest.raises(ConflictError, match="preview again"):
        name_stranger(Archive(store, home, RULES), "p", "Unknown 2", "Dee", expected_state=state)
    with pytest.raises(ConflictError, match="preview again"):
        identify_archive(Archive(store, home, RULES), "p", max_false_names=0.4, apply=True, expected_state=other)
    assert everything(store, home) == before


def test_what_an_enrolment_led_to_is_undone_with_the_version_that_it_made(store: Store, home: Files) -> None:
    old = store.get_model("p").version
    enrol(store, home, 7, "Cem")
    new = train(Archive(store, home, RULES), "p", _config("yes")).version
    assert store.get_model("p").version == new
    applied = identify_archive(Archive(store, home, RULES), "p", apply=True)
    assert applied.appearances_added == {"Cem": 2}
    undone = undo_application(Archive(store, home, RULES), "p", applied.revision)
    assert (undone.promoted, undone.note) == (old, "")
    assert store.get_model("p").version == old
    assert "Cem" not in {row.owner for row in store.list_appearances("p", ["a-v-1"])}
    with pytest.raises(ModelNotFoundError):  # the promotion was taken back, not added
        store.former_model("p")


def test_a_version_that_was_promoted_since_stays_and_is_told_of(store: Store, home: Files) -> None:
    old = store.get_model("p").version
    applied = identify_archive(Archive(store, home, RULES), "p", max_false_names=0.3, apply=True)
    enrol(store, home, 7, "Cem")
    new = train(Archive(store, home, RULES), "p", _config("yes")).version
    undone = undo_application(Archive(store, home, RULES), "p", applied.revision)
    assert undone.promoted == store.get_model("p").version == new
    assert f"named by {old} again, but {new} is promoted" in undone.note


def test_rolling_back_is_previewed_applied_and_undone(store: Store, home: Files) -> None:
    old = store.get_model("p").version
    enrol(store, home, 7, "Cem")
    new = train(Archive(store, home, RULES), "p", _config("no")).version
    identify_archive(Archive(store, home, RULES), "p", model_version=new, apply=True)
    before = everything(store, home)
    preview = identify_archive(Archive(store, home, RULES), "p", goes_back=True, apply=False)
    assert preview.appearances_removed == {"Cem": 2}
    assert everything(store, home) == before
    back = identify_archive(Archive(store, home, RULES), "p", goes_back=True, apply=True, expected_state=preview.state)
    assert (back.people, store.get_model("p").version) == (preview.people, old)
    assert [row.cause for row in store.list_applications("p")] == ["identify", "promotion", "rollback"]
    with pytest.raises(ModelNotFoundError, match="before"):
        identify_archive(Archive(store, home, RULES), "p", goes_back=True, apply=False)
    undo_application(Archive(store, home, RULES), "p", back.revision)
    assert everything(store, home) == before


def test_videos_that_came_since_follow_when_their_model_is_undone(store: Store, home: Files) -> None:
    before = store.list_appearances("p", ["a-v-1"])
    applied = name_stranger(Archive(store, home, RULES), "p", "Unknown 2", "Dee")
    row = put_video(store, home, "v-3", 3)
    assign(Archive(store, home, RULES), row, current_revision(Archive(store, home, RULES), "p"))
    assert [one.owner for one in store.list_appearances("p", ["a-v-3"])][3] == "Dee"
    undo_application(Archive(store, home, RULES), "p", applied.revision)
    since = store.list_appearances("p", ["a-v-3"])
    assert [one.owner for one in since] == [one.owner for one in before]
    result = stored_result(Archive(store, home, RULES), "p", "v-3", lambda *_: "")
    assert [appearance.stranger for appearance in result.appearances][2:] == [one.owner for one in since][2:]


def test_an_application_is_undone_in_a_video_that_has_another_accepted_error_by_now(store: Store, home: Files) -> None:
    before = store.list_corrections("p")
    shown = [(row.video_id, row.owner) for row in store.list_appearances("p", ["a-v-1", "a-v-2"])]
    former = store.get_model("p").version
    applied = correct(Archive(store, home, RULES), "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")])
    row = store.latest_analysis("p", "v-1")
    revision = assign_current(Archive(store, home, RULES), row, 0.06)
    assert revision.max_false_names == 0.06
    undone = undo_application(Archive(store, home, RULES), "p", applied.revision)
    assert undone.videos == 2
    assert store.list_corrections("p") == before
    assert store.get_model("p").version == former
    assert [(row.video_id, row.owner) for row in store.list_appearances("p", ["a-v-1", "a-v-2"])] == shown
    now = store.get_revision("p", store.get_analysis("p", "a-v-1").revision or "")
    assert (now.model_version, now.max_false_names) == (former, 0.06)


def test_an_application_is_undone_beside_a_video_that_another_model_names_by_now(store: Store, home: Files) -> None:
    applied = correct(Archive(store, home, RULES), "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")])
    other = train(Archive(store, home, RULES), "p", config=TrainingConfig(classifier="knn")).version
    revision = revision_of("p", other, RULES)
    store.put_revision(revision)
    assign(Archive(store, home, RULES), store.get_analysis("p", "a-v-1"), revision)
    rows = store.list_appearances("p", ["a-v-1"])
    undone = undo_application(Archive(store, home, RULES), "p", applied.revision)
    assert undone.videos == 1
    assert store.list_appearances("p", ["a-v-1"]) == rows


def test_an_application_to_videos_that_nothing_named_before_is_undone(tmp_path: Path) -> None:
    home = Files(tmp_path / "empty")
    with closing(open_store(home.root)) as store:
        store.create_project("p")
        store.fix_embedder("p", EMBEDDER)
        put_video(store, home, "v-1", 0)
        for who, person_id in PEOPLE.items():
            enrol(store, home, who, person_id)
        train(Archive(store, home, RULES), "p")
        applied = identify_archive(Archive(store, home, RULES), "p", apply=True)
        assign(
            Archive(store, home, RULES),
            put_video(store, home, "v-2", 1),
            current_revision(Archive(store, home, RULES), "p"),
        )
        shown = [row.analysis_id for row in store.list_stranger_tracks("p")]
        assert undo_application(Archive(store, home, RULES), "p", applied.revision).videos == 1
        assert {row.analysis_id: row.revision for row in store.list_analyses("p")}["a-v-1"] is None
        assert shown.count("a-v-2") == [row.analysis_id for row in store.list_stranger_tracks("p")].count("a-v-2") == 2


def test_forgetting_somebody_seals_what_was_before(store: Store, home: Files) -> None:
    applied = name_stranger(Archive(store, home, RULES), "p", "Unknown 2", "Dee")
    forget(Archive(store, home, RULES), "p", "Dee")
    assert all(row.undo is None and "Dee" not in str(asdict(row)) for row in store.list_applications("p"))
    last = store.list_applications("p")[-1]
    with pytest.raises(ConflictError, match="forgotten since"):
        undo_application(Archive(store, home, RULES), "p", last.revision)
    with pytest.raises(ConflictError):
        undo_application(Archive(store, home, RULES), "p", applied.revision)
    rows = store.list_appearances("p", ["a-v-1", "a-v-2"])
    assert "Dee" not in {row.owner for row in rows}


def test_appearances_are_those_of_results(store: Store, home: Files) -> None:
    for row in store.list_analyses("p"):
        found = stored_result(Archive(store, home, RULES), "p", row.video_id, lambda *_: "").appearances
        rows = store.list_appearances("p", [row.analysis_id])
        assert [(one.owner, one.start_s, one.end_s, list(one.track_ids)) for one in rows] == [
            (one.person_id or one.stranger, one.start_s, one.end_s, one.track_ids) for one in found
        ]
        assert [one.probability for one in rows] == pytest.approx([one.probability for one in found], abs=1e-5)
        assert [one.false_name_rate for one in rows] == pytest.approx([one.false_name_rate for one in found], rel=1e-3)


def test_each_video_counts_by_its_latest_analysis(store: Store, home: Files) -> None:
    older = replace(store.get_analysis("p", "a-v-1"), analysis_id="a-older", created_at=-1.0, revision=None)
    store.put_analysis(older, store.get_tracks("p", ["a-v-1"])["a-v-1"])
    change = tighter(store, home, apply=False)
    assert (change.videos, change.tracks, change.added, change.removed["Bob"]) == (2, 8, {}, 2)
