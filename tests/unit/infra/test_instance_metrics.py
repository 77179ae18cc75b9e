"""Two instances' figures stay apart, and nothing of them is lost."""

import prometheus_client
import pytest
from prometheus_client import parser, registry

from internal.infra import instance_metrics, metrics

NAME = {"function": "finalization", "instance_id": "1"}


@pytest.fixture
def own() -> prometheus_client.CollectorRegistry:
    return prometheus_client.CollectorRegistry(auto_describe=True)


def test_every_sample_carries_the_name(own: prometheus_client.CollectorRegistry) -> None:
    counter = prometheus_client.Counter("a", "A.", ["kind"], registry=own)
    histogram = prometheus_client.Histogram("b_seconds", "B.", registry=own)
    gauge = prometheus_client.Gauge("c", "C.", registry=own)
    instance_metrics.name_instance(
        "finalization", "1", at=own, collectors=(counter, histogram, gauge)
    )
    counter.labels("x").inc(2)
    histogram.observe(1)
    gauge.set(3)
    assert own.get_sample_value("a_total", {"kind": "x", **NAME}) == 2
    assert own.get_sample_value("b_seconds_count", NAME) == 1
    assert own.get_sample_value("b_seconds_bucket", {"le": "+Inf", **NAME}) == 1
    assert own.get_sample_value("c", NAME) == 3


def test_prometheus_sees_a_difference_in_labels_only(
    own: prometheus_client.CollectorRegistry,
) -> None:
    counter = prometheus_client.Counter("a", "A.", registry=own)
    before = list(parser.text_string_to_metric_families(shown(own)))
    instance_metrics.name_instance("finalization", "1", at=own, collectors=(counter,))
    after = list(parser.text_string_to_metric_families(shown(own)))
    assert [(m.name, m.type, m.documentation) for m in after] == [
        (m.name, m.type, m.documentation) for m in before
    ]
    assert all(s.labels == NAME for m in after for s in m.samples)


def test_all_metrics_of_stages_are_named() -> None:
    souks = {metrics.FACTS, metrics.RETRIES, metrics.STAGE_BATCH_SECONDS, metrics.DEAD_LETTERS}
    assert souks <= set(instance_metrics.OF_SOUK)


def shown(own: registry.CollectorRegistry) -> str:
    """Return the registry as Prometheus reads it."""
    return prometheus_client.generate_latest(own).decode()
