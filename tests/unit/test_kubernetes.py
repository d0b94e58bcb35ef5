"""docs/operators/kubernetes: objects are valid, refer to each other, and run what serve_config.yaml runs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version
from pydantic import BaseModel
from ray.serve.schema import ServeDeploySchema

from serving.settings import Settings
from training.ray_environment import INGRESS_HOOK, INGRESS_VARIABLE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kubernetes_validate

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs/operators/kubernetes"
KUBERNETES = "1.31"
# Fields of KubeRay's objects, as the JSON names in its ray-operator/apis/ray/v1/rayservice_types.go and raycluster_types.go, and
# authOptions as its release 1.5.1 describes it. Those of Kubernetes' own objects in them are checked by Kubernetes' schema.
RAY_FIELDS = {
    "RayServiceSpec": {"serveConfigV2", "rayClusterConfig", "serveService"},
    "RayClusterSpec": {
        "headGroupSpec",
        "workerGroupSpecs",
        "rayVersion",
        "enableInTreeAutoscaling",
        "autoscalerOptions",
        "headServiceAnnotations",
        "suspend",
        "authOptions",
    },
    "HeadGroupSpec": {"serviceType", "headService", "enableIngress", "rayStartParams", "template"},
    "WorkerGroupSpec": {
        "groupName",
        "replicas",
        "minReplicas",
        "maxReplicas",
        "numOfHosts",
        "rayStartParams",
        "template",
        "scaleStrategy",
    },
    "AutoscalerOptions": {
        "resources",
        "image",
        "imagePullPolicy",
        "env",
        "envFrom",
        "volumeMounts",
        "securityContext",
        "idleTimeoutSeconds",
        "upscalingMode",
    },
}
# Variables that are read by others than the service's settings.
FOREIGN = {
    INGRESS_VARIABLE: INGRESS_HOOK,
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MALLOC_ARENA_MAX": "2",
}


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return document


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    """What the RayService says of the cluster."""
    return load("rayservice.yaml")["spec"]["rayClusterConfig"]  # type: ignore[no-any-return]


def groups(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def pods(cluster: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pods of each group, as Kubernetes would be given them."""
    for group in groups(cluster):
        template = group["template"]
        metadata = {**template["metadata"], "name": group.get("groupName", "head")}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def containers(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [container for pod in pods(cluster) for container in pod["spec"]["containers"]]


@pytest.mark.parametrize(
    "name", ["namespace.yaml", "storage.yaml", "secret.example.yaml", "networkpolicy.yaml", "poddisruptionbudget.yaml"]
)
def test_objects_of_kubernetes_are_valid(name: str) -> None:
    kubernetes_validate.validate(load(name), KUBERNETES, strict=True)


def test_pods_are_valid(cluster: dict[str, Any]) -> None:
    for pod in pods(cluster):
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_a_field_that_kubernetes_does_not_have_is_found(cluster: dict[str, Any]) -> None:
    pod = next(pods(cluster))
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnly"):
        kubernetes_validate.validate({**pod, "spec": {**pod["spec"], "readOnly": True}}, KUBERNETES, strict=True)


def test_the_ray_service_has_fields_that_there_are(cluster: dict[str, Any]) -> None:
    service = load("rayservice.yaml")
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    parts = {
        "RayServiceSpec": [service["spec"]],
        "RayClusterSpec": [cluster],
        "HeadGroupSpec": [cluster["headGroupSpec"]],
        "WorkerGroupSpec": cluster["workerGroupSpecs"],
        "AutoscalerOptions": [cluster["autoscalerOptions"]],
    }
    for kind, found in parts.items():
        for one in found:
            assert set(one) <= RAY_FIELDS[kind], kind
    assert cluster["authOptions"] == {"mode": "token"}
    for group in groups(cluster):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    ours, installed = Version(cluster["rayVersion"]), Version(version("ray"))
    assert (ours.major, ours.minor) == (installed.major, installed.minor)


def test_the_same_is_served_as_without_kubernetes() -> None:
    here = yaml.safe_load(load("rayservice.yaml")["spec"]["serveConfigV2"])
    alone = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    ServeDeploySchema(**here)
    assert (here.pop("proxy_location"), here["http_options"].pop("host")) == ("EveryNode", "0.0.0.0")
    del alone["proxy_location"], alone["http_options"]["host"]
    (ours,), (theirs,) = here.pop("applications"), alone.pop("applications")
    assert here == alone
    mine, shipped = ({one["name"]: one for one in each.pop("deployments")} for each in (ours, theirs))
    assert list(mine) == list(shipped)
    for name, deployment in mine.items():
        # What differs: numbers that follow the work, and what each replica asks for.
        for key in ("num_replicas", "autoscaling_config", "ray_actor_options"):
            deployment.pop(key, None)
            shipped[name].pop(key, None)
        assert deployment == shipped[name], name
    del ours["args"], theirs["args"]
    assert ours == theirs


def test_analyzers_follow_the_queue_and_networks_ask_for_gpus() -> None:
    document = yaml.safe_load(load("rayservice.yaml")["spec"]["serveConfigV2"])
    deployments = {one["name"]: one for one in document["applications"][0]["deployments"]}
    policy = deployments["VideoAnalyzer"]["autoscaling_config"]["policy"]["policy_function"]
    module, _, function = policy.partition(":")
    source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
    assert f"def {function}(" in source
    for name in ("FaceDetector", "FaceEmbedder"):
        assert deployments[name]["ray_actor_options"]["num_gpus"] > 0
        limit = deployments[name]["autoscaling_config"]
        assert limit["target_ongoing_requests"] < deployments[name]["max_ongoing_requests"]
    service = load("rayservice.yaml")["spec"]["rayClusterConfig"]
    assert service["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert any(
        "nvidia.com/gpu" in container["resources"]["limits"]
        for group in service["workerGroupSpecs"]
        for container in group["template"]["spec"]["containers"]
    )


def is_setting(name: str) -> bool:
    """Whether the settings have a variable such as ``FACEREC_ACCESS__KEYS``."""
    model: Any = Settings
    for part in name.removeprefix("FACEREC_").lower().split("__"):
        if not (isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields):
            return False
        model = model.model_fields[part].annotation
    return True


def test_each_variable_is_a_setting(cluster: dict[str, Any]) -> None:
    assert not is_setting("FACEREC_ACCESS__KEY")
    for container in containers(cluster):
        environment = {one["name"]: one for one in container["env"]}
        for name, one in environment.items():
            if name.startswith("FACEREC_"):
                assert is_setting(name), name
            elif not name.startswith("AWS_"):
                assert one["value"] == FOREIGN[name]
        assert set(FOREIGN) <= set(environment)
        assert environment["FACEREC_SHARED_HOME"]["value"] == "true"
        assert environment["FACEREC_ACCESS__KEYS"]["value"] == "true"


def test_secrets_are_referred_to_and_never_written(cluster: dict[str, Any]) -> None:
    secret = load("secret.example.yaml")
    assert set(secret["stringData"].values()) == {"REPLACE"}
    assert "secret.example.yaml" not in load("kustomization.yaml")["resources"]
    used = {load("podmonitor.yaml")["spec"]["podMetricsEndpoints"][0]["authorization"]["credentials"]["key"]}
    for container in containers(cluster):
        for one in container["env"]:
            reference = one.get("valueFrom", {}).get("secretKeyRef")
            if reference is None:
                assert not re.search("KEY_|_STORE|FILES|PASSWORD|TOKEN", one["name"]), one["name"]
            else:
                assert reference["name"] == secret["metadata"]["name"]
                used.add(reference["key"])
    assert used == set(secret["stringData"])


def test_containers_are_hardened(cluster: dict[str, Any]) -> None:
    contexts = [container["securityContext"] for container in containers(cluster)]
    for context in [*contexts, cluster["autoscalerOptions"]["securityContext"]]:
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    for pod in pods(cluster):
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert (context["runAsUser"], context["runAsGroup"]) == (int(user[1]), int(user[2]))
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_what_is_mounted_is_there(cluster: dict[str, Any]) -> None:
    claim = load("storage.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in pods(cluster):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        (container,) = pod["spec"]["containers"]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) == set(volumes)
        home = next(one["value"] for one in container["env"] if one["name"] == "FACEREC_HOME")
        assert volumes[mounts[home]]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert "/tmp" in mounts


def test_probes_ask_routes_that_there_are_at_ports_that_there_are(cluster: dict[str, Any]) -> None:
    port = yaml.safe_load(load("rayservice.yaml")["spec"]["serveConfigV2"])["http_options"]["port"]
    for container in containers(cluster):
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        assert ports["serve"] == port
        for probe in (container["readinessProbe"], container["livenessProbe"]):
            assert probe["httpGet"]["port"] in {*ports, 52365}
        if container["name"] == "ray-worker":
            ready = container["readinessProbe"]["httpGet"]
            assert (ready["path"], ready["port"]) == ("/readyz", "serve")
            names = next(one["value"] for one in container["env"] if one["name"] == "FACEREC_ALLOWED_HOSTS")
            assert ready["httpHeaders"] == [{"name": "Host", "value": names.split(",")[0]}]
            # It answers within two seconds.
            assert container["readinessProbe"]["timeoutSeconds"] > 2
        else:
            assert container["readinessProbe"]["httpGet"]["path"] == "/api/gcs_healthz"


def test_pods_have_time_to_hand_back_their_work(cluster: dict[str, Any]) -> None:
    document = yaml.safe_load(load("rayservice.yaml")["spec"]["serveConfigV2"])
    longest = max(one.get("graceful_shutdown_timeout_s", 20) for one in document["applications"][0]["deployments"])
    for pod in pods(cluster):
        assert pod["spec"]["terminationGracePeriodSeconds"] > longest + 10


def test_selectors_and_names_refer_to_what_there_is(cluster: dict[str, Any]) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(cluster)]
    budget, monitor, policy = (
        load(f"{name}.yaml")["spec"] for name in ("poddisruptionbudget", "podmonitor", "networkpolicy")
    )
    for selector in (budget["selector"], policy["podSelector"], policy["ingress"][0]["from"][0]["podSelector"]):
        assert all(selector["matchLabels"].items() <= one.items() for one in labels)
    assert [monitor["selector"]["matchLabels"].items() <= one.items() for one in labels] == [True, False, False]
    ports = {one["name"] for container in containers(cluster) for one in container["ports"]}
    assert {port["port"] for rule in policy["ingress"] for port in rule.get("ports", [])} <= ports
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["port"] in ports
    # The operator names the service for requests after the RayService.
    asked = f"{load('rayservice.yaml')['metadata']['name']}-serve-svc"
    assert endpoint["relabelings"][0]["replacement"] == f"{asked}:8000"
    for container in containers(cluster):
        names = next(one["value"] for one in container["env"] if one["name"] == "FACEREC_ALLOWED_HOSTS")
        assert asked in names.split(",")
    kustomization = load("kustomization.yaml")
    for name in (*kustomization["resources"], *kustomization["configurations"]):
        assert (FOLDER / name).is_file()
    assert kustomization["namespace"] == load("namespace.yaml")["metadata"]["name"]
    assert {container["image"] for container in containers(cluster)} == {kustomization["images"][0]["name"]}
    assert {path.name for path in FOLDER.glob("*.yaml")} == {
        "kustomization.yaml",
        "secret.example.yaml",
        *kustomization["resources"],
        *kustomization["configurations"],
    }
