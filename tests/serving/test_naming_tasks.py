"""The blocks of a large archive are tasks where Ray runs; names are the same to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.naming import whole_archive
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current
from serving.store.opening import open_store
from tests.archive import RULES, fill, put_mirror, put_video
from tests.builders import cohort
from training.ray_tasks import Workers


@pytest.fixture
def own_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Ray of this process."""
    with Workers(tmp_path_factory.mktemp("ray-home")) as workers:
        pair = cohort().pair
        workers.map(
            whole_archive.name_block, [[]], None, RULES, pair, on_done=lambda *_: None, should_stop=lambda: False
        )
        yield


def grouped_anew(home: Path) -> dict[str, Any]:
    """Return all that is stored of names once an archive is named again by another accepted error."""
    with closing(open_store(home)) as store:
        archive = Archive(store, Files(home))
        fill(archive)
        put_mirror(archive, "v-3", 2, 1)
        for number in range(4, 9):
            assign_current(archive, put_video(archive, f"v-{number}", number, seen=(1, 2, number, number + 3)))
        change = identify_archive(archive, "p", max_false_names=0.03)
        return {
            "change": change.to_dict(),
            "named": [
                [value.tobytes() if isinstance(value, np.ndarray) else value for value in _values(row)]
                for row in store.list_named("p")
            ],
            "strangers": [(row.stranger_id, row.number) for row in store.list_strangers("p")],
            "tracks": [
                (row.analysis_id, row.track_id, row.stranger_id, row.embedding.tobytes())
                for row in store.list_stranger_tracks("p")
            ],
            "appearances": store.list_appearances("p", [row.analysis_id for row in store.list_named("p")]),
        }


def _values(row: Any) -> list[Any]:
    return [getattr(row, field.name) for field in fields(row)]


def test_tasks_name_as_one_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_ray: None) -> None:
    monkeypatch.setattr(whole_archive, "BLOCK", 1)
    alone = grouped_anew(tmp_path / "alone")
    monkeypatch.setattr(whole_archive, "_WORTH_TASKS", 2)
    monkeypatch.setattr("training.ray_tasks._free_cpus", lambda: 2)
    asked: list[int] = []
    original = Workers.map

    def map_and_count(self: Workers, function: Any, batches: Any, *shared: Any, **how: Any) -> Any:
        done = original(self, function, batches, *shared, **how)
        asked.append(len(done))
        return done

    monkeypatch.setattr(Workers, "map", map_and_count)
    assert grouped_anew(tmp_path / "tasks") == alone
    assert asked == [2, 8]
