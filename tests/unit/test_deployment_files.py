"""What operators start from: compose.yaml refers to what is there, and each line of serve_config.yaml is explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return document


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield key
            yield from keys(below)
    elif isinstance(value, list):
        for one in value:
            yield from keys(one)


def test_each_key_of_the_serve_configuration_is_explained() -> None:
    document = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    explained = set(re.findall(r"`(\w+)`", (ROOT / "docs/operators/serve-config.md").read_text()))
    assert set(keys(document)) - explained == set()


def test_each_release_has_a_serve_configuration_of_its_own() -> None:
    document = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    assert document["applications"][0]["args"]["release"] == version("facerec")


def test_each_container_is_hardened_and_reached_from_this_machine_alone(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"facerec", "mongodb", "prometheus", "grafana"}
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "always", name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port}"
        assert "privileged" not in service
        assert "network_mode" not in service


def test_what_compose_refers_to_is_there(compose: dict[str, Any]) -> None:
    used: dict[str, set[str]] = {"volumes": set(), "secrets": set(), "configs": set()}
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_file(), f"{name} mounts {source}"
                assert volume.endswith(":ro"), f"{name} may change {source}"
            else:
                used["volumes"].add(source)
        used["secrets"] |= set(service.get("secrets", []))
        used["configs"] |= {one["source"] for one in service.get("configs", [])}
        for other in service.get("depends_on", ()):
            assert other in compose["services"]
    for kind, names in used.items():
        assert names == set(compose[kind]), kind


def test_no_secret_is_written_in_compose(compose: dict[str, Any]) -> None:
    for secret in compose["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|TOKEN|SECRET|STORE", name) or value.startswith("/run/secrets/"), name


def test_a_service_has_time_to_end_in_order(compose: dict[str, Any]) -> None:
    assert int(compose["services"]["facerec"]["stop_grace_period"].removesuffix("s")) >= 15


def test_prometheus_scrapes_the_service_as_it_does_without_containers(compose: dict[str, Any]) -> None:
    here = yaml.safe_load(compose["configs"]["prometheus"]["content"])
    alone = yaml.safe_load((ROOT / "docs/operators/monitoring/prometheus.yaml").read_text())
    for document in (here, alone):
        for job in document["scrape_configs"]:
            job["static_configs"] = None
            job.pop("authorization", None)  # where keys are asked for, which is always so in containers
    assert here == alone
