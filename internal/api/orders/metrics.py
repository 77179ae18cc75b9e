"""The metrics of orders, in prometheus_client's default registry."""

from prometheus_client import Counter, Histogram

from internal.infra import metrics as shared

ORDERS = Counter("souk_intake_orders_total", "Orders answered, by outcome.", ["outcome"])
ACCEPTED = ORDERS.labels("accepted")
REPLAYED = ORDERS.labels("replayed")
BATCH_ORDERS = Histogram(
    "souk_intake_batch_orders", "Orders published together.", buckets=shared.BATCH_BUCKETS
)
