"""The full engine's scenarios by name, in the order in which they run."""

from collections.abc import Awaitable, Callable

from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import database_ceiling, scaling, throughput, unary, versus_plain

SCENARIOS: dict[str, Callable[[throughput.Tools], Awaitable[list[Figure]]]] = {
    "full_drain": throughput.measure_drain,
    "full_vs_plain_functions": versus_plain.measure_versus_plain,
    "full_batch_sustained": throughput.measure_batch_sustained,
    "full_unary": unary.measure_unary,
    "full_latency": throughput.measure_latency,
    "full_rss": throughput.measure_rss,
    "db_ceiling": database_ceiling.measure_ceiling,
    "full_growth": scaling.measure_growth,
    "full_parallelism": scaling.measure_parallelism,
    "full_check": scaling.measure_check,
}
