"""Puts the name of a function's instance on everything that its process measures.

The functions worker shows the registries of its instances one after the other, as they are. Without
a name Prometheus would take two instances' counters for one, and silently keep either's value.
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
    """A collector whose samples carry more labels."""

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
    """Label what these collectors show from now on; once in a process.

    The runtime's own (pulsar_function_…) are named already.
    """
    labels = {"function": function, "instance_id": instance_id}
    for collector in collectors:
        at.unregister(collector)
        at.register(Named(collector, labels))
