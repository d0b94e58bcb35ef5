"""Wire the graph: ``serve run serve_config.yaml``, ``facerec serve`` and the tests all build it here."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import ray
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from ray import serve
from ray.serve import Application

from facerec_models.analysis.embedders.known import choose_embedder_engine, find_embedder
from facerec_models.analysis.engines.choice import choose_engine
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import DetectionConfig, EmbeddingConfig
from serving.api.app import ApiReplica
from serving.archive.files import Files
from serving.deployments.analyzer import AnalyzerReplica
from serving.deployments.classifier import ClassifierReplica
from serving.deployments.detector import DetectorReplica
from serving.deployments.embedder import EmbedderReplica
from serving.jobs.nodes import count_nodes, require_shared_places
from serving.settings import Settings

_log = logging.getLogger(__name__)

# No more have been measured on one machine.
_MAX_ANALYZERS = 4

Placed = TypeVar("Placed", DetectionConfig, EmbeddingConfig)


class AppArgs(BaseModel):
    """What ``args:`` of serve_config.yaml may say; it overrides the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Path | None = Field(default=None, description="Where everything is kept.")
    files: str | None = Field(default=None, description="Where crops, models and parts of jobs are.")
    store: SecretStr | None = Field(
        default=None, description="A MongoDB database; a secret, unless it needs no password."
    )
    shared_home: bool | None = Field(default=None, description="Whether all nodes share the home's file system.")
    release: str | None = Field(
        default=None,
        description="Of the file, told where another one is installed. Serve replaces no replica unless something here has changed.",
    )
    threads: int = Field(default=0, ge=0, description="Of each network's replica; 0: one for each core.")
    analyzers: int = Field(
        default=0, ge=0, description="Processes that work on videos; 0: one for each core of the cluster, at most four."
    )
    slots: int = Field(
        default=1, ge=1, description="Videos at a time for each analyzer: they share its memory, and its death."
    )
    gpu_share: float = Field(
        default=0.25, gt=0, le=1, description="Of a GPU, for each network's replica, where there is one."
    )


def build_app(args: dict[str, Any]) -> Application:
    """Build the graph for ``serve run`` and ``serve deploy``, which apply the file's ``deployments:`` themselves."""
    given = AppArgs(**args)
    installed = version("facerec")
    if given.release not in (None, installed):
        _log.warning(
            "the file's args are of release %s, installed is %s: say so there, so that Serve replaces the replicas",
            given.release,
            installed,
        )
    return build_graph(given, {})


def build_graph(args: AppArgs, options: Mapping[str, dict[str, Any]]) -> Application:
    """Build the graph for the cluster that Ray is connected to.

    Where the cluster has GPUs, both networks ask for a share of one and for the device ``cuda``: a replica that gets none says so
    instead of falling back to the CPU.

    Parameters
    ----------
    options : mapping of str to dict
        Options of deployments by name, as in the file's ``deployments:``.

    Raises
    ------
    InputError
        If the cluster has several nodes, and store or home are not shared by them.
    WeightsError
        If there is no embedder as the settings name it.
    """
    given = args.model_dump(include={"home", "files", "store", "shared_home"}, exclude_none=True)
    settings = Settings(**given)
    home = Files.at(settings.home, settings.files)
    settings = settings.model_copy(update={"home": home.root})
    require_shared_places(settings, count_nodes())
    cluster: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpu = args.gpu_share if cluster.get("GPU", 0) > 0 else 0.0
    detection, detector_gpu = _placed(settings.analysis.detection, gpu)
    known = find_embedder(settings.analysis.embedding.embedder, WeightsRegistry(home.weights))
    choose_embedder_engine(known, settings.analysis.embedding)
    embedding, embedder_gpu = _placed(settings.analysis.embedding, 0.0 if known.is_onnx else gpu)
    # Or a replica that begins later might find another network under "auto" or "onnx".
    embedding = embedding.model_copy(update={"embedder": known.name})
    threads = args.threads or os.cpu_count() or 1
    # Threads of replicas that wait must not spin: they share the cores. Frames that many threads take and give back fragment as
    # many heaps of the C library, and memory would creep up over hours; taken from the system one by one and given back to it,
    # those of an analyzer need half the memory in the same time.
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(threads), "MALLOC_ARENA_MAX": "2"}

    def network(gpu: float) -> dict[str, Any]:
        return {"num_cpus": 0.2, "num_gpus": gpu, "runtime_env": {"env_vars": quiet}}

    def deployment(replica: type, name: str, resources: dict[str, Any], replicas: int = 1) -> serve.Deployment:
        own = options.get(name, {})
        # Serve takes a number or bounds, not both.
        number = {} if own.get("autoscaling_config") else {"num_replicas": replicas}
        return serve.deployment(name=name, **{**number, "ray_actor_options": resources, **own})(replica)

    detector = deployment(DetectorReplica, "FaceDetector", network(detector_gpu)).bind(
        detection, threads, settings=settings
    )
    embedder = deployment(EmbedderReplica, "FaceEmbedder", network(embedder_gpu)).bind(
        embedding, home.weights, threads, settings=settings
    )
    light = {"num_cpus": 0.1, "runtime_env": {"env_vars": {**quiet, "MALLOC_MMAP_THRESHOLD_": str(128 * 2**10)}}}
    classifier = deployment(ClassifierReplica, "IdentityClassifier", light).bind(settings)
    analyzers = args.analyzers or min(_MAX_ANALYZERS, int(cluster.get("CPU", 1)) or 1)
    analyzer = deployment(AnalyzerReplica, "VideoAnalyzer", light, analyzers).bind(
        settings, detector, embedder, args.slots
    )
    return deployment(ApiReplica, "Api", light).bind(settings, detector, embedder, classifier, analyzer)


def _placed(config: Placed, gpu: float) -> tuple[Placed, float]:
    """Return a network's settings with the device that is meant in this cluster, and the network's share of a GPU.

    Raises
    ------
    DeviceError
        If the settings contradict each other.
    """
    if config.device == "cpu" or config.engine == "openvino":
        choose_engine(config.engine, config.device, config.precision)
        return config.model_copy(update={"device": "cpu"}), 0.0
    is_on_cuda = gpu > 0 or config.device == "cuda"
    return config.model_copy(update={"device": "cuda" if is_on_cuda else "cpu"}), gpu
