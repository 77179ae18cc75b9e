"""What a stage reports of the facts it sends."""

import prometheus_client

from internal.infra import metrics
from internal.orders import messages
from internal.pipeline import telemetry


def test_what_a_merchant_wrote_is_no_label() -> None:
    cancelled = messages.OrderCancelled(1, "m-1", "o", "main", 3, 0, 0, "c-1", "hush, secret")
    telemetry.StageTelemetry("order_processing", logs_every_fact=False).sent([cancelled], 0)
    told = prometheus_client.generate_latest().decode()
    assert "hush" not in told
    labels = metrics.FACTS.labels("OrderCancelled", "CANCELLED_BY_MERCHANT")
    assert labels._value.get() >= 1
