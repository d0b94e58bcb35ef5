"""Linking what was seen of a video: parts of any length give what the whole gives, and nothing reaches beyond its end."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from facerec_models.analysis.analyze import Analysis, AnalysisStoppedError, Linker, link_segments
from facerec_models.analysis.frame_faces import FrameFaces, Scan
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.analysis.transitions import Thumbnail
from facerec_models.config import AnalysisConfig, SamplingConfig
from tests.builders import Seen, cohort, face_set
from tests.unit.facerec_models.analysis.test_transitions import ASTRONAUT, COFFEE, dissolve, filmed, still

LENGTH_S = 12.0
PAIR = cohort().pair
INFO = VideoInfo(Path("x"), "mp4", "h264", 0, LENGTH_S, 10.0, 0.1, 160, 90, 1.0, 0, 0.0, Fraction(1, 10))


def frames() -> list[FrameFaces]:
    """A face in one place; another person's from 6 s on."""
    return [
        FrameFaces.of(k / 5, k / 5 + 0.1, 2 * k, face_set([Seen(1 if k < 30 else 2, 80, 45, 40, quality=0.8)], k))
        for k in range(60)
    ]


@pytest.fixture(scope="module")
def thumbnails() -> list[Thumbnail]:
    """A dissolve from 5 to 7 s."""
    return filmed(dissolve(still(ASTRONAUT), still(COFFEE), 5, 2), LENGTH_S, begins=[0.0])


def parts(thumbnails: list[Thumbnail], part_s: float) -> list[Scan]:
    found = []
    for start_s in np.arange(0, LENGTH_S, part_s).tolist():
        end_s = start_s + part_s
        found.append(
            Scan(
                tuple(frame for frame in frames() if start_s <= frame.time_s < end_s),
                () if found else (0.0,),
                tuple(small for small in thumbnails if start_s <= small.time_s < end_s),
                round(10 * part_s),
                min(end_s, LENGTH_S),
            )
        )
    return found


def linked(seen: list[Scan], config: AnalysisConfig | None = None) -> Analysis:
    linker = Linker(INFO, config or AnalysisConfig(), "dlib-resnet-v1", PAIR, None)
    for part in seen:
        linker.link(part)
    return linker.result(INFO, complete=True, warnings=())


@pytest.mark.parametrize("part_s", [0.7, 1.0, 4.0])
def test_parts_of_any_length_give_the_same_tracks(thumbnails: list[Thumbnail], part_s: float) -> None:
    whole, joined = linked(parts(thumbnails, LENGTH_S)), linked(parts(thumbnails, part_s))
    assert joined.shots == whole.shots
    assert [track.shot for track in joined.tracks] == [track.shot for track in whole.tracks] == [0, 1]
    for one, other in zip(joined.tracks, whole.tracks, strict=True):
        assert (one.start_s, one.end_s) == (other.start_s, other.end_s)
        np.testing.assert_array_equal(one.quality, other.quality)
        np.testing.assert_array_equal(one.embedded, other.embedded)


def test_mixed_faces_count_for_less(thumbnails: list[Thumbnail]) -> None:
    first, second = linked(parts(thumbnails, 1.0)).tracks
    assert first.end_s == second.start_s == pytest.approx(6.0, abs=0.05)
    assert first.quality[0] == second.quality[-1] == pytest.approx(0.8)
    assert first.quality[-1] < 0.3
    assert second.quality[0] < 0.3


def test_a_fragment_ends_where_it_was_asked_to_end(thumbnails: list[Thumbnail]) -> None:
    # The last frame says that it lasts for hours, as before a clock that jumps.
    seen = Scan(tuple(frames()[:20]), (0.0,), tuple(thumbnails[:40]), 40, 18000.0)
    found = linked([seen], AnalysisConfig(sampling=SamplingConfig(fragment=(0.0, 3.95))))
    assert found.shots == ((0.0, 3.95),)
    assert max(track.end_s for track in found.tracks) <= 3.95
    assert found.info.fps == pytest.approx(10, rel=0.02)


def test_the_end_is_that_of_the_last_frame_and_not_what_an_earlier_one_claims(thumbnails: list[Thumbnail]) -> None:
    seen = parts(thumbnails, 4.0)
    claiming = Scan(seen[0].frame_faces, seen[0].cuts_s, seen[0].thumbnails, seen[0].frames, 18000.0)
    assert linked([claiming, *seen[1:]]).shots[-1][1] == LENGTH_S
    assert (claiming + seen[1]).end_s == seen[1].end_s
    assert (claiming + Scan()).end_s == 18000.0


def test_linking_can_be_stopped_between_segments(thumbnails: list[Thumbnail]) -> None:
    asked = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) == 2

    with pytest.raises(AnalysisStoppedError):
        link_segments(INFO, AnalysisConfig(), "dlib-resnet-v1", PAIR, parts(thumbnails, 4.0), should_stop=should_stop)
    assert len(asked) == 2
