"""Alerts and dashboard ask only for what Souk and Pulsar really measure, and lead somewhere."""

import importlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from internal.flow import topics
from internal.infra import settings

ROOT = Path(__file__).resolve().parents[3]
PROMETHEUS = ROOT / "configs" / "prometheus"
DASHBOARD = json.loads((ROOT / "configs" / "grafana" / "dashboards" / "souk.json").read_text())
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
SCRAPES = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
OPERATIONS = ROOT / "docs" / "operations.md"
ALERTS_TEST = Path(__file__).with_name("alerts_test.yml")

METRIC_FILES = sorted((ROOT / "internal").glob("**/metrics.py"))
ELSEWHERE = {
    "up": {"job", "instance"},
    "pulsar_rate_in": {"topic"},
    "pulsar_storage_size": {"topic"},
    "pulsar_subscription_back_log": {"topic", "subscription"},
    "pulsar_subscription_consumers_count": {"topic", "subscription"},
}
"""Prometheus' own, and Pulsar's as its broker shows them: names and the labels that are used."""
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}
ALWAYS_THERE = {"job", "instance"}
NOT_NAMES = {
    *("sum", "max", "by", "rate", "increase", "deriv", "and", "histogram_quantile"),
    "__rate_interval",
}
METRIC = r"[a-z_]+"


def measured() -> dict[str, set[str]]:
    """Return the name of every series that Souk has, with its labels."""
    found: dict[str, set[str]] = {}
    for file in METRIC_FILES:
        module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
        for metric in vars(module).values():
            if isinstance(metric, MetricWrapperBase) and not metric._labelvalues:
                found |= {name: set(metric._labelnames) for name in series_of(metric)}
    return found


def series_of(metric: MetricWrapperBase) -> list[str]:
    """Return the names of a metric's series."""
    return [metric._name + suffix for suffix in SUFFIXES[str(metric._type)]]


def expressions() -> Iterator[tuple[str, str]]:
    """Yield where and what is asked."""
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def asked(expression: str) -> dict[str, set[str]]:
    """Return the metrics in a PromQL expression, with the labels that they are chosen by."""
    found: dict[str, set[str]] = {}
    selectors = re.compile(r"(" + METRIC + r")(?:\{([^}]*)\})?")
    bare = re.sub(r"\bby\s*\([^)]*\)|\[[^\]]*\]", " ", expression)
    for name, labels in selectors.findall(bare):
        if name not in NOT_NAMES:
            found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?==~?\")", labels))
    return found


def grouped_by(expression: str) -> set[str]:
    """Return the labels that an expression keeps."""
    lists = re.findall(r"\bby\s*\(([^)]*)\)", expression)
    return {label.strip() for found in lists for label in found.split(",")} - {"le"}


KNOWN = measured() | ELSEWHERE


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_what_is_asked_for_is_measured(where: str, expression: str) -> None:
    found = asked(expression)
    assert found, where
    for name, labels in found.items():
        assert name in KNOWN, f"{where}: nobody measures {name}"
        assert labels <= KNOWN[name] | ALWAYS_THERE, f"{where}: {name} has no such label"
    kept = set.union(*(KNOWN[name] for name in found))
    assert grouped_by(expression) <= kept | ALWAYS_THERE, where


def test_every_metric_of_ours_is_looked_at() -> None:
    used = {name for _, expression in expressions() for name in asked(expression)}
    shown = {re.sub("_(total|bucket|sum|count)$", "", name) for name in used}
    ours = {re.sub("_(total|bucket|sum|count)$", "", name) for name in measured()}
    assert ours <= shown


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ('up{job="souk"} == 0', {"up": {"job"}}),
        ("sum by (stage) (rate(a_total[$__rate_interval]))", {"a_total": set()}),
        ('max(a{topic=~".+[.]x", b="c"}) > 1', {"a": {"topic", "b"}}),
    ],
)
def test_expressions_are_read(expression: str, metrics: dict[str, set[str]]) -> None:
    assert asked(expression) == metrics


def test_functions_are_named_as_in_the_flow() -> None:
    names = "|".join(stage.subscription for stage in topics.STAGES)
    (alert,) = (a for a in ALERTS if a["alert"] == "SoukFunctionNotRunning")
    assert f'subscription=~"{names}"' in alert["expr"]


def test_jobs_are_those_that_are_asked_about() -> None:
    jobs = {scrape["job_name"] for scrape in SCRAPES}
    chosen = {j for _, e in expressions() for j in re.findall(r'job="(\w+)"', e)}
    assert chosen <= jobs


def test_the_intake_is_asked_where_it_answers() -> None:
    (souk,) = (scrape for scrape in SCRAPES if scrape["job_name"] == "souk")
    port = settings.MetricsSettings().port
    assert souk["static_configs"] == [{"targets": [f"intake:{port}"]}]


def test_every_alert_leads_to_its_runbook() -> None:
    anchors = {rule["annotations"]["runbook"] for rule in ALERTS}
    assert len(anchors) == len(ALERTS)
    assert all(re.fullmatch(r"docs/operations\.md#alert-[a-z-]+", anchor) for anchor in anchors)
    assert {rule["labels"]["severity"] for rule in ALERTS} == {"critical", "warning"}


@pytest.mark.skipif(not OPERATIONS.is_file(), reason="docs/operations.md is not there")
@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_runbook_has_the_place(rule: dict[str, Any]) -> None:
    _, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ +(.+)$", OPERATIONS.read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}


def test_panels_have_a_place_each_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["description"], panel["title"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_the_datasource_is_the_provisioned_one() -> None:
    file = ROOT / "configs" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    asked_of = {p["datasource"]["uid"] for p in DASHBOARD["panels"] if p["type"] != "row"}
    assert asked_of == {source["uid"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", str(PROMETHEUS / "prometheus.yml")),
        ("test", "rules", str(ALERTS_TEST)),
    ],
    ids=["configuration", "alerts"],
)
def test_prometheus_takes_it(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        assert "CI" not in os.environ, "promtool is missing: see .ci/run"
        pytest.skip("promtool is not installed (on Debian: apt-get install prometheus)")
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
