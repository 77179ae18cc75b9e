"""Every metric that more than one package uses, on prometheus_client's default registry.

The official functions runtime serves that registry by itself; the embedded host serves it on its
own port.
"""

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 400, 1_000)

FACTS = Counter("souk_facts_total", "Facts published, by kind and reason.", ["kind", "reason"])
FACT_AGE_SECONDS = Histogram(
    "souk_fact_age_seconds",
    "Time from placing an order to this fact about it.",
    ["kind"],
    buckets=LATENCY_BUCKETS_S,
)
STAGE_BATCH_SECONDS = Histogram(
    "souk_stage_batch_seconds",
    "Time to claim, decide and record one batch.",
    ["stage"],
    buckets=LATENCY_BUCKETS_S,
)
STAGE_BATCH_ORDERS = Histogram(
    "souk_stage_batch_orders",
    "Orders recorded in one transaction.",
    ["stage"],
    buckets=BATCH_BUCKETS,
)
RETRIES = Counter("souk_retries_total", "Waits because a dependency was away.", ["who", "error"])
TRANSACTION_RETRIES = Counter(
    "souk_transaction_retries_total",
    "Transactions that failed and were tried again at once, by reason: a row lock, a deadlock.",
    ["who", "reason"],
)
STAGE_PAUSES = Counter(
    "souk_stage_pauses_total",
    "Batches held back because nearly all orders failed alone with this cause.",
    ["stage", "cause"],
)
DEAD_LETTERS = Counter(
    "souk_dead_letters_total", "Orders stored as dead letters.", ["stage", "code"]
)
PAYMENTS_LEFT_TO_OPERATORS = Counter(
    "souk_payments_left_to_operators_total",
    "Orders whose payment is unknown or cannot be undone, and that Souk polls no longer.",
)
BACKLOG_MESSAGES = Gauge(
    "souk_backlog_messages", "Messages a stage has not acknowledged.", ["stage"]
)
OLDEST_MESSAGE_SECONDS = Gauge(
    "souk_oldest_message_seconds",
    "Age of the oldest message that a stage has not acknowledged; 0 without any.",
    ["stage"],
)
OLDEST_UNFINISHED_SECONDS = Gauge(
    "souk_oldest_unfinished_order_seconds",
    "Age of the oldest order that was answered OK and has not ended, recorded yet or not.",
)
OLDEST_EVENT_SECONDS = Gauge(
    "souk_oldest_outbox_event_seconds",
    "Age of the oldest event in the outbox that has no receipt from the broker; 0 without any.",
)
DATA_FREE_BYTES = Gauge("souk_data_free_bytes", "Free space on the disk of the data folder.")
WAL_BYTES = Gauge("souk_wal_bytes", "Size of the embedded database's write-ahead log, souk.db-wal.")
