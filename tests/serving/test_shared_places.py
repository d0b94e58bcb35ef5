"""Several nodes refuse to start without a store and a home that they share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from facerec_models.errors import InputError
from serving.jobs.nodes import require_shared_places
from serving.settings import Settings
from tests.waiting import WAIT_S

MONGODB = {"store": "mongodb://db.example:27017/facerec"}
SHARED = {"shared_home": True}


@pytest.mark.parametrize(
    ("given", "nodes", "lacking"),
    [
        ({}, 1, []),
        ({}, 2, ["2 nodes", "SQLite", "FACEREC_STORE", "FACEREC_SHARED_HOME"]),
        (MONGODB, 2, ["/the/home", "FACEREC_SHARED_HOME"]),
        (MONGODB | SHARED, 2, []),
    ],
)
def test_several_nodes_without_shared_places_are_refused(
    given: dict[str, object], nodes: int, lacking: list[str]
) -> None:
    settings = Settings(home=Path("/the/home"), **given)
    if not lacking:
        require_shared_places(settings, nodes)
        return
    with pytest.raises(InputError) as caught:
        require_shared_places(settings, nodes)
    for part in lacking:
        assert part in str(caught.value)
    for part in {"SQLite", "FACEREC_SHARED_HOME"}.difference(lacking):
        assert part not in str(caught.value)


def test_a_shared_home_needs_a_shared_store() -> None:
    with pytest.raises(ValueError, match="set FACEREC_STORE, too"):
        Settings(home=Path("/the/home"), shared_home=True)


_BUILD = """
import json, sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from facerec_models.errors import InputError
from serving.app import AppArgs, build_graph

node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "node_ip_address": "127.0.0.1"}
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
ray.init(address=cluster.address, log_to_driver=False)
results = []
for _ in range(2):
    try:
        build_graph(AppArgs(home=Path(sys.argv[1])), {})
        results.append("built")
    except InputError as error:
        results.append(str(error))
    if len(results) == 1:
        cluster.add_node(**node)
        cluster.wait_for_nodes()
build_graph(AppArgs(home=Path(sys.argv[1]), store="mongodb://127.0.0.1:1/x", shared_home=True), {})
print(json.dumps(results))
ray.shutdown()
cluster.shutdown()
"""


def test_a_second_node_keeps_the_graph_from_being_built(tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FACEREC_", "RAY_"))}
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, str(tmp_path)],
        env={**inherited, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    alone, together = json.loads(done.stdout.splitlines()[-1])
    assert alone == "built"
    assert "2 nodes" in together
    assert "FACEREC_STORE" in together
