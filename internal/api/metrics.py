"""The metrics of all calls, in prometheus_client's default registry."""

from prometheus_client import Counter, Gauge, Histogram

from internal.infra import metrics as shared

RPC_SECONDS = Histogram(
    "souk_intake_rpc_seconds",
    "From a call's arrival to its answer.",
    ["method", "code"],
    buckets=shared.LATENCY_BUCKETS_S,
)
RPCS_IN_FLIGHT = Gauge("souk_intake_rpcs_in_flight", "Calls and streams open now.")
REFUSED = Counter("souk_intake_refused_total", "Calls and orders refused.", ["reason"])
