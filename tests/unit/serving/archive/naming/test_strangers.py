from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.errors import NotFoundError
from facerec_models.result import stranger_id
from facerec_models.types import Track
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.cohort import with_seen_strangers
from serving.archive.naming import strangers
from serving.archive.naming.strangers import UnknownTracks, find_stranger, settle
from serving.store import Store
from serving.store.naming_rows import Correction, CorrectionKind, Stranger, StrangerTrack
from tests.builders import EMBEDDER, cohort, face_of, make_match, make_track
from tests.contract.store_cases import make_analysis, make_video


def seen(store: Store, analysis_id: str, *who: int, together: bool = False) -> UnknownTracks:
    """Store a video in which unknown people are seen one after the other, or all at once."""
    tracks = [
        make_track(
            i, [0.0 if together else float(i)], embeddings=face_of(number, ord(analysis_id) % 50 + i)[None], x=100.0 * i
        )
        for i, number in enumerate(who, 1)
    ]
    store.put_video(make_video(f"v-{analysis_id}"))
    analysis = replace(make_analysis(analysis_id, f"v-{analysis_id}"), embedder=EMBEDDER)
    store.put_analysis(analysis, tracks)
    return UnknownTracks(analysis, f"sha-{analysis_id}", tuple(tracks))


def ids(store: Store, unknown: UnknownTracks) -> list[str]:
    return [name.stranger_id for _, name in sorted(settle(store, unknown).items())]


def regroup(store: Store, archive: Sequence[UnknownTracks]) -> None:
    """Group anew, and store that."""
    known, shown = store.read_strangers("p")
    found = strangers.regroup("p", archive, shown, known, store.list_corrections("p"))
    analysis_ids = [unknown.analysis.analysis_id for unknown in archive]
    store.put_strangers("p", found.strangers, found.tracks, analysis_ids, known=found.known)


def test_a_stranger_of_another_video_is_known_again(store: Store) -> None:
    first = ids(store, seen(store, "a", 1, 2))
    second = ids(store, seen(store, "b", 2, 3))
    assert len(set(first)) == 2
    assert second[0] == first[1]
    assert second[1] not in first
    assert all(identifier.startswith("stranger-") and len(identifier) == 19 for identifier in first + second)
    assert [stranger.number for stranger in store.list_strangers("p")] == [1, 2, 3]


def test_asking_again_changes_nothing(store: Store) -> None:
    unknown = seen(store, "a", 1, 2, 1)
    first = settle(store, unknown)
    rows = store.list_strangers("p")
    assert settle(store, unknown) == first
    assert store.list_strangers("p") == rows


def test_people_who_share_a_frame_are_two_strangers(store: Store) -> None:
    assert len(set(ids(store, seen(store, "a", 1, 1, together=True)))) == 2
    assert len(set(ids(store, seen(store, "b", 2, 2)))) == 1


def test_a_video_that_is_analysed_again_gives_the_same_ids(store: Store) -> None:
    unknown = seen(store, "a", 1, 2)
    first = settle(store, unknown)
    store.put_analysis(unknown.analysis, unknown.tracks)  # which forgets what was known of its tracks
    assert settle(store, unknown) == first


def test_tracks_that_got_a_name_are_strangers_no_more(store: Store) -> None:
    unknown = seen(store, "a", 1, 2)
    first = settle(store, unknown)
    rest = replace(unknown, tracks=unknown.tracks[1:])
    assert settle(store, rest) == {2: first[2]}
    assert [row.track_id for row in store.list_stranger_tracks("p")] == [2]


def test_ids_last_when_the_archive_is_grouped_anew(archive: Archive, store: Store) -> None:
    archive = [seen(store, name, *who) for name, who in {"a": (1, 2, 3), "b": (2, 4), "c": (4, 1)}.items()]
    before = [settle(store, unknown) for unknown in archive]
    regroup(store, archive)
    assert [settle(store, unknown) for unknown in archive] == before


def test_strangers_that_turn_out_to_be_one_are_merged_and_leave_an_alias(store: Store) -> None:
    # Seen together in one analysis: two. Without that frame they are one.
    unknown = seen(store, "a", 1, 1, together=True)
    first, second = ids(store, unknown)
    apart = replace(
        unknown, tracks=(unknown.tracks[0], replace(unknown.tracks[1], frame_indexes=np.array([99], np.int64)))
    )
    regroup(store, [apart])
    assert ids(store, apart) == [first, first]
    assert find_stranger(store, "p", second).stranger_id == first
    assert find_stranger(store, "p", "Unknown 2").stranger_id == first
    with pytest.raises(NotFoundError, match="no stranger 'Unknown 9'"):
        find_stranger(store, "p", "Unknown 9")


def test_a_correction_keeps_a_track_out_of_a_stranger(archive: Archive, store: Store) -> None:
    archive = [seen(store, "a", 1), seen(store, "b", 1)]
    (first,), (second,) = (ids(store, unknown) for unknown in archive)
    assert first == second
    correction = Correction("c1", "p", CorrectionKind.IS_NOT, first, "b", 1, EMBEDDER, face_of(1), 1.0)
    store.put_corrections("p", [correction])
    regroup(store, archive)
    (kept,), (other,) = (ids(store, unknown) for unknown in archive)
    assert kept == first
    assert other != first


def test_the_unknown_ones_are_picked(store: Store) -> None:
    tracks: Sequence[Track] = [make_track(1, [0.0]), make_track(2, [1.0]), make_track(3, [2.0])]
    matches = [make_match("Ann_Lee"), make_match(), make_match(decidable=False)]
    picked = UnknownTracks.of(make_analysis("a"), "sha", tracks, matches)
    assert [track.track_id for track in picked.tracks] == [2]


def test_nameless_strangers_join_the_cohort_when_that_is_allowed(store: Store, home: Files) -> None:
    shipped = cohort()
    assert with_seen_strangers(shipped, Archive(store, home), "p") is shipped
    first = ids(store, seen(store, "a", 1, 2))
    ids(store, seen(store, "b", 2, 3))
    found = with_seen_strangers(shipped, Archive(store, home), "p")
    assert len(found.stills) == len(found.tracks) == len(shipped.stills) + 3
    np.testing.assert_allclose(np.linalg.norm(found.tracks, axis=1), 1, atol=1e-3)
    assert "3 seen in the project's videos" in found.source
    named = [replace(row, person_id="Ada") for row in store.list_strangers("p") if row.stranger_id == first[0]]
    store.put_strangers("p", named, [], [], known=3)
    fewer = with_seen_strangers(shipped, Archive(store, home), "p")
    assert len(fewer.stills) == len(shipped.stills) + 2
    assert fewer.source != found.source


def test_the_aliases_of_a_stranger_are_those_merged_into_it_over_any_number_of_steps() -> None:
    rows = {
        name: Stranger(name, "p", number, 0.0, merged_into=into)
        for number, (name, into) in enumerate([("a", None), ("b", "a"), ("c", "b"), ("d", None)], 1)
    }
    assert strangers.aliases(rows) == {"a": ("b", "c"), "b": (), "c": (), "d": ()}


def test_people_who_share_a_frame_of_a_later_video_are_two_strangers(store: Store) -> None:
    first, later = seen(store, "a", 1, 2), seen(store, "b", 3, 3, together=True)
    one_face = later.tracks[0].embeddings
    later = replace(later, tracks=tuple(replace(track, embeddings=one_face) for track in later.tracks))
    known, shown = store.read_strangers("p")
    found = strangers.regroup("p", [first, later], shown, known, [])
    assert len({row.stranger_id for row in found.tracks if row.analysis_id == "b"}) == 2


def test_a_joined_stranger_keeps_the_id_of_most_of_its_tracks(store: Store) -> None:
    # Two strangers, for they share a frame; the one who came later is seen in another video, too.
    first, later = seen(store, "a", 1, 1, together=True), seen(store, "c", 1)
    older, newer = ids(store, first)
    row = StrangerTrack("p", "c", 1, newer, later.tracks[0].embeddings[0])
    store.put_strangers("p", [], [row], ["c"], known=2)
    apart = replace(first, tracks=(first.tracks[0], replace(first.tracks[1], frame_indexes=np.array([99], np.int64))))
    one_face = first.tracks[0].embeddings
    regroup(
        store,
        [
            replace(video, tracks=tuple(replace(t, embeddings=one_face) for t in video.tracks))
            for video in (apart, later)
        ],
    )
    shown = {(row.analysis_id, row.track_id): row.stranger_id for row in store.list_stranger_tracks("p")}
    assert set(shown.values()) == {newer}, shown
    assert find_stranger(store, "p", older).stranger_id == newer


def test_the_id_of_a_stranger_follows_the_content_of_the_video(store: Store) -> None:
    tracks = seen(store, "a", 1).tracks
    analysis = replace(make_analysis("a"), embedder=EMBEDDER)
    picked = UnknownTracks.of(analysis, "sha-1", tracks, [make_match()])
    found = strangers.regroup("p", [picked], [], [], [])
    assert found.tracks[0].stranger_id == stranger_id("p", "sha-1", tracks[0])
    assert found.tracks[0].stranger_id != stranger_id("p", "sha-2", tracks[0])
