"""The archive is named again: a preview says what an application does, and undoing brings back what was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from facerec_models.config import TrainingConfig
from facerec_models.errors import ConflictError, ModelNotFoundError
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.current import read_current, revision_of
from serving.archive.naming.figures import ScoreFigures
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current, stored_result
from serving.archive.naming.preview import Example, IdentificationChange, Perhaps
from serving.archive.naming.undo import undo_edit
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind, NamingChange
from tests.archive import RULES, enrol, put_tracks, put_video
from tests.builders import face_of, make_track
from tests.unit.serving.archive.edits import add_named_video, labels_in, result_in


def everything(archive: Archive) -> dict[str, Any]:
    """Return all that naming may change: results, search, strangers, corrections, who is enrolled, what is promoted."""
    analyses = archive.store.list_analyses("p")
    results = [
        stored_result(archive, "p", row.video_id, lambda *_: "").model_dump(exclude={"timing"}) for row in analyses
    ]
    rows = archive.store.list_stranger_tracks("p")
    shown = {row.stranger_id for row in rows}
    return {
        "results": json.loads(json.dumps(results), parse_float=lambda text: round(float(text), 5)),
        "appearances": archive.store.list_appearances("p", [row.analysis_id for row in analyses]),
        "named": {
            row.analysis_id: (row.names, row.owners.tolist(), row.max_false_names)
            for row in archive.store.list_named("p")
        },
        # One that an application made keeps its number when that is undone, and is seen nowhere.
        "strangers": [row for row in archive.store.list_strangers("p") if row.stranger_id in shown],
        "tracks": [(row.analysis_id, row.track_id, row.stranger_id) for row in rows],
        "corrections": [(row.correction_id, row.embedding.tobytes()) for row in archive.store.list_corrections("p")],
        "faces": [face.face_id for face in archive.store.list_faces("p")],
        "crops": sorted(path.name for path in (archive.files.project("p") / "faces").iterdir()),
        "promoted": archive.store.get_model("p").version,
    }


def tighter(archive: Archive, **how: Any) -> IdentificationChange:
    return identify_archive(archive, "p", max_false_names=1e-9, **how)


def promotion(archive: Archive, **how: Any) -> IdentificationChange:
    version = train(archive, "p", TrainingConfig(promote="no")).version
    return identify_archive(archive, "p", model_version=version, **how)


def edit(function: Callable[..., IdentificationChange], *what: Any) -> Callable[..., IdentificationChange]:
    def change(archive: Archive, **how: Any) -> IdentificationChange:
        return function(archive, "p", *what, **how)

    return change


CHANGES = {
    "accepted error": tighter,
    "promotion": promotion,
    "is": edit(correct, [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem Tan")]),
    "is not": edit(correct, [TrackCorrection("v-1", 1, CorrectionKind.IS_NOT, "Ann_Lee")]),
    "is not a stranger": edit(
        lambda archive, project, **how: correct(
            archive, project, [TrackCorrection("v-2", 3, CorrectionKind.IS_NOT, first_stranger(archive))], **how
        )
    ),
    "name": edit(name_stranger, "Unknown 2", "Dee"),
}


def first_stranger(archive: Archive) -> str:
    return archive.store.list_strangers("p")[0].stranger_id


@pytest.mark.parametrize("name", CHANGES)
def test_an_edit_is_as_previewed_and_undo_restores_the_archive(archive: Archive, store: Store, name: str) -> None:
    change = CHANGES[name]
    if name == "promotion":
        enrol(archive, 7, "Cem")
    before = everything(archive)
    models = len(store.list_models("p"))
    preview = change(archive, preview=True)
    assert not preview.applied
    assert everything(archive) == before
    if name != "promotion":
        assert len(store.list_models("p")) == models
    applied = change(archive, expected=preview.version)
    assert applied.applied
    expected = {**preview.to_dict(), "applied": True, "edit": 2}
    assert applied.to_dict() == expected
    after = everything(archive)
    assert after["appearances"] != before["appearances"]
    assert_counted(preview, before, after)
    shown = undo_edit(archive, "p", applied.edit, preview=True)
    assert (shown.applied, shown.appearances_added) == (False, applied.appearances_removed)
    assert everything(archive) == after
    undone = undo_edit(archive, "p", applied.edit, expected=shown.version)
    assert (undone.added, undone.removed) == (applied.removed, applied.added)
    assert everything(archive) == before
    assert [row.undone_at is None for row in store.list_edits("p")] == [True, False]
    # It can be done once more, and is the same.
    change(archive)
    again = everything(archive)
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


def test_examples_show_the_label_before_and_after(archive: Archive) -> None:
    change = name_stranger(archive, "p", "Unknown 2", "Dee", preview=True)
    assert change.people == ["Dee"]
    first, second = change.examples["Dee"]
    assert {first.video, second.video} == {"v-1.mp4", "v-2.mp4"}
    assert (first.before, first.after, first.track_ids) == ("Unknown 2", "Dee", (4,))
    lost = tighter(archive, preview=True).examples["Bob"][0]
    assert (lost.before, lost.after) == ("Bob", "Unknown 4")


def test_examples_are_as_sure_as_results_are_before_and_after(archive: Archive) -> None:
    face = face_of(2, 40, similarity=0.86)
    assign_current(
        archive, put_tracks(archive, "v-3", 3, [make_track(1, [3.0, 4.0], embeddings=np.stack([face, face]))])
    )
    (shown,) = result_in(archive, "v-3").appearances
    assert shown.label == "Bob"
    assert shown.probability < 0.999
    for change in (tighter(archive), undo_edit(archive, "p")):
        (example,) = (one for one in change.examples["Bob"] if one.video_id == "v-3")
        assert example.probability == pytest.approx(shown.probability, abs=1e-6)


def test_edits_are_listed_and_undone_last_first(archive: Archive, store: Store) -> None:
    first = tighter(archive)
    second = name_stranger(archive, "p", "Unknown 2", "Dee")
    rows = store.list_edits("p")
    assert [(row.number, row.cause, row.note) for row in rows] == [
        (1, "training", ""),
        (2, "identify", ""),
        (3, "stranger", "Unknown 2 is Dee"),
    ]
    with pytest.raises(ConflictError, match=f"undo {second.edit} first"):
        undo_edit(archive, "p", first.edit)
    undo_edit(archive, "p", second.edit)
    undo_edit(archive, "p")
    with pytest.raises(ConflictError, match="edit 2 was undone already"):
        undo_edit(archive, "p", first.edit)
    with pytest.raises(ModelNotFoundError, match="no edit 9"):
        undo_edit(archive, "p", 9)
    undo_edit(archive, "p")
    with pytest.raises(ConflictError, match="all edits were undone"):
        undo_edit(archive, "p")
    assert store.list_named("p") == []
    assert store.list_appearances("p", ["a-v-1", "a-v-2"]) == []


@pytest.mark.parametrize(
    "meddle",
    [
        lambda archive: tighter(archive),
        lambda archive: correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Bob")]),
        lambda archive: add_named_video(archive, (1, 9)),
        lambda archive: archive.store.delete_video("p", "v-2"),
    ],
)
def test_an_edit_is_refused_when_the_archive_changed_since_its_preview(
    archive: Archive, meddle: Callable[[Archive], object]
) -> None:
    version = name_stranger(archive, "p", "Unknown 2", "Dee", preview=True).version
    assert identify_archive(archive, "p", max_false_names=0.4, preview=True).version == version
    meddle(archive)
    before = everything(archive)
    with pytest.raises(ConflictError, match="preview again"):
        name_stranger(archive, "p", "Unknown 2", "Dee", expected=version)
    with pytest.raises(ConflictError, match="preview again"):
        identify_archive(archive, "p", max_false_names=0.4, expected=version)
    assert everything(archive) == before


def test_a_training_names_the_archive_and_is_undone_like_any_edit(archive: Archive, store: Store) -> None:
    old = store.get_model("p").version
    enrol(archive, 7, "Cem")
    before = everything(archive)
    new = train(archive, "p", TrainingConfig(promote="yes")).version
    assert store.get_model("p").version == new
    assert [one.owner for one in store.list_appearances("p", ["a-v-1"])][2] == "Cem"
    undo_edit(archive, "p")
    assert store.get_model("p").version == old
    assert everything(archive) == before
    with pytest.raises(ModelNotFoundError):  # the promotion was taken back, not added
        store.former_model("p")


def test_rolling_back_is_previewed_applied_and_undone(archive: Archive, store: Store) -> None:
    old = store.get_model("p").version
    enrol(archive, 7, "Cem")
    new = train(archive, "p", TrainingConfig(promote="no")).version
    identify_archive(archive, "p", model_version=new)
    before = everything(archive)
    preview = identify_archive(archive, "p", goes_back=True, preview=True)
    assert preview.appearances_removed == {"Cem": 2}
    assert everything(archive) == before
    back = identify_archive(archive, "p", goes_back=True, expected=preview.version)
    assert (back.people, store.get_model("p").version) == (preview.people, old)
    assert [row.cause for row in store.list_edits("p")] == ["training", "promotion", "rollback"]
    with pytest.raises(ModelNotFoundError, match="before"):
        identify_archive(archive, "p", goes_back=True, preview=True)
    undo_edit(archive, "p", back.edit)
    assert everything(archive) == before


def test_undoing_a_model_renames_videos_added_since(archive: Archive, store: Store) -> None:
    before = store.list_appearances("p", ["a-v-1"])
    name_stranger(archive, "p", "Unknown 2", "Dee")
    assign_current(archive, put_video(archive, "v-3", 3))
    assert [one.owner for one in store.list_appearances("p", ["a-v-3"])][3] == "Dee"
    undo_edit(archive, "p")
    since = store.list_appearances("p", ["a-v-3"])
    assert [one.owner for one in since] == [one.owner for one in before]
    result = stored_result(archive, "p", "v-3", lambda *_: "")
    assert [appearance.stranger for appearance in result.appearances][2:] == [one.owner for one in since][2:]


def test_strangers_of_whom_no_track_is_left_are_not_known_again(archive: Archive) -> None:
    """Undoing the first training leaves nothing named but what came since."""
    assign_current(archive, put_video(archive, "v-3", 3), 0.99)
    assert "Unknown" not in " ".join(labels_in(archive, "v-3"))
    undo_edit(archive, "p")
    assert labels_in(archive, "v-3") == ["Unknown 3", "Unknown 4", "Unknown 5", "Unknown 6"]


def test_naming_again_writes_nothing_where_all_stay_who_they_are(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[NamingChange] = []
    apply = store.apply
    monkeypatch.setattr(
        store, "apply", lambda project, change, **how: written.append(change) or apply(project, change, **how)
    )
    identify_archive(archive, "p")
    (change,) = written
    assert (change.named, change.lost, change.appearances) == ([], [], [])
    assert (change.freed, change.stranger_tracks, change.strangers) == ([], [], [])


def test_undo_keeps_a_videos_own_accepted_error(archive: Archive, store: Store) -> None:
    shown = [(row.video_id, row.owner) for row in store.list_appearances("p", ["a-v-1", "a-v-2"])]
    former = store.get_model("p").version
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")])
    assign_current(archive, store.latest_analysis("p", "v-1"), 0.06)
    undo_edit(archive, "p")
    assert store.list_corrections("p") == []
    assert [(row.video_id, row.owner) for row in store.list_appearances("p", ["a-v-1", "a-v-2"])] == shown
    assert store.get_model("p").version == former
    assert [row.max_false_names for row in store.list_named("p")] == [0.06, RULES.max_false_names_tracks]


def test_an_accepted_error_holds_for_later_videos_until_it_is_undone(archive: Archive, store: Store) -> None:
    identify_archive(archive, "p", max_false_names=0.3)
    add_named_video(archive, (1, 9))
    assert [row.max_false_names for row in store.list_named("p")] == [0.3] * 3
    assign_current(archive, put_video(archive, "v-4", 4), 0.2)
    undo_edit(archive, "p")
    assert [row.max_false_names for row in store.list_named("p")] == [RULES.max_false_names_tracks] * 3 + [0.2]


def test_forgetting_a_person_seals_earlier_edits(archive: Archive, store: Store) -> None:
    applied = name_stranger(archive, "p", "Unknown 2", "Dee")
    forget(archive, "p", "Dee")
    assert all(not row.can_undo and "Dee" not in str(asdict(row)) for row in store.list_edits("p"))
    with pytest.raises(ConflictError, match="forgotten since"):
        undo_edit(archive, "p")
    with pytest.raises(ConflictError):
        undo_edit(archive, "p", applied.edit)
    rows = store.list_appearances("p", ["a-v-1", "a-v-2"])
    assert "Dee" not in {row.owner for row in rows}


def test_appearances_are_those_of_results(archive: Archive, store: Store) -> None:
    for row in store.list_analyses("p"):
        found = stored_result(archive, "p", row.video_id, lambda *_: "").appearances
        rows = store.list_appearances("p", [row.analysis_id])
        assert [(one.owner, one.start_s, one.end_s, list(one.track_ids)) for one in rows] == [
            (one.person_id or one.stranger, one.start_s, one.end_s, one.track_ids) for one in found
        ]
        figures = ScoreFigures(read_current(archive, "p").model).of(rows)
        assert [one.probability for one in figures] == pytest.approx([one.probability for one in found], abs=1e-5)
        assert [one.false_name_rate for one in figures] == pytest.approx(
            [one.false_name_rate for one in found], rel=1e-3
        )


def test_each_video_counts_by_its_latest_analysis(archive: Archive, store: Store) -> None:
    older = replace(store.get_analysis("p", "a-v-1"), analysis_id="a-older", created_at=-1.0)
    store.put_analysis(older, store.get_tracks("p", ["a-v-1"])["a-v-1"])
    change = tighter(archive, preview=True)
    assert (change.videos, change.tracks, change.added, change.removed["Bob"]) == (2, 8, {}, 2)


def test_a_revision_is_of_one_project_one_model_and_one_accepted_error() -> None:
    revisions = [
        revision_of(project, model, limit)
        for project in ("p", "q")
        for model in ("m-1", "m-2", None)
        for limit in (0.01, 0.02)
    ]
    assert len(set(revisions)) == 12
    assert revision_of("p", "m-1", 0.01) == revisions[0]


def test_a_change_is_answered_with_its_counts_and_examples_by_person() -> None:
    example = Example("v-1", "v-1.mp4", "a-v-1", (3, 5), 1.5, 4.0, 0.75, "Unknown 2", "Dee", "the face is poor")
    change = IdentificationChange(
        "r-1",
        7,
        "Unknown 2 is Dee",
        applied=True,
        edit=4,
        videos=2,
        tracks=9,
        added=Counter(Dee=3),
        removed=Counter(Bob=1),
        appearances_added=Counter(Dee=2),
        appearances_removed=Counter(Ann_Lee=1),
        examples={"Dee": [example]},
        perhaps=[Perhaps("Dee", "stranger-aaaaaaaaaa", "Unknown 3", 6)],
        not_enrolled=("Cem",),
    )
    nothing = {"added": 0, "removed": 0, "tracks_added": 0, "tracks_removed": 0, "examples": []}
    assert json.loads(json.dumps(change.to_dict())) == {
        "revision": "r-1",
        "version": 7,
        "note": "Unknown 2 is Dee",
        "applied": True,
        "edit": 4,
        "videos": 2,
        "tracks": 9,
        "changed_videos": 0,
        "people": {
            "Ann_Lee": {**nothing, "removed": 1},
            "Bob": {**nothing, "tracks_removed": 1},
            "Dee": {
                **nothing,
                "added": 2,
                "tracks_added": 3,
                "examples": [
                    {
                        "video_id": "v-1",
                        "video": "v-1.mp4",
                        "analysis_id": "a-v-1",
                        "track_ids": [3, 5],
                        "start_s": 1.5,
                        "end_s": 4.0,
                        "probability": 0.75,
                        "before": "Unknown 2",
                        "after": "Dee",
                        "reason": "the face is poor",
                    }
                ],
            },
        },
        "perhaps": [{"person_id": "Dee", "stranger": "stranger-aaaaaaaaaa", "label": "Unknown 3", "tracks": 6}],
        "not_enrolled": ["Cem"],
        "new_people": [],
        "strangers": 0,
    }
