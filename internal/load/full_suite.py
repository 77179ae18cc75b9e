"""The full engine's scenarios by name, in the order in which they are run."""

from collections.abc import Awaitable, Callable

from internal.load import bench_ceiling, bench_full, bench_plain, bench_scaling, bench_unary
from internal.load.bench import Figure

SCENARIOS: dict[str, Callable[[bench_full.Tools], Awaitable[list[Figure]]]] = {
    "full_drain": bench_full.drain,
    "full_vs_plain_functions": bench_plain.versus_plain,
    "full_batch_sustained": bench_full.batch_sustained,
    "full_unary": bench_unary.unary,
    "full_latency": bench_full.latency,
    "full_rss": bench_full.rss,
    "db_ceiling": bench_ceiling.ceiling,
    "full_growth": bench_scaling.growth,
    "full_parallelism": bench_scaling.parallelism,
}
