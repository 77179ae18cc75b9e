"""The metrics of all calls, in prometheus_client's default registry."""

from prometheus_client import Counter, Gauge, Histogram

from internal.infra import metrics as shared

RPC_SECONDS = Histogram(
    "souk_intake_rpc_seconds",
    "From a call's arrival to its answer.",
    ["method", "code"],
    buckets=shared.LATENCY_BUCKETS_S,
)
RPCS_IN_FLIGHT = Gauge(
    "souk_intake_rpcs_in_flight", "Calls and streams open now, until their answers are sent."
)
UNREAD_BYTES = Gauge("souk_intake_unread_bytes", "Answers that their callers have not read yet.")
CONNECTIONS = Gauge("souk_intake_connections", "Connections open now, looked at every 5 s.")
CONNECTIONS_MAX = Gauge(
    "souk_intake_connections_max", "Connections that may be open; further ones are closed at once."
)
CONNECTIONS_CUT = Counter(
    "souk_intake_connections_cut_total", "Connections cut because their answers were not read."
)
REFUSED = Counter("souk_intake_refused_total", "Calls and orders refused.", ["reason"])
