"""Adds the name of a function's instance as labels to every metric of its process.

The functions worker serves the registries of its instances one after the other, unchanged. Without
these labels Prometheus would take two instances' counters for one, and silently keep one value.
"""

from collections.abc import Iterable, Sequence

import prometheus_client
from prometheus_client import metrics_core, registry
from prometheus_client.metrics import MetricWrapperBase

from internal.infra import metrics

OF_THE_PROCESS: tuple[registry.Collector, ...] = (
    prometheus_client.GC_COLLECTOR,
    prometheus_client.PLATFORM_COLLECTOR,
    prometheus_client.PROCESS_COLLECTOR,
)
OF_SOUK: tuple[registry.Collector, ...] = tuple(
    metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)
)


class Named(registry.Collector):
    """A collector that adds labels to the samples of another."""

    def __init__(self, collector: registry.Collector, labels: dict[str, str]) -> None:
        self._collector, self._labels = collector, labels

    def collect(self) -> Iterable[metrics_core.Metric]:
        """See Collector."""
        for metric in self._collector.collect():
            named = metrics_core.Metric(metric.name, metric.documentation, metric.type, metric.unit)
            named.samples = [
                sample._replace(labels={**sample.labels, **self._labels})
                for sample in metric.samples
            ]
            yield named


def name_instance(
    function: str,
    instance_id: str,
    *,
    at: registry.CollectorRegistry = prometheus_client.REGISTRY,
    collectors: Sequence[registry.Collector] = OF_SOUK + OF_THE_PROCESS,
) -> None:
    """Label the samples of these collectors from now on; call it once in a process.

    The runtime's own metrics (pulsar_function_…) have such labels already.
    """
    labels = {"function": function, "instance_id": instance_id}
    for collector in collectors:
        at.unregister(collector)
        at.register(Named(collector, labels))
