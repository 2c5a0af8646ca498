"""Alert rules and dashboard: they parse, and ask for nothing that no process exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.core import Metric

from edge.exposition import TallyCollector
from edge.metrics import Tally
from server import metrics
from server.relay import metrics as relay_metrics
from tests.conftest import ROOT

FOLDER = ROOT / "docker" / "observability"
RULES: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yml").read_text())
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana" / "dashboards" / "secondsight.json").read_text())
DOCUMENT = (ROOT / "docs" / "observability.md").read_text()
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def families() -> list[Metric]:
    ours = [family for family in REGISTRY.collect() if family.name.startswith("secondsight_")]
    return [*TallyCollector({"door": Tally()}).collect(), *ours]


def exported() -> set[str]:
    """Names of all series that edges, servers, workers and relays may have."""
    assert metrics.FLOWS is not None and relay_metrics.RESULTS is not None
    return {family.name + suffix for family in families() for suffix in SUFFIXES[family.type]}


def selected(node: Any) -> Iterator[str]:
    """Names of the series that an expression asks for."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node.name
    for part in ("expr", "lhs", "rhs", "vector_selector"):
        child = getattr(node, part, None)
        if child is not None and not isinstance(child, str):
            yield from selected(child)
    for argument in getattr(node, "args", None) or ():
        yield from selected(argument)


def parsed(expression: str) -> Any:
    # What Grafana puts in the variable's place.
    return promql_parser.parse(expression.replace("$camera", "door"))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_parses_and_asks_for_what_is_exported(expression: str) -> None:
    names = set(selected(parsed(expression)))
    assert names
    assert names - {"up"} <= exported()


def test_every_series_of_an_expression_is_found_by_the_test_itself() -> None:
    expression = "sum(rate(a_total[5m])) / on (x) (b > 0) or -c unless abs(max by (y) (d)) and (e offset 5m)"
    assert set(selected(parsed(expression))) == {"a_total", "b", "c", "d", "e"}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_has_its_remedy_in_the_document(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert re.search(rf"^### {rule['alert']}$", DOCUMENT, re.MULTILINE)


def test_the_document_names_every_metric() -> None:
    shown = {family.name + ("_total" if family.type == "counter" else "") for family in families()}
    assert not shown - set(re.findall(r"`(secondsight_\w+)`", DOCUMENT))


def test_the_document_names_no_metric_that_is_not_there() -> None:
    names = {family.name for family in families()}
    assert set(re.findall(r"`(secondsight_\w+)`", DOCUMENT)) <= names | exported()


def test_provisioning_names_what_is_there() -> None:
    provisioning = FOLDER / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    asked = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    assert asked == {source["uid"]}
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "secondsight.yml").read_text())["providers"]
    assert Path(provider["options"]["path"]).name == "dashboards"
    scraped = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert scraped["rule_files"] == ["alerts.yml"]
    jobs = {job["job_name"] for job in scraped["scrape_configs"]}
    assert jobs == {"secondsight-server", "secondsight-worker", "secondsight-edge"}


def test_every_metric_of_a_camera_is_let_go_of_with_it() -> None:
    by_camera = [family.name for family in REGISTRY.collect() if family.name.startswith("secondsight_")]
    assert by_camera
    for metric in vars(metrics).values():
        if "camera" in getattr(metric, "_labelnames", ()):
            assert metric in metrics._BY_CAMERA, metric
