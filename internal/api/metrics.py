"""What the gRPC door counts and measures, on prometheus_client's default registry."""

from prometheus_client import Counter, Gauge, Histogram

from internal.infra import metrics as shared

RPC_SECONDS = Histogram(
    "souk_intake_rpc_seconds",
    "From a call's arrival to its answer.",
    ["method", "code"],
    buckets=shared.LATENCY_BUCKETS_S,
)
RPCS_IN_FLIGHT = Gauge("souk_intake_rpcs_in_flight", "Calls and streams open now.")
ORDERS = Counter("souk_intake_orders_total", "Orders answered, by outcome.", ["outcome"])
ACCEPTED = ORDERS.labels("accepted")
REPLAYED = ORDERS.labels("replayed")
REFUSED = Counter("souk_intake_refused_total", "Calls and orders refused.", ["reason"])
DESK_BATCH_ORDERS = Histogram(
    "souk_intake_batch_orders", "Orders published together.", buckets=shared.BATCH_BUCKETS
)
