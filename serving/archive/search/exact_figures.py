"""What found appearances say of themselves: the same as the results of their videos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from facerec_models.identification.identify import match_unnamed
from facerec_models.types import Decision, FloatArray, Match
from facerec_models.vectors import track_embedding
from serving.archive.handle import Archive
from serving.archive.naming.current import read_current
from serving.archive.naming.figures import Figure, ScoreFigures, rounded_figure
from serving.archive.vector_sets import TrackKey
from serving.store.naming_rows import AppearanceRow

# Of so many tracks of one analysis each is read by itself; of more, the columns of all.
_FEW = 32


class ExactFigures:
    """What appearances say of themselves by the model that names now.

    The score of a face without a name is kept as it was when the face was named last. An edit that cannot name it does not touch
    it, but may well change who is likeliest: so it is computed anew here.
    """

    def __init__(self, archive: Archive, project: str) -> None:
        self._archive = archive
        self._project = project
        self._model = read_current(archive, project).model
        self.by_score = ScoreFigures(self._model)

    def of(self, rows: Sequence[AppearanceRow]) -> list[Figure]:
        """Return the figures of appearances."""
        figures = self.by_score.of(rows)
        # A video that nothing has named yet has no figures.
        unnamed = [i for i, row in enumerate(rows) if row.decision is not Decision.NAMED and row.first_track > 0]
        if self._model is None or not unnamed:
            return figures
        keys = {i: [(rows[i].analysis_id, track_id) for track_id in rows[i].track_ids] for i in unnamed}
        vectors = self._vectors([key for of_row in keys.values() for key in of_row])
        # What was analysed again meanwhile is as it was.
        there = [i for i in unnamed if all(key in vectors for key in keys[i])]
        if not there:
            return figures
        embeddings = np.stack([vectors[key] for i in there for key in keys[i]])
        matches = iter(match_unnamed(embeddings, self._model, self._archive.rules))
        for i in there:
            best = min((next(matches) for _ in keys[i]), key=_order)
            figures[i] = rounded_figure(best.probability, best.false_name_rate)
        return figures

    def _vectors(self, keys: Sequence[TrackKey]) -> dict[TrackKey, FloatArray]:
        store, project = self._archive.store, self._project
        wanted: dict[str, list[int]] = defaultdict(list)
        for analysis_id, track_id in keys:
            wanted[analysis_id].append(track_id)
        many = sorted(one for one, numbers in wanted.items() if len(numbers) > _FEW)
        found = {
            (analysis_id, track_id): vector
            for analysis_id, columns in (store.get_columns(project, many) if many else {}).items()
            for track_id, vector in zip(columns.track_ids.tolist(), columns.vectors, strict=True)
        }
        few = {one: numbers for one, numbers in wanted.items() if len(numbers) <= _FEW}
        for analysis_id, tracks in (store.pick_tracks(project, few) if few else {}).items():
            found |= {(analysis_id, track.track_id): track_embedding(track) for track in tracks}
        return found


def _order(match: Match) -> tuple[float, float]:
    """Return where a track stands among those of its appearance, as in results: the best first."""
    return -match.score, match.false_name_rate
