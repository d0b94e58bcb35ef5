"""A cluster of two nodes with a store that both reach: segments spread, and a node that goes costs nothing but time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.enrol import enrol
from serving.archive.learning.model_versions import train
from serving.archive.videos import analyze_video, register_video
from serving.settings import Settings
from serving.store.job_rows import JobState
from serving.store.opening import open_store
from tests.serving.service import free_port
from tests.waiting import WAIT_S
from training.pictures import find_pictures
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial


@pytest.mark.timeout(600)
def test_a_node_that_is_killed_costs_time_and_nothing_else(
    material: DemoMaterial, detector: MtcnnDetector, embedder: FaceEmbedder, tmp_path: Path, mongo_store_uri: str
) -> None:
    home, networks, settings = Files(tmp_path / "home"), Networks(detector, embedder), Settings(home=tmp_path / "home")
    with closing(open_store(home.root, SecretStr(mongo_store_uri))) as store:
        pictures = find_pictures(material.people)
        list(enrol(Archive(store, home, settings.identification), "p", pictures, networks, settings.analysis))
        train(Archive(store, home, settings.identification), "p")
        calm = register_video(store, "p", material.reel, AnalysisConfig())
        row = analyze_video(Archive(store, home), calm, AnalysisConfig(), networks)
        expected = store.get_tracks("p", [row.analysis_id])[row.analysis_id]
        store.delete_video("p", calm.video_id)

        command = [sys.executable, "-m", "tests.serving.two_nodes", str(home.root), mongo_store_uri, str(free_port())]
        with (
            (tmp_path / "cluster.log").open("w") as log,
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "FACEREC_SEGMENT_S": "3"},
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                assert line, (tmp_path / "cluster.log").read_text()[-3000:]
                shown = json.loads(line)
                assert all(part in shown["refusal"] for part in ("2 nodes", "FACEREC_STORE", "FACEREC_SHARED_HOME"))
                with FacerecClient(shown["service"]) as client:
                    job_id, video_id = client.submit_video("p", material.reel)
                    owners: set[str] = set()
                    deadline = time.monotonic() + WAIT_S
                    while len(owners) < 2 or not any(
                        segment.state is JobState.SUCCEEDED for segment in store.get_job(job_id).segments
                    ):
                        assert time.monotonic() < deadline, store.get_job(job_id)
                        running = [segment.owner for segment in store.get_job(job_id).segments if segment.owner]
                        owners |= {owner.partition("/")[0] for owner in running}
                        time.sleep(0.1)
                    process.stdin.write("kill\n")
                    process.stdin.flush()
                    assert json.loads(process.stdout.readline())["removed"]
                    assert client.wait(job_id).state == "succeeded"
                job = store.get_job(job_id)
                assert len(job.segments) > 5
                assert sum(segment.attempt - 1 for segment in job.segments) <= 1
            finally:
                process.stdin.close()
                process.wait(WAIT_S)
        analysis = store.latest_analysis("p", video_id)
        tracks = store.get_tracks("p", [analysis.analysis_id])[analysis.analysis_id]
        assert [track.track_id for track in tracks] == [track.track_id for track in expected]
        for one, other in zip(tracks, expected, strict=True):
            np.testing.assert_array_equal(one.frame_indexes, other.frame_indexes)
            np.testing.assert_allclose(one.boxes, other.boxes, atol=0.05)
            np.testing.assert_allclose(one.embeddings, other.embeddings, atol=2e-3)
