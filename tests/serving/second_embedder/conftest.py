"""An archive by dlib's network, beside which a second set can be prepared."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from facerec_models.analysis.networks import Networks
from facerec_models.identification.cohort import Cohort, save_cohort
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.search.strangers import rank_strangers
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from serving.store.opening import open_store
from tests.serving.second_embedder.archives import ANALYSIS, B, ids, make_archive, of_fragment
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="package")
def corrected_home(
    tmp_path_factory: pytest.TempPathFactory,
    material: DemoMaterial,
    clip: Path,
    facenet_weights: Path,
    networks: Networks,
) -> Path:
    """The home of an archive with a named stranger and corrections: copy it, and leave it as it is."""
    home = Files(tmp_path_factory.mktemp("archive"))
    with closing(open_store(home.root)) as store:
        archive = Archive(store, home)
        make_archive(
            archive, networks, material, [(clip, ANALYSIS), (material.reel, of_fragment(13.0, 26.0))], facenet_weights
        )
        first, second = rank_strangers(archive, "p", limit=2).strangers
        name_stranger(archive, "p", first.stranger_id, "Dee")
        sighting = second.sightings[0]
        denied = TrackCorrection(sighting.video_id, sighting.track_id, CorrectionKind.IS_NOT, second.stranger_id)
        collins = next(
            row for row in store.list_appearances("p", ids(store)) if row.owner == "Eileen_Collins" and row.track_ids
        )
        wrong = TrackCorrection(collins.video_id, collins.track_ids[0], CorrectionKind.IS_NOT, "Dee")
        correct(archive, "p", [denied, wrong])
    return home.root


@pytest.fixture
def home(corrected_home: Path, facenet_strangers: Cohort, tmp_path: Path) -> Files:
    """A copy of that home, with strangers for the second network."""
    shutil.copytree(corrected_home, tmp_path / "home", symlinks=True)
    home = Files(tmp_path / "home")
    save_cohort(facenet_strangers, home.cohort("p", B))
    return home


@pytest.fixture
def store(home: Files) -> Iterator[Store]:
    with closing(open_store(home.root)) as store:
        yield store
