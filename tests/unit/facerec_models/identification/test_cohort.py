from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.errors import WeightsError
from facerec_models.identification import cohort as module
from facerec_models.identification.cohort import load_cohort, save_cohort
from tests.builders import EMBEDDER, cohort


def test_a_cohort_is_shipped_for_the_packaged_network(embedder: FaceEmbedder) -> None:
    shipped = load_cohort(embedder.name)
    assert shipped.embedder == embedder.name
    for vectors in (shipped.stills, shipped.tracks):
        assert vectors.shape[1] == embedder.dimension
        assert vectors.dtype == np.float32
        assert len(vectors) >= 500
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_its_scales_separate_the_same_from_different_people() -> None:
    shipped = cohort()
    different = shipped.stills @ shipped.stills.T
    typical = float(np.median(different[np.triu_indices(len(different), 1)]))
    assert shipped.pair.log_odds(np.array([typical]))[0] < -3
    for genuine in (shipped.genuine_stills, shipped.genuine_tracks):
        assert typical < genuine.mean - 4 * genuine.deviation
        assert shipped.pair.log_odds(np.array([genuine.mean]))[0] > 3


def test_the_odds_are_even_at_the_midpoint() -> None:
    pair = cohort().pair
    np.testing.assert_allclose(pair.log_odds(np.array([pair.midpoint, pair.midpoint + 1 / pair.slope])), [0, 1])


def test_a_network_without_a_cohort_is_refused() -> None:
    with pytest.raises(WeightsError, match="nothing is known of similarities of the embedder 'other'"):
        load_cohort("other")


def test_a_saved_cohort_is_loaded_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cohorts").mkdir()
    save_cohort(cohort(), tmp_path / "cohorts" / f"{EMBEDDER}.npz")
    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    again = load_cohort(EMBEDDER)
    np.testing.assert_array_equal(again.stills, cohort().stills)
    np.testing.assert_array_equal(again.tracks, cohort().tracks)
    assert (again.pair, again.genuine_stills, again.genuine_tracks, again.source) == (
        cohort().pair,
        cohort().genuine_stills,
        cohort().genuine_tracks,
        cohort().source,
    )
