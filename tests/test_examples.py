"""The example clusters and the monitoring, as far as they can be checked without machines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from ruamel.yaml import YAML

from sweep.engine.decisions.sweep_metrics import COUNTERS, Metric
from sweep.spec.load import load_sweep

ROOT = Path(__file__).parent.parent
CLUSTER = ROOT / "examples" / "cluster"
MONITORING = ROOT / "examples" / "monitoring"


def documents(name: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load_all(CLUSTER / name))


def required_ray() -> Requirement:
    text = (ROOT / "pyproject.toml").read_text()
    (line,) = re.findall(r'"(ray\[tune\][^"]*)"', text)
    return Requirement(line)


def test_ray_up_accepts_the_example() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    [config] = documents("ray-up.yaml")
    validate_config(prepare_config(config))


def test_ray_up_refuses_a_misspelt_key() -> None:
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    [config] = documents("ray-up.yaml")
    prepared = prepare_config(config | {"setup_comands": []})
    with pytest.raises(ValidationError, match="setup_comands"):
        validate_config(prepared)


def test_all_examples_run_one_ray_that_the_package_accepts() -> None:
    kuberay = (CLUSTER / "kuberay.yaml").read_text()
    found = {
        *re.findall(r"rayVersion: (\S+)", kuberay),
        *re.findall(r"ARG RAY=([\d.]+)", (ROOT / "Dockerfile").read_text()),
        *re.findall(r"ray\[default,tune\]==([\d.]+)", (CLUSTER / "ray-up.yaml").read_text()),
    }
    [version] = found
    assert Version(version) in required_ray().specifier


def test_kuberay_job_runs_the_sweep_that_it_mounts(tmp_path: Path) -> None:
    space, job = documents("kuberay.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    [volume] = head["volumes"]
    assert volume["configMap"]["name"] == space["metadata"]["name"]
    [container] = head["containers"]
    [mount] = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    [(name, text)] = space["data"].items()
    assert f"{mount['mountPath']}/{name}" in job["spec"]["entrypoint"]
    (tmp_path / name).write_text(text)
    assert load_sweep(tmp_path / name).trials == 20
    [workers] = cluster["workerGroupSpecs"]
    [worker] = workers["template"]["spec"]["containers"]
    assert worker["image"] == container["image"]
    assert load_sweep(tmp_path / name).max_concurrent == workers["maxReplicas"]


# Prometheus and Grafana; a real Prometheus is in tests/engine/test_monitoring_e2e.py.


def exported() -> set[str]:
    """Names of the metrics, as Prometheus shows them."""
    return {f"ray_{m.key}{'_total' if m in COUNTERS else ''}" for m in Metric}


def test_grafana_dashboard_shows_every_metric_and_none_that_there_is_not() -> None:
    text = (MONITORING / "grafana-dashboard.json").read_text()
    assert set(re.findall(r"ray_sweep_\w+", text)) == exported()


def test_page_on_monitoring_names_every_metric_and_none_that_there_is_not() -> None:
    page = (ROOT / "docs" / "reference" / "prometheus.md").read_text(encoding="utf-8")
    assert set(re.findall(r"ray_sweep_\w+", page)) == exported()


def test_panels_of_the_grafana_dashboard_do_not_overlap() -> None:
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_grafana_is_provisioned_with_the_data_source_that_the_dashboard_asks_for() -> None:
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    provisioning = MONITORING / "grafana" / "provisioning"
    [source] = YAML(typ="safe", pure=True).load(provisioning / "datasources" / "prometheus.yml")[
        "datasources"
    ]
    asked = {
        target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]
    }
    assert asked == {source["uid"]}
    [provider] = YAML(typ="safe", pure=True).load(provisioning / "dashboards" / "sweep.yml")[
        "providers"
    ]
    assert provider["options"]["path"] == "$SWEEP_MONITORING"
