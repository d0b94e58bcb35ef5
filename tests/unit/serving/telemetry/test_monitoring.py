"""What operators load into Prometheus and Grafana asks for nothing that the service does not export."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import Metric

from serving.api.health import _places, _queue
from serving.telemetry.metrics import REGISTRY
from tests.serving.routes import bare_api
from tests.unit.test_imports import ROOT

PLACE = ROOT / "docs/operators/monitoring"
_ENDINGS = {"counter": [""], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def dashboard() -> list[str]:
    panels = json.loads((PLACE / "dashboard.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def alerts() -> list[str]:
    groups = yaml.safe_load((PLACE / "alerts.yaml").read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def exported(families: Iterator[Metric] | list[Metric]) -> set[str]:
    """Return the names under which families are asked for; a counter's ends with _total."""
    names = set()
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        names |= {name + ending for ending in _ENDINGS[family.type]}
    return names


@pytest.fixture
def names(archive: object) -> set[str]:
    service = bare_api(archive).state.service  # type: ignore[arg-type]
    return exported([*REGISTRY.collect(), *_places(service), *_queue([], 0.0)])


@pytest.mark.parametrize("queries", [dashboard, alerts])
def test_every_metric_that_is_asked_for_is_exported(names: set[str], queries: object) -> None:
    asked = {name for query in queries() for name in re.findall(r"facerec_\w+", query)}  # type: ignore[operator]
    assert asked
    assert asked <= names, f"nothing exports {sorted(asked - names)}"


def test_every_metric_is_in_the_table_of_the_manual(names: set[str]) -> None:
    page = (ROOT / "docs/operators/monitoring.md").read_text()
    told = set(re.findall(r"`(facerec_\w+)`", page))
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    assert told == families


def test_names_are_as_prometheus_wants_them(names: set[str]) -> None:
    for family in REGISTRY.collect():
        assert re.fullmatch(r"facerec_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert not {"project", "person_id", "video_id", "job_id"} & sample.labels.keys()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
@pytest.mark.parametrize("what", [["rules", "alerts.yaml"], ["config", "prometheus.yaml"]], ids=str)
def test_prometheus_takes_the_files(what: list[str]) -> None:
    kind, file = what
    check = subprocess.run(["promtool", "check", kind, file], cwd=PLACE, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
@pytest.mark.parametrize(("hours", "alerts"), [(2, 0), (8, 1)], ids=["new", "running"])
def test_a_disk_that_fills_is_told_after_six_hours(tmp_path: Path, hours: int, alerts: int) -> None:
    case = {
        "interval": "1m",
        "input_series": [{"series": 'facerec_home_free_bytes{job="facerec"}', "values": f"60000-60x{60 * hours}"}],
        "alert_rule_test": [
            {
                "eval_time": f"{60 * hours}m",
                "alertname": "FacerecDiskFullSoon",
                "exp_alerts": [{"exp_labels": {"severity": "ticket", "job": "facerec"}}] * alerts,
            }
        ],
    }
    rules = yaml.safe_load((PLACE / "alerts.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        del rule["annotations"]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))
    (tmp_path / "case.yaml").write_text(
        yaml.safe_dump({"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": [case]})
    )
    check = subprocess.run(
        ["promtool", "test", "rules", "case.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_files_are_where_the_manual_says() -> None:
    page = (ROOT / "docs/operators/monitoring.md").read_text()
    assert {path.name for path in PLACE.iterdir()} == {"dashboard.json", "alerts.yaml", "prometheus.yaml"}
    assert all(f"monitoring/{path.name}" in page for path in Path(PLACE).iterdir())
