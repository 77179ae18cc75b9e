"""The scenarios of the full engine: real broker, real database, functions in the official runtime.

All of it, the client included, shares the machine. A missed goal is shown, not hidden.
"""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from internal.load import bench_load, full_lab, processes, progress
from internal.load.bench import Figure
from internal.load.bench_load import Load
from internal.pipeline import flow

DRAIN_ORDERS = 30_000
FILLING = {"SOUK_INTAKE__BACKLOG_ORDERS_MAX": "10000000"}
"""The first topic is filled before anybody reads it."""


class Tools(NamedTuple):
    """What every scenario uses."""

    site: full_lab.Site
    reporter: progress.Reporter
    size: bench_load.Size


class Drained(NamedTuple):
    """What came of a drain; instants by time.perf_counter."""

    orders: int
    messages: int
    """That the orders waited in."""
    opened_at_s: float
    """The first function's start was asked for."""
    first_at_s: float
    """Its first transaction was seen."""
    last_at_s: float
    """The last order was seen to be finalized."""
    before: processes.Costs
    """At `first_at_s`: without the start of an interpreter."""
    after: processes.Costs

    @property
    def orders_per_s(self) -> float:
        """Orders by the time from the start call to the last end."""
        return self.orders / (self.last_at_s - self.opened_at_s)

    @property
    def orders_per_s_from_first(self) -> float:
        """Orders by the time from the first transaction to the last end."""
        return self.orders / (self.last_at_s - self.first_at_s)


async def drain(tools: Tools) -> list[Figure]:
    """Orders wait on the first topic while nobody reads it; the first function is started."""
    name, orders = "full_drain", tools.size.of(DRAIN_ORDERS)
    async with full_lab.opened(tools.site, name, FILLING) as at_work:
        await bench_load.warm_up(at_work)
        with tools.reporter.showing(name, orders) as tell:
            drained = await drain_of(at_work, orders, tell)
        await at_work.ends()
    return drain_figures(name, drained, 3_000)


async def drain_of(at_work: full_lab.FullLab, orders: int, tell: progress.Tell) -> Drained:
    """Stop the first function, place orders, start it, wait until all are at their end."""
    await at_work.tap.stop([flow.ORDER.name])
    await bench_load.Submission(at_work, Load(orders, 100, 8), None, lambda _: None).run()
    return await drain_waiting(at_work, orders, tell)


async def drain_waiting(at_work: full_lab.FullLab, orders: int, tell: progress.Tell) -> Drained:
    """Start the first function, whose orders wait; wait until all of them are at their end."""
    messages = await full_lab.waiting_messages(at_work.bus)
    recorded = (await at_work.look()).recorded
    opened_at_s = time.perf_counter()
    await at_work.tap.open(flow.ORDER.name)
    await at_work.until_recorded(recorded)
    first_at_s, before = time.perf_counter(), at_work.costs()
    await at_work.until_finished(recorded, orders, tell)
    last_at_s, after = time.perf_counter(), at_work.costs()
    return Drained(orders, messages, opened_at_s, first_at_s, last_at_s, before, after)


def drain_figures(name: str, drained: Drained, must: float | None = None) -> list[Figure]:
    """Say a drain in figures."""
    return [
        Figure(name, "orders_per_s", drained.orders_per_s, must, more_is_better=True),
        Figure(
            name,
            "orders_per_s_from_first_row",
            drained.orders_per_s_from_first,
            more_is_better=True,
        ),
        Figure(name, "orders_per_message", drained.orders / max(1, drained.messages)),
        *cost_figures(name, drained.before, drained.after, drained.orders),
    ]


def cost_figures(
    name: str, before: processes.Costs, after: processes.Costs, orders: int
) -> list[Figure]:
    """Say what 1,000 orders took of the processor, all parts but the client, and each part."""
    spent = {
        part: (after[part].cpu_s - before[part].cpu_s) * 1_000 / orders for part in processes.PARTS
    }
    metric = "cpu_s_per_1000_orders"
    total = sum(cpu_s for part, cpu_s in spent.items() if part != processes.CLIENT)
    parts = [Figure(name, f"{metric}_{part}", cpu_s) for part, cpu_s in spent.items()]
    return [Figure(name, metric, total), *parts]


SCENARIOS: dict[str, Callable[[Tools], Awaitable[list[Figure]]]] = {
    "full_drain": drain,
}
