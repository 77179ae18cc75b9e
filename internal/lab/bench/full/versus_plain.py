"""The scenario that compares Souk with plain Pulsar Functions, in alternating rounds."""

import statistics

from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import drain, plain_functions, throughput
from internal.lab.bench.full import lab as full_lab

NAME = "full_vs_plain_functions"
ROUNDS = 3
"""Both sides vary by a fifth from one drain to the next."""
PLAIN_ORDERS = 4_000
WARM_UP_ORDERS = 300


async def measure_versus_plain(tools: throughput.Tools) -> list[Figure]:
    """Measure the same drain by plain functions and by Souk, on the same broker and database.

    Both are measured from their first transaction on; the median round counts.
    """
    orders = tools.size.orders or throughput.DRAIN_ORDERS
    async with throughput.warm(tools, NAME, drain.FILLING) as at_work:
        async with plain_functions.deployed(
            tools.site.options, tools.site.plain_functions
        ) as functions:
            await plain_functions.drain(functions, min(orders, WARM_UP_ORDERS), lambda _: None)
            rounds = [await _round(tools, at_work, functions, orders) for _ in range(ROUNDS)]
        await at_work.ends()
    ratios = [souk_per_s / plain_per_s for souk_per_s, plain_per_s in rounds]
    souk_per_s, plain_per_s = map(statistics.median, zip(*rounds, strict=True))
    return [
        Figure(NAME, "ratio", statistics.median(ratios), 6, more_is_better=True),
        Figure(NAME, "ratio_least", min(ratios), more_is_better=True),
        Figure(NAME, "ratio_most", max(ratios), more_is_better=True),
        Figure(NAME, "souk_orders_per_s", souk_per_s, more_is_better=True),
        Figure(NAME, "plain_orders_per_s", plain_per_s, more_is_better=True),
    ]


async def _round(
    tools: throughput.Tools,
    at_work: full_lab.FullLab,
    functions: plain_functions.Plain,
    orders: int,
) -> tuple[float, float]:
    """Return Souk's orders/s and those of the plain functions."""
    plain_orders = min(orders, PLAIN_ORDERS)
    with tools.reporter.showing(f"{NAME}: plain functions", plain_orders) as tell:
        plain_per_s = await plain_functions.drain(functions, plain_orders, tell)
    with tools.reporter.showing(NAME, orders) as tell:
        souk = await drain.fill_and_drain(at_work, orders, tell)
    return souk.orders_per_s_from_first, plain_per_s
