"""What is wired and configured."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from ray.serve.exceptions import BackPressureError
from ray.serve.schema import ServeDeploySchema

from facerec_models.config import DetectionConfig
from facerec_models.errors import DeviceError, InputError
from facerec_models.types import Detections
from serving.deployments.batching import run_batch
from serving.deployments.detector import DetectorReplica
from serving.deployments.remote_call import call
from serving.local import find_config, run_service
from tests.waiting import WAIT_S

_PROBE = """
import sys
import ray
from serving.app import build_app
from serving.deployments.detector import DetectorReplica
from facerec_models.errors import DeviceError

def bound(argument):
    return getattr(argument, "_bound_deployment", argument)

ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
detector, embedder = map(bound, bound(build_app({"home": sys.argv[1]})).init_args[1:3])
for one in (detector, embedder):
    print(one.name, one.ray_actor_options.get("num_gpus"), one.init_args[0].device)
try:
    DetectorReplica(detector.init_args[0])
except DeviceError as error:
    print(error)
ray.shutdown()
"""


def test_networks_ask_for_a_gpu_where_the_cluster_has_one(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _PROBE, str(tmp_path)], capture_output=True, text=True, check=False, timeout=WAIT_S
    )
    lines = run.stdout.splitlines()
    assert lines[:2] == ["FaceDetector 0.25 cuda", "FaceEmbedder 0.25 cuda"], run.stderr[-3000:]
    assert "torch sees no CUDA device" in lines[2]


def test_the_configuration_is_one_of_serve() -> None:
    document = yaml.safe_load(find_config().read_text())
    schema = ServeDeploySchema(**document)
    deployments = {deployment.name: deployment for deployment in schema.applications[0].deployments}
    assert set(deployments) == {"FaceDetector", "FaceEmbedder", "IdentityClassifier", "VideoAnalyzer", "Api"}
    assert schema.http_options.host == "127.0.0.1"
    assert deployments["FaceDetector"].max_ongoing_requests >= 2 * 8
    assert deployments["FaceEmbedder"].max_ongoing_requests >= 2 * 16


def test_a_configuration_that_is_none_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("applications: []")
    with (
        pytest.raises(InputError, match=r"broken\.yaml"),
        run_service(tmp_path, host="127.0.0.1", port=1, config=broken),
    ):
        pass


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(InputError, match=f"127.0.0.1:{port} .* choose another --port"),
            run_service(tmp_path / "home", host="127.0.0.1", port=port),
        ):
            pass
    assert not (tmp_path / "home").exists()


def test_a_bad_request_fails_alone_in_its_batch() -> None:
    class Picky:
        def detect(self, images):  # type: ignore[no-untyped-def]
            if any(image.max() == 255 for image in images):
                raise ValueError("too bright")
            return [Detections.empty()] * len(images)

    replica = DetectorReplica(DetectionConfig(), engine=Picky())
    dark, bright = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    good, bad, empty = replica.detect_all([[dark, dark], [bright], []])
    assert len(good.unwrap()) == 2
    assert empty.unwrap() == []
    with pytest.raises(ValueError, match="too bright"):
        bad.unwrap()
    assert [answer.unwrap() for answer in run_batch([1, 2], lambda items: [item * 2 for item in items])] == [2, 4]


def test_a_device_that_is_missing_is_never_replaced() -> None:
    with pytest.raises(DeviceError, match="cuda"):
        DetectorReplica(DetectionConfig(device="cuda"))


def test_a_remote_request_waits_for_room_within_its_patience() -> None:
    class Full:
        def __init__(self, times: int) -> None:
            self.times = times

        def remote(self, value: int):  # type: ignore[no-untyped-def]
            self.times -= 1
            if self.times >= 0:
                raise BackPressureError(num_queued_requests=1, max_queued_requests=1)
            return SimpleNamespace(result=lambda timeout_s: value)

    assert call(Full(2), 7, patience_s=5.0) == 7
    with pytest.raises(BackPressureError):
        call(Full(1), 7)
