"""The scenario that compares Souk with plain Pulsar Functions, one after the other."""

from internal.load import bench_full, drains, plain
from internal.load.bench import Figure

PLAIN_ORDERS = 4_000
WARM_UP_ORDERS = 300


async def versus_plain(tools: bench_full.Tools) -> list[Figure]:
    """The same drain by Souk and by plain functions, on the same broker and database.

    Both are measured from their first transaction on.
    """
    name = "full_vs_plain_functions"
    orders = tools.size.orders or bench_full.DRAIN_ORDERS
    plain_orders = min(orders, PLAIN_ORDERS)
    async with bench_full.warm(tools, name, drains.FILLING) as at_work:
        with tools.reporter.showing(name, orders) as tell:
            souk = await drains.fill_and_drain(at_work, orders, tell)
        await at_work.ends()
        async with plain.deployed(tools.site.options, tools.site.plain_functions) as functions:
            await plain.drain(functions, min(orders, WARM_UP_ORDERS), lambda _: None)
            with tools.reporter.showing(f"{name}: the plain ones", plain_orders) as tell:
                plain_per_s = await plain.drain(functions, plain_orders, tell)
    souk_per_s = souk.orders_per_s_from_first
    return [
        Figure(name, "ratio", souk_per_s / plain_per_s, 6, more_is_better=True),
        Figure(name, "souk_orders_per_s", souk_per_s, more_is_better=True),
        Figure(name, "plain_orders_per_s", plain_per_s, more_is_better=True),
    ]
