"""Strangers: ids that last, whoever joins them, and whoever they turn out to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.build_result import stranger_id
from facerec_models.errors import NotFoundError
from facerec_models.identification.decide import VideoNames
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import FloatArray
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.cohort import with_seen_strangers
from serving.archive.naming import strangers
from serving.archive.naming.aliases import aliases, find_stranger
from serving.archive.naming.named import name_tracks, stranger_moves, unknown_rows
from serving.archive.naming.strangers import StrangerGroups, TrackKey, UnknownTracks, settle
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, Edit, NamingChange, Stranger
from tests.builders import EMBEDDER, cohort, face_of, make_match, make_track
from tests.contract.store_cases import make_analysis, make_video, name, stranger_sums

Shown = dict[int, str]


def seen(store: Store, analysis_id: str, *who: int | FloatArray, together: bool = False) -> UnknownTracks:
    """Store a video in which unknown people are seen one after the other, or all at once."""
    tracks = [
        make_track(
            i,
            [0.0 if together else float(i)],
            embeddings=(face_of(one, ord(analysis_id) % 50 + i) if isinstance(one, int) else one)[None],
            x=100.0 * i,
        )
        for i, one in enumerate(who, 1)
    ]
    store.put_video(replace(make_video(f"v-{analysis_id}"), sha256=f"sha-{analysis_id}"))
    store.put_analysis(replace(make_analysis(analysis_id, f"v-{analysis_id}"), embedder=EMBEDDER), tracks)
    return UnknownTracks(analysis_id, f"v-{analysis_id}", TrackColumns.of(tracks), range(len(tracks)))


def shown(store: Store, unknown: UnknownTracks) -> Shown:
    """Return which stranger each track shows, by row, as it is stored."""
    ids = unknown.columns.track_ids.tolist()
    rows = store.list_stranger_tracks("p", analysis_ids=[unknown.analysis_id])
    return {ids.index(row.track_id): row.stranger_id for row in rows}


def so_far(store: Store, videos: Sequence[UnknownTracks]) -> dict[TrackKey, tuple[str, FloatArray]]:
    rows = store.list_stranger_tracks("p", analysis_ids=[one.analysis_id for one in videos])
    return {(row.analysis_id, row.track_id): (row.stranger_id, row.embedding) for row in rows}


def write(store: Store, found: strangers.Grouping, videos: Sequence[UnknownTracks]) -> None:
    named = [
        name_tracks(
            store.get_analysis("p", one.analysis_id),
            VideoNames(
                [make_match()] * len(one.columns), np.zeros((len(one.columns), 0), np.float32), is_contended=False
            ),
            {row: found.of_track[one.key(row)] for row in one.rows},
            0.01,
            1.0,
        )
        for one in videos
    ]
    was = {row.analysis_id: row for row in store.list_named("p")}
    moves = [stranger_moves(one.columns, was.get(one.analysis_id), row) for one, row in zip(videos, named, strict=True)]
    change = NamingChange(
        named,
        freed=[row for freed, _ in moves for row in freed],
        stranger_tracks=[row for _, new in moves for row in new],
        strangers=found.strangers,
    )
    store.apply("p", change, if_version=store.get_project("p").version)


def known(store: Store, unknown: UnknownTracks) -> UnknownTracks:
    return replace(unknown, held={row: one for row, one in shown(store, unknown).items() if row in unknown.rows})


def ids(store: Store, unknown: UnknownTracks) -> list[str]:
    """Give the tracks of a video strangers, store that, and return them in the order of the tracks."""
    one = known(store, unknown)
    corrections = store.list_corrections("p", analysis_ids=[one.analysis_id])
    write(store, settle(store, "p", cohort().pair, [one], so_far(store, [one]), corrections), [one])
    return [stranger for _, stranger in sorted(shown(store, unknown).items())]


def regroup(store: Store, videos: Sequence[UnknownTracks]) -> None:
    """Group all tracks anew, and store that."""
    held = [known(store, one) for one in videos]
    groups = StrangerGroups(store, "p", cohort().pair, so_far(store, held), anew=True)
    groups.add(held, store.list_corrections("p"))
    write(store, groups.grouping(), held)


def without_frames(unknown: UnknownTracks) -> UnknownTracks:
    """Return the same tracks, none of which shares a frame with another one."""
    return replace(unknown, columns=replace(unknown.columns, together=np.zeros((0, 2), np.int32)))


def deny(store: Store, analysis_id: str, stranger: str, track_id: int = 1) -> None:
    correction = Correction(
        f"c-{analysis_id}", "p", CorrectionKind.IS_NOT, stranger, analysis_id, track_id, EMBEDDER, face_of(1), 1.0
    )
    name(store, edit=Edit("correction", corrections=[correction]))


def test_a_stranger_of_another_video_is_known_again(store: Store) -> None:
    first = ids(store, seen(store, "a", 1, 2))
    second = ids(store, seen(store, "b", 2, 3))
    assert len(set(first)) == 2
    assert second[0] == first[1]
    assert second[1] not in first
    assert all(identifier.startswith("stranger-") and len(identifier) == 19 for identifier in first + second)
    assert [stranger.number for stranger in store.list_strangers("p")] == [1, 2, 3]


def test_naming_again_keeps_strangers(store: Store) -> None:
    unknown = seen(store, "a", 1, 2, 1)
    first, rows = ids(store, unknown), store.list_strangers("p")
    assert (ids(store, unknown), store.list_strangers("p")) == (first, rows)


@pytest.mark.parametrize("block", [1, 3])
def test_strangers_are_the_same_however_many_are_in_a_row(
    store: Store, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("serving.store.shared_corrections._BLOCK", block)
    who = [(1, 2, 3), (4, 5), (2, 5, 6), (7, 1, 4), (3, 7, 6)]
    of_person: dict[int, set[str]] = {}
    for at, people in enumerate(who):
        faces = [face_of(one, at, similarity=0.99) for one in people]
        for person, stranger in zip(people, ids(store, seen(store, chr(ord("a") + at), *faces)), strict=True):
            of_person.setdefault(person, set()).add(stranger)
    assert [len(found) for found in of_person.values()] == [1] * 7
    assert len(set.union(*of_person.values())) == 7
    store.delete_video("p", "v-a")  # where alone 2 was first seen, and all between are known
    assert ids(store, seen(store, "f", face_of(2, 9, similarity=0.99), 8))[0] in of_person[2]
    assert stranger_sums(store).keys() == {row.stranger_id for row in store.list_stranger_tracks("p")}


@pytest.mark.parametrize("tracks", [3, 40])
def test_a_track_is_compared_with_the_mean_of_all_and_with_some(store: Store, tracks: int) -> None:
    own, aside = face_of(1), np.zeros(128, np.float32)
    aside[np.argmin(np.abs(own))] = 1
    face = lambda angle: np.float32(own * np.cos(angle) + aside * np.sin(angle))  # noqa: E731
    (first,) = {*ids(store, seen(store, "a", *([face(0.0)] * tracks)))}
    assert ids(store, seen(store, "b", face(0.27))) == [first]
    # Unlike the one that came last: only where there are few tracks it is compared with that.
    assert (ids(store, seen(store, "c", face(-0.27))) == [first]) is (tracks == 40)
    assert ids(store, seen(store, "d", face(0.4))) != [first]


def test_a_track_is_not_compared_with_those_that_leave_a_stranger_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, aside = face_of(1), np.zeros(128, np.float32)
    aside[np.argmin(np.abs(own))] = 1
    leaving, stays, later = (np.float32(own * np.cos(angle) + aside * np.sin(angle)) for angle in (0.27, 0.0, -0.27))
    gets_a_name = seen(store, "a", leaving)  # the first of the stranger's tracks that is read
    (first,) = ids(store, gets_a_name)
    assert ids(store, seen(store, "b", stays)) == [first]
    new, leave = seen(store, "c", later), so_far(store, [gets_a_name])
    assert settle(store, "p", cohort().pair, [new], {}, []).of_track["c", 1] != first
    for most in (16, 1):
        monkeypatch.setattr(strangers, "_MOST_COMPARED", most)
        assert settle(store, "p", cohort().pair, [new], leave, []).of_track == {("c", 1): first}


def test_a_track_that_goes_back_to_a_former_stranger_takes_its_likes_along(store: Store) -> None:
    unknown, later = seen(store, "a", 1), seen(store, "b", 1)
    ids(store, unknown)
    name(store, strangers=[Stranger("stranger-former", "p", 9, 0.0)])
    goes_back = replace(unknown, held={0: "stranger-former"})
    found = settle(store, "p", cohort().pair, [goes_back, later], so_far(store, [unknown]), [])
    assert found.of_track == dict.fromkeys([("a", 1), ("b", 1)], "stranger-former")


def test_people_who_share_a_frame_are_two_strangers(store: Store) -> None:
    assert len(set(ids(store, seen(store, "a", 1, 1, together=True)))) == 2
    assert len(set(ids(store, seen(store, "b", 2, 2)))) == 1


def test_a_track_joins_nobody_whom_it_shares_a_frame_with(store: Store) -> None:
    unknown = seen(store, "a", 1, 1, together=True)
    first = ids(store, replace(unknown, rows=[0]))
    both = ids(store, unknown)
    assert both[0] == first[0] != both[1]


def test_a_track_joins_a_stranger_only_if_it_is_like_all_of_its_tracks(store: Store) -> None:
    own = face_of(1)
    aside = np.zeros(128, np.float32)
    aside[np.argmin(np.abs(own))] = 1
    faces = [own * np.cos(angle) + aside * np.sin(angle) for angle in (0.0, 0.2, 0.4)]
    near, far = ids(store, seen(store, "a", faces[0])), ids(store, seen(store, "b", faces[1]))
    assert near == far
    assert ids(store, seen(store, "c", faces[2])) != near


def test_a_video_that_is_analysed_again_gives_the_same_ids(store: Store) -> None:
    first = ids(store, seen(store, "a", 1, 2))
    assert ids(store, seen(store, "a", 1, 2)) == first  # its tracks were forgotten in between


def test_tracks_that_got_a_name_are_strangers_no_more(store: Store) -> None:
    unknown = seen(store, "a", 1, 2)
    first = ids(store, unknown)
    assert ids(store, replace(unknown, rows=[1])) == first[1:]
    assert [row.track_id for row in store.list_stranger_tracks("p")] == [2]


def test_ids_last_when_the_archive_is_grouped_anew(store: Store) -> None:
    videos = [seen(store, name, *who) for name, who in {"a": (1, 2, 3), "b": (2, 4), "c": (4, 1)}.items()]
    before = [ids(store, unknown) for unknown in videos]
    regroup(store, videos)
    assert [ids(store, unknown) for unknown in videos] == before


def test_strangers_that_turn_out_to_be_one_are_merged_and_leave_an_alias(store: Store) -> None:
    # Seen together in one analysis: two. Without that frame they are one.
    unknown = seen(store, "a", 1, 1, together=True)
    first, second = ids(store, unknown)
    regroup(store, [without_frames(unknown)])
    assert ids(store, unknown) == [first, first]
    assert find_stranger(store, "p", second).stranger_id == first
    assert find_stranger(store, "p", "Unknown 2").stranger_id == first
    with pytest.raises(NotFoundError, match="no stranger 'Unknown 9'"):
        find_stranger(store, "p", "Unknown 9")


@pytest.mark.parametrize("is_anew", [True, False])
def test_a_correction_keeps_a_track_out_of_a_stranger(store: Store, is_anew: bool) -> None:
    videos = [seen(store, "a", 1), seen(store, "b", 1)]
    (first,), (second,) = (ids(store, unknown) for unknown in videos)
    assert first == second
    deny(store, "b", first)
    if is_anew:
        regroup(store, videos)
    (kept,), (other,) = (ids(store, unknown) for unknown in videos)
    assert kept == first
    assert other != first


def test_the_unknown_tracks_with_vectors_are_picked() -> None:
    tracks = [make_track(1, [0.0]), make_track(2, [1.0]), make_track(3, [2.0])]
    empty = replace(make_track(4, [3.0]), embedded=np.zeros(0, np.int64), embeddings=np.zeros((0, 128), np.float32))
    matches = [make_match("Ann_Lee"), make_match(), make_match(decidable=False), make_match()]
    columns = TrackColumns.of([*tracks, empty])
    names = VideoNames(matches, np.zeros((4, 0), np.float32), is_contended=False)
    assert unknown_rows(name_tracks(make_analysis("a"), names, {}, 0.01, 1.0), columns) == [1]


def test_nameless_strangers_join_the_cohort_when_that_is_allowed(store: Store, home: Files) -> None:
    shipped = cohort()
    assert with_seen_strangers(shipped, Archive(store, home), "p") is shipped
    first = ids(store, seen(store, "a", 1, 2))
    ids(store, seen(store, "b", 2, 3))
    found = with_seen_strangers(shipped, Archive(store, home), "p")
    assert len(found.stills) == len(shipped.stills) + 3
    assert len(found.tracks) == len(shipped.tracks) + 3
    # A model keeps vectors of the others alone.
    np.testing.assert_array_equal(found.compared, shipped.stills)
    np.testing.assert_allclose(np.linalg.norm(found.tracks, axis=1), 1, atol=1e-3)
    assert "3 seen in the project's videos" in found.source
    named = [replace(row, person_id="Ada") for row in store.list_strangers("p") if row.stranger_id == first[0]]
    name(store, strangers=named)
    fewer = with_seen_strangers(shipped, Archive(store, home), "p")
    assert len(fewer.stills) == len(shipped.stills) + 2
    assert fewer.source != found.source


def test_a_cohort_is_another_one_once_a_stranger_is_seen_again(store: Store, home: Files) -> None:
    ids(store, seen(store, "a", 1))
    found = with_seen_strangers(cohort(), Archive(store, home), "p")
    ids(store, seen(store, "b", 1))
    again = with_seen_strangers(cohort(), Archive(store, home), "p")
    np.testing.assert_array_equal(again.stills, found.stills)
    assert len(again.tracks) == len(found.tracks)
    assert again.source != found.source


def test_the_aliases_of_a_stranger_are_those_merged_into_it_over_any_number_of_steps(store: Store) -> None:
    rows = [
        Stranger(one, "p", number, 0.0, merged_into=into)
        for number, (one, into) in enumerate([("a", None), ("b", "a"), ("c", "b"), ("d", None)], 1)
    ]
    name(store, strangers=rows)
    assert aliases(store, "p", ["a", "d"]) == {"a": ("b", "c"), "d": ()}


def test_people_who_share_a_frame_of_a_later_video_are_two_strangers(store: Store) -> None:
    first, later = seen(store, "a", 1, 2), seen(store, "b", face_of(3), face_of(3), together=True)
    regroup(store, [first, later])
    assert len(set(shown(store, later).values())) == 2


def test_a_joined_stranger_keeps_the_id_of_most_of_its_tracks(store: Store) -> None:
    # Two strangers, for they share a frame; the one who came later is seen in another video, too.
    first, later = seen(store, "a", face_of(1), face_of(1), together=True), seen(store, "c", face_of(1))
    older, newer = ids(store, first)
    write(store, strangers.Grouping({("c", 1): newer}, []), [later])
    regroup(store, [without_frames(first), later])
    assert {*shown(store, first).values(), *shown(store, later).values()} == {newer}
    assert find_stranger(store, "p", older).stranger_id == newer


def test_the_id_of_a_stranger_follows_the_content_of_the_video(store: Store) -> None:
    unknown = seen(store, "a", 1)
    first = int(unknown.columns.first_frames[0]), unknown.columns.first_boxes[0]
    assert ids(store, unknown) == [stranger_id("p", "sha-a", *first)] != [stranger_id("p", "sha-2", *first)]


def test_many_tracks_are_grouped_in_parts_as_all_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [
        seen(store, chr(ord("a") + i), *(face_of(1 + (i + k) % 5, 9 * i + k, 0.99) for k in range(4))) for i in range(8)
    ]
    monkeypatch.setattr(strangers, "_MOST_AT_ONCE", 5)
    regroup(store, videos)
    of_person: dict[int, set[str]] = {}
    for i, one in enumerate(videos):
        for row, stranger in shown(store, one).items():
            of_person.setdefault(1 + (i + row) % 5, set()).add(stranger)
    assert [len(of_person[person]) for person in range(1, 6)] == [1] * 5
    assert len(set.union(*of_person.values())) == 5


def test_only_tracks_that_were_grouped_with_those_that_are_taken_out_need_a_group_again(store: Store) -> None:
    videos = [
        seen(store, analysis_id, *(face_of(one, at, similarity=0.99) for one in who))
        for at, (analysis_id, who) in enumerate({"a": (1, 2), "b": (2, 3), "c": (4, 1)}.items())
    ]
    groups = StrangerGroups(store, "p", cohort().pair, {}, anew=True)
    groups.add(videos, [])
    before = groups.grouping().of_track
    assert groups.take_out({"a"}) == {"b": {("b", 1)}, "c": {("c", 2)}}
    left = groups.grouping().of_track
    assert left == {key: before[key] for key in (("b", 2), ("c", 1))}
    groups.add([replace(videos[1], rows=[0]), replace(videos[2], rows=[1])], [])
    assert groups.grouping().of_track.keys() == {("b", 1), ("b", 2), ("c", 1), ("c", 2)}
