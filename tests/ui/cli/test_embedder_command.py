"""``facerec embedder``: prepare, compare and switch, and the undo that all changes of names share."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facerec_models.analysis.weights import FACENET_VGGFACE2
from facerec_models.files import write_atomically
from facerec_models.identification.cohort import load_cohort, save_cohort
from facerec_models.images import encode_crop
from facerec_models.vectors import normalize
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.store.opening import open_store
from tests.archive import fill
from tests.builders import EMBEDDER
from tests.ui.command import ask_p, run

B = FACENET_VGGFACE2.name


@pytest.fixture
def home(tmp_path: Path, facenet_weights: Path) -> Path:
    """A small archive whose crops can be read, and strangers for a network that none are shipped for."""
    home = Files(tmp_path / "home")
    with closing(open_store(home.root)) as store:
        fill(Archive(store, home))
        rng = np.random.default_rng(1)
        for face in store.list_faces("p"):
            noise = rng.integers(0, 255, (150, 150, 3)).astype(np.uint8)
            write_atomically(home.face_crop("p", face.face_id), encode_crop(noise))
    home.weights.symlink_to(facenet_weights)
    strangers = normalize(rng.normal(size=(60, 512)).astype(np.float32))
    save_cohort(replace(load_cohort(B), stills=strangers, tracks=strangers, source="random"), home.cohort("p", B))
    return home.root


def test_a_set_is_prepared_compared_switched_and_taken_back(home: Path) -> None:
    assert "no second set" in run(home, "embedder", "compare", "--project", "p", code=1).error
    assert "weights fetch" in run(home, "embedder", "prepare", "facenet-casia", "--project", "p", code=1).error
    before = ask_p(home, "search", "person", "Unknown 1")
    prepared = ask_p(home, "embedder", "prepare", B)
    assert (prepared["embedder"], prepared["videos"], prepared["made"], prepared["tracks"]) == (B, 2, 2, 8)
    assert "0 of them made now" in run(home, "embedder", "prepare", B, "--project", "p").stdout
    versions = {row["version"]: row["promoted"] for row in ask_p(home, "models", "list")}
    assert versions[prepared["version"]] is False

    compared = ask_p(home, "embedder", "compare", "--model", prepared["version"])
    assert (compared["present"]["embedder"], compared["prepared"]["embedder"]) == (EMBEDDER, B)
    assert compared["present"]["cross_validated"] == {"faces": 6, "nearest": 6, "named": 6, "wrong": 0}
    assert (compared["agreement"]["tracks"], compared["change"]["applied"]) == (8, False)
    text = run(home, "embedder", "compare", "--project", "p").stdout
    assert "of 8 of the tracks are decided alike" in text
    version = text.split("facerec embedder switch --expect ")[1].split("'")[0]
    assert version == str(compared["change"]["version"])
    assert ask_p(home, "search", "person", "Unknown 1") == before

    refused = run(home, "embedder", "switch", "--expect", 1, "--project", "p", code=1)
    assert "preview again" in refused.error
    switched = ask_p(home, "embedder", "switch", "--expect", version)
    assert switched["people"] == compared["change"]["people"]
    assert B in run(home, "projects", "list").stdout
    last = ask_p(home, "history", "list")[-1]
    assert (last["cause"], last["note"]) == ("embedder", f"{B} in place of {EMBEDDER}")

    undone = ask_p(home, "history", "undo", switched["edit"])
    assert (undone["videos"], undone["applied"]) == (2, True)
    assert ask_p(home, "search", "person", "Unknown 1") == before
    assert "is of" in run(home, "embedder", "switch", "--project", "p").stdout
