"""The full engine's scenarios by name, in the order in which they are run."""

from collections.abc import Awaitable, Callable

from internal.load import bench_full, bench_unary
from internal.load.bench import Figure

SCENARIOS: dict[str, Callable[[bench_full.Tools], Awaitable[list[Figure]]]] = {
    "full_drain": bench_full.drain,
    "full_batch_sustained": bench_full.batch_sustained,
    "full_unary": bench_unary.unary,
    "full_latency": bench_full.latency,
    "full_rss": bench_full.rss,
}
