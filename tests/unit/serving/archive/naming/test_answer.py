"""What a video's answer is made of: all that was analysed of it, each part in the analysis that counts there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.archive.coverage import JOINED, MADE_FROM, analysed_at
from serving.archive.deletion import delete_video
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.joining import join_shares
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.one_video import result_of
from serving.archive.naming.undo import undo_edit
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, CorrectionKind
from serving.store.rows import AnalysisRow, FaceStatus
from tests.unit.serving.archive.edits import labels_in, result_in
from tests.unit.serving.archive.naming.film import ANN, BOB, LENGTH_S, STRANGER, Film, config_of, seen


def test_fragments_side_by_side_are_the_answer_together(film: Film, store: Store) -> None:
    first = film.analyse([seen(ANN, 1.0, 2.0), seen(STRANGER, 2.5)], 0, 3)
    second = film.analyse([seen(BOB, 11.0, 12.0), seen(STRANGER, 15.0)], 10, 20)
    labels = [label for label, *_ in film.shown]
    assert [label for label in labels if not label.startswith("Unknown")] == ["Ann Lee", "Bob"]
    result = result_in(film.archive, "v-film")
    assert (result.sampling.fragment, result.sampling.fragments) == ((0, 20), [(0, 3), (10, 20)])
    assert result.sampling.covered(LENGTH_S) == [(0, 3), (10, 20)]
    assert result.shots == [(0, 3), (10, 20)]
    assert [track.track_id for track in result.tracks] == [1, 2, 3, 4]
    assert [track.shot for track in result.tracks] == [0, 0, 1, 1]
    assert result.sampling.frames_sampled == 20
    for owner in ("Ann_Lee", "Bob"):
        found = store.find_appearances("p", AppearanceQuery(((owner,),), video_id="v-film"), limit=9)
        assert [row.analysis_id for row in found] == [film.latest.analysis_id]
    # The stranger of both parts is one, and is the one of the other videos.
    (stranger,) = {label for label in labels if label.startswith("Unknown")}
    assert stranger in labels_in(film.archive, "v-1")
    # What a job answers is its own part.
    for row, owner, span in ((first, "Ann Lee", [(0, 3)]), (second, "Bob", [(10, 20)])):
        own = result_of(film.archive, store.get_analysis("p", row.analysis_id), lambda *_: "")
        assert own.appearances[0].label == owner
        assert own.sampling.fragments == span


def test_a_stranger_of_joined_parts_is_counted_once(film: Film, store: Store) -> None:
    before = {one.owner: one.seconds for one in store.list_screen_times("p", AppearanceQuery())}
    film.analyse([seen(STRANGER, 1.0, 2.0)], 0, 3)
    film.analyse([seen(STRANGER, 11.0, 12.0)], 10, 20)
    after = {one.owner: one.seconds for one in store.list_screen_times("p", AppearanceQuery())}
    assert after.keys() == before.keys()
    assert sorted(after[one] - before[one] for one in before) == [0, pytest.approx(2.08)]


def test_the_same_again_is_the_same_answer(film: Film, store: Store) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)
    film.analyse([seen(BOB, 11.0)], 10, 20)
    joined, count = film.latest, len(store.list_analyses("p", video_id="v-film"))
    for span in ((0, 3), (10, 20), (0, 3)):
        film.analyse([], *span)
        assert film.latest == joined
    film.analyse([seen(ANN, 1.0)], 0, 3, again=True)
    assert film.latest.analysis_id == joined.analysis_id
    assert len(store.list_analyses("p", video_id="v-film")) == count


def test_a_part_that_is_analysed_again_is_joined_again(film: Film) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)
    film.analyse([seen(BOB, 11.0)], 10, 20)
    film.analyse([seen(BOB, 1.0, 2.0)], 0, 3, again=True)
    assert [label for label, *_ in film.shown] == ["Bob", "Bob"]


def test_the_newer_part_counts_where_parts_overlap(film: Film) -> None:
    film.analyse([seen(ANN, 1.0, 2.0), seen(ANN, 6.0, 7.0, 8.0, 9.0), seen(STRANGER, 8.5, 9.5)], 0, 10)
    film.analyse([seen(ANN, 8.0, 9.0, 10.0, at=9), seen(BOB, 14.0)], 8, 20)
    assert film.shown == [("Ann Lee", 1, 2.04), ("Ann Lee", 6, 10.04), ("Bob", 14, 14.04)]
    result = result_in(film.archive, "v-film")
    assert [[sample.time_s for sample in track.samples] for track in result.tracks] == [
        [1, 2], [6, 7], [8, 9, 10], [14],
    ]  # fmt: skip
    assert result.shots == [(0, 8), (8, 20)]
    assert (result.sampling.fragment, result.sampling.fragments) == ((0, 20), [(0, 20)])
    assert film.crops() == sorted(
        [*(f"(0.0, 10.0) {at:.1f}" for at in (1, 2, 6, 7)), *(f"(8.0, 20.0) {at:.1f}" for at in (8, 9, 10, 14))]
    )
    # Asked for again, the older one does not count as newer.
    film.analyse([], 0, 10)
    assert [label for label, *_ in film.shown] == ["Ann Lee", "Ann Lee", "Bob"]


def test_a_whole_film_covers_all_parts_and_a_part_leaves_it(film: Film) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)
    film.analyse([seen(BOB, 11.0)], 10, 20)
    whole = film.analyse([seen(ANN, 1.0), seen(STRANGER, 5.0), seen(BOB, 11.0)])
    assert film.latest.analysis_id == whole.analysis_id
    assert result_in(film.archive, "v-film").sampling.fragments is None
    for tracks, span in (([], (0, 3)), ([seen(BOB, 22.0)], (21, 25))):
        film.analyse(tracks, *span)
        assert film.latest.analysis_id == whole.analysis_id


def test_a_larger_part_takes_the_place_of_those_within(film: Film) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)
    film.analyse([seen(BOB, 11.0)], 10, 12)
    larger = film.analyse([seen(BOB, 11.0), seen(BOB, 18.0)], 9, 20)
    assert [label for label, *_ in film.shown] == ["Ann Lee", "Bob", "Bob"]
    assert larger.analysis_id in dict(film.latest.summary[JOINED]["parts"])
    assert len(film.latest.summary[JOINED]["parts"]) == 2
    film.analyse([], 10, 12)
    assert [label for label, *_ in film.shown] == ["Ann Lee", "Bob", "Bob"]
    all_parts = film.analyse([seen(ANN, 1.0)], 0, 25)
    assert film.latest.analysis_id == all_parts.analysis_id


def test_of_one_part_in_two_ways_the_one_asked_for_last_counts(film: Film) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)
    film.analyse([seen(BOB, 11.0)], 10, 20)
    film.analyse([seen(BOB, 11.0), seen(BOB, 13.0)], 10, 20, fps=5.0)
    assert len(film.shown) == 3
    film.analyse([], 10, 20)
    assert len(film.shown) == 2
    film.analyse([], 10, 20, fps=5.0)
    assert len(film.shown) == 3


def test_a_film_that_breaks_off_and_a_part_behind_are_joined(film: Film) -> None:
    film.analyse([seen(ANN, 1.0)], complete=False)
    film.analyse([seen(BOB, 21.0)], 20, 25)
    result = result_in(film.archive, "v-film")
    assert [a.label for a in result.appearances] == ["Ann Lee", "Bob"]
    assert result.sampling.fragments == [(0, 15), (20, 25)]
    assert (result.video.complete, result.video.warnings) == (False, ["it breaks off"])


def test_parts_of_other_picture_tracks_are_not_joined(film: Film) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)
    film.analyse([seen(BOB, 11.0)], 10, 20, stream=2)
    assert film.shown == [("Bob", 11, 11.04)]
    assert result_in(film.archive, "v-film").video.stream == 2
    film.analyse([seen(ANN, 5.0)], 4, 6)
    assert film.shown == [("Ann Lee", 1, 1.04), ("Ann Lee", 5, 5.04)]


def test_what_was_corrected_in_a_part_holds_in_the_answer(film: Film, store: Store) -> None:
    film.analyse([seen(STRANGER, 1.0), seen(BOB, 2.0)], 0, 3)
    correct(
        film.archive, "p",
        [TrackCorrection("v-film", 1, CorrectionKind.IS, "Cem"), TrackCorrection("v-film", 2, CorrectionKind.IS_NOT, "Bob")],
    )  # fmt: skip
    film.analyse([seen(ANN, 11.0)], 10, 20)
    assert [label for label, *_ in film.shown][::2] == ["Cem", "Ann Lee"]
    assert film.shown[1][0].startswith("Unknown")
    confirmed = result_in(film.archive, "v-film").appearances[0]
    own = store.list_corrections("p", analysis_ids=[film.latest.analysis_id])
    assert sorted((row.kind, row.person_id, row.track_id) for row in own) == [
        (CorrectionKind.IS, "Cem", confirmed.track_ids[0]), (CorrectionKind.IS_NOT, "Bob", 2),
    ]  # fmt: skip
    assert store.list_edits("p")[-1].cause == "carry"
    # A later word in the joined one counts more than the first, and goes on to the next one.
    correct(film.archive, "p", [TrackCorrection("v-film", 1, CorrectionKind.IS, "Dee")])
    assert {face.status for face in store.list_faces("p", person_id="Cem")} == {FaceStatus.DISABLED}
    film.analyse([seen(ANN, 21.0)], 20, 25)
    assert film.shown[0][0] == "Dee"
    edits = len(store.list_edits("p"))
    film.analyse([], 20, 25)
    assert len(store.list_edits("p")) == edits
    undo_edit(film.archive, "p")
    assert film.shown[0][0] != "Cem"


def test_a_poor_track_that_was_confirmed_stays_so(film: Film) -> None:
    poor = replace(seen(STRANGER, 1.0), quality=np.array([0.01], np.float32))
    film.analyse([poor], 0, 3)
    correct(film.archive, "p", [TrackCorrection("v-film", 1, CorrectionKind.IS, "Bob")])
    film.analyse([seen(ANN, 11.0)], 10, 20)
    assert [label for label, *_ in film.shown] == ["Bob", "Ann Lee"]


def test_a_forgotten_person_is_gone_from_parts_and_answer(film: Film, store: Store) -> None:
    film.analyse([seen(ANN, 1.0), seen(BOB, 2.0)], 0, 3)
    film.analyse([seen(ANN, 11.0)], 10, 20)
    analyses = [row.analysis_id for row in store.list_analyses("p", video_id="v-film")]
    assert len(analyses) == 3
    receipt = forget(film.archive, "p", "Ann_Lee")
    assert receipt.tracks >= 4
    left = [track for tracks in store.get_tracks("p", analyses).values() for track in tracks if len(track.embedded)]
    assert len(left) == 2
    assert film.crops() == ["(0.0, 3.0) 2.0"]
    assert [label for label, *_ in film.shown if label == "Ann Lee"] == []


def test_a_deleted_video_takes_its_joined_analysis_along(film: Film, archive: Archive) -> None:
    film.analyse([seen(STRANGER, 1.0)], 0, 3)
    correct(archive, "p", [TrackCorrection("v-film", 1, CorrectionKind.IS, "Cem")])
    film.analyse([seen(ANN, 11.0)], 10, 20)
    receipt = delete_video(archive, "p", "v-film")
    assert (receipt.analyses, receipt.crops, receipt.corrections_kept) == (3, 4, 1)
    assert {path.name for path in archive.files.analysis("p", "").iterdir()} == {"a-v-1", "a-v-2"}


def test_a_second_set_of_a_joined_analysis_is_joined_with_what_comes(film: Film, store: Store) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)
    film.analyse([seen(BOB, 11.0)], 10, 20)
    joined = film.latest
    second = replace(
        joined, analysis_id="a-second", key="second", summary={**joined.summary, MADE_FROM: joined.analysis_id}
    )
    store.put_analysis(second, store.get_tracks("p", [joined.analysis_id])[joined.analysis_id])
    for row in store.list_analyses("p", video_id="v-film"):
        if row.analysis_id != "a-second":
            store.put_analysis(replace(row, embedder="another"), [])
    film.analyse([seen(ANN, 21.0)], 20, 25)
    assert [part for part, _ in film.latest.summary[JOINED]["parts"]][1:] == ["a-second"]
    assert [label for label, *_ in film.shown] == ["Ann Lee", "Bob", "Ann Lee"]
    assert result_in(film.archive, "v-film").sampling.fragments == [(0, 3), (10, 25)]


def test_what_was_joined_before_goes_unless_it_was_corrected(
    film: Film, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)
    film.analyse([seen(BOB, 11.0)], 10, 12)
    film.analyse([seen(BOB, 14.0)], 13, 15)
    monkeypatch.setattr("serving.archive.naming.answer._KEPT_S", -1.0)
    film.analyse([seen(BOB, 17.0)], 16, 18)

    def joined() -> set[str]:
        return {row.analysis_id for row in store.list_analyses("p", video_id="v-film") if JOINED in row.summary}

    assert joined() == {film.latest.analysis_id}
    corrected = film.latest.analysis_id
    correct(film.archive, "p", [TrackCorrection("v-film", 2, CorrectionKind.IS, "Cem")])
    film.analyse([seen(ANN, 21.0)], 20, 25)
    film.analyse([seen(ANN, 27.0)], 26, 28)
    assert corrected in joined()
    assert film.shown[1][0] == "Cem"
    folders = {path.name for path in film.archive.files.analysis("p", "").iterdir()}
    assert folders == {row.analysis_id for row in store.list_analyses("p")}


def test_an_interrupted_join_leaves_nothing(film: Film, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)

    def fail(*_: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("serving.archive.joining._copy_crops", fail)
        with pytest.raises(OSError, match="no room"):
            film.analyse([seen(BOB, 11.0)], 10, 20)
    known = {row.analysis_id for row in store.list_analyses("p")}
    assert {path.name for path in film.archive.files.analysis("p", "").iterdir()} == known
    assert film.shown == [("Ann Lee", 1, 1.04)]
    film.analyse([], 10, 20)
    assert [label for label, *_ in film.shown] == ["Ann Lee", "Bob"]


def test_a_part_that_ends_while_others_are_joined_is_joined_too(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    film.analyse([seen(ANN, 1.0)], 0, 3)
    late = []

    def join(*arguments: object) -> AnalysisRow:
        row = join_shares(*arguments)  # type: ignore[arg-type]
        if not late:
            late.append(film.put([seen(ANN, 21.0)], config_of(20, 25), complete=True))
        return row

    monkeypatch.setattr("serving.archive.naming.answer.join_shares", join)
    film.analyse([seen(BOB, 11.0)], 10, 20)
    assert [label for label, *_ in film.shown] == ["Ann Lee", "Bob", "Ann Lee"]
    assert analysed_at(late[0]) < analysed_at(film.latest)


def test_parts_without_faces_and_tracks_without_crops_are_joined(film: Film, archive: Archive) -> None:
    first = film.analyse([seen(BOB, 11.0, 12.0)], 10, 20)
    archive.files.track_crop("p", first.analysis_id, 1, 0).unlink()
    film.analyse([], 0, 3)
    assert film.shown == [("Bob", 11, 12.04)]
    assert result_in(archive, "v-film").sampling.fragments == [(0, 3), (10, 20)]
    assert film.crops() == ["(10.0, 20.0) 12.0"]
