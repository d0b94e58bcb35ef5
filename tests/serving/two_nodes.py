"""``python -m tests.serving.two_nodes HOME STORE PORT``: the graph on a Ray cluster of two nodes of this machine.

Prints how a home that the nodes do not share is refused, and the service's address. A line on standard input kills the second node,
as if its machine had gone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from training.ray_environment import prepare_environment


def main() -> None:
    home, store, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    answers, sys.stdout = sys.stdout, sys.stderr  # Ray says there what nodes die of
    prepare_environment(home)

    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    from facerec_models.errors import InputError
    from serving.app import AppArgs, build_graph

    small = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(
        initialize_head=True, head_node_args={**small, "node_ip_address": "127.0.0.1", "resources": {"head": 1}}
    )
    second = cluster.add_node(**{**small, "resources": {"second": 1}})
    ray.init(address=cluster.address, configure_logging=False, log_to_driver=False)
    try:
        try:
            build_graph(AppArgs(home=home), {})
            refusal = None
        except InputError as error:
            refusal = str(error)
        # As in serve_config.yaml: a proxy of the second node would share the port, and die with it.
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
        at_head = {"ray_actor_options": {"num_cpus": 0.1, "resources": {"head": 0.01}}}
        options = {
            **dict.fromkeys(("FaceDetector", "FaceEmbedder", "IdentityClassifier", "Api"), at_head),
            "VideoAnalyzer": {
                "num_replicas": 2,
                "max_replicas_per_node": 1,
                "ray_actor_options": {"num_cpus": 0.1},
                "health_check_period_s": 2,
                "health_check_timeout_s": 5,
            },
        }
        args = AppArgs(home=home, store=store, shared_home=True, slots=1)  # type: ignore[arg-type]
        serve.run(build_graph(args, options), name="facerec", route_prefix="/")
        print(json.dumps({"refusal": refusal, "service": f"http://127.0.0.1:{port}"}), file=answers, flush=True)
        if sys.stdin.readline():
            cluster.remove_node(second, allow_graceful=False)
            print(json.dumps({"removed": True}), file=answers, flush=True)
            sys.stdin.readline()
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
