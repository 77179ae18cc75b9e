"""The scenario that shows how fast the database alone can insert the rows of orders.

No broker, no rules, no reads, no updates: only inserts of real orders' rows, in batches as large as
a stage's largest, into empty copies of the tables.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Sequence

from internal.infra import backends, db, settings
from internal.lab.bench import clone_rows, submission
from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import drain, process_costs, throughput
from internal.lab.bench.full import lab as full_lab
from internal.lab.bench.submission import Load

SAMPLE_ORDERS = 1_000
ORDERS = 20_000
CLIENTS = (1, 3)
PARTS = (process_costs.DATABASE, process_costs.CLIENT)
"""The parts of the engine that work in this scenario."""


async def measure_ceiling(tools: throughput.Tools) -> list[Figure]:
    """Measure inserts of 1,000 orders per transaction, by one client and by three."""
    name, orders = "db_ceiling", tools.size.orders or ORDERS
    async with throughput.warm(tools, name) as at_work:
        rows = await _sample(at_work)
        await at_work.ends()
        per_order = clone_rows.count(rows) / SAMPLE_ORDERS
        figures = [Figure(name, "rows_per_order", per_order)]
        for clients in CLIENTS:
            figures += await _measure(name, at_work, _batches(rows, orders), clients)
    return figures


async def _sample(at_work: full_lab.FullLab) -> clone_rows.Rows:
    """Process some orders and return their rows."""
    after = (await at_work.look()).recorded
    load = Load(SAMPLE_ORDERS, 100, 1)
    await submission.Submission(at_work, load, None, lambda _: None).run()
    await at_work.until_finished(after, SAMPLE_ORDERS, lambda _: None)
    upto = (await at_work.look()).recorded
    return await at_work.database.read(lambda c: clone_rows.read(c, after, upto))


def _batches(rows: clone_rows.Rows, orders: int) -> list[clone_rows.Rows]:
    """Prepare the rows of at least `orders` orders."""
    number = -(-orders // SAMPLE_ORDERS)
    return [clone_rows.moved(rows, place * 10 * SAMPLE_ORDERS) for place in range(number)]


async def _measure(
    name: str, at_work: full_lab.FullLab, batches: Sequence[clone_rows.Rows], clients: int
) -> list[Figure]:
    async with _copies(at_work.options) as database:
        waiting = iter(batches)

        async def work() -> None:
            for batch in waiting:
                await database.write(functools.partial(clone_rows.write, rows=batch))

        started_s, before = time.perf_counter(), at_work.costs()
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(work())
        seconds, after = time.perf_counter() - started_s, at_work.costs()
    orders, suffix = len(batches) * SAMPLE_ORDERS, f"_{clients}_client{'s' * (clients > 1)}"
    wanted = {f"cpu_s_per_1000_orders{suffix}_{part}" for part in PARTS}
    costs = drain.cost_figures(name, before, after, orders, suffix)
    return [
        Figure(name, f"orders_per_s{suffix}", orders / seconds, more_is_better=True),
        *(figure for figure in costs if figure.metric in wanted),
    ]


@contextlib.asynccontextmanager
async def _copies(options: settings.Settings) -> AsyncIterator[db.Database]:
    """Create a second database with the same tables, empty; delete it afterwards."""
    mysql = options.mysql
    beside = mysql.model_copy(update={"database": f"{mysql.database}_ceiling"})
    copies = options.model_copy(update={"mysql": beside})
    await full_lab.recreate(copies)
    database = backends.open_database(copies)
    try:
        await database.write(lambda c: clone_rows.make_tables(c, mysql.database))
        yield database
    finally:
        await database.close()
        await full_lab.drop(copies)
