"""Fills the first topic while its function is stopped, and measures how long a full drain takes.

Also reports what each part of the engine cost.
"""

import time
from typing import NamedTuple

from internal.flow import topics
from internal.lab.bench import submission
from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import lab as full_lab
from internal.lab.bench.full import process_costs
from internal.lab.bench.submission import Load
from internal.lab.workload import progress

FILLING = {"SOUK_INTAKE__BACKLOG_ORDERS_MAX": "10000000"}
"""Settings of the intake: the first topic is filled before a function reads it."""


class Drained(NamedTuple):
    """The results of a drain; instants by time.perf_counter."""

    orders: int
    messages: int
    """Number of messages that held the orders."""
    opened_at_s: float
    """When the first function was told to start."""
    first_at_s: float
    """When its first transaction was seen."""
    last_at_s: float
    """When the last order was seen to have ended."""
    before: process_costs.Costs
    """At `first_at_s`: without the start of an interpreter."""
    after: process_costs.Costs

    @property
    def orders_per_s(self) -> float:
        """Orders per second from the start call to the last end."""
        return self.orders / (self.last_at_s - self.opened_at_s)

    @property
    def orders_per_s_from_first(self) -> float:
        """Orders per second from the first transaction to the last end."""
        return self.orders / (self.last_at_s - self.first_at_s)


async def fill_and_drain(at_work: full_lab.FullLab, orders: int, tell: progress.Tell) -> Drained:
    """Stop the first function, place orders, drain them. Raises as `fill` and `drain`."""
    await fill(at_work, orders)
    return await drain(at_work, orders, tell)


async def fill(at_work: full_lab.FullLab, orders: int) -> None:
    """Stop the first function and place orders, a hundred per call.

    Raises:
        Temporary: the function does not stop, or an order was not accepted.
    """
    await at_work.control.stop([topics.ORDER.name])
    await submission.Submission(at_work, Load(orders, 100, 8), None, lambda _: None).run()


async def drain(at_work: full_lab.FullLab, orders: int, tell: progress.Tell) -> Drained:
    """Start the first function and wait until all waiting orders have ended.

    Raises:
        Temporary: they do not end.
    """
    messages = await at_work.bus.backlog(topics.PLACED, topics.ORDER.subscription)
    recorded = (await at_work.look()).recorded
    opened_at_s = time.perf_counter()
    await at_work.control.open(topics.ORDER.name)
    await at_work.until_recorded(recorded)
    first_at_s, before = time.perf_counter(), at_work.costs()
    await at_work.until_finished(recorded, orders, tell)
    last_at_s, after = time.perf_counter(), at_work.costs()
    return Drained(orders, messages, opened_at_s, first_at_s, last_at_s, before, after)


def figures(name: str, drained: Drained, must: float | None = None) -> list[Figure]:
    """Return the figures of a drain."""
    from_first = drained.orders_per_s_from_first
    return [
        Figure(name, "orders_per_s", drained.orders_per_s, must, more_is_better=True),
        Figure(name, "orders_per_s_from_first_row", from_first, more_is_better=True),
        Figure(name, "orders_per_message", drained.orders / max(1, drained.messages)),
        *cost_figures(name, drained.before, drained.after, drained.orders),
    ]


def cost_figures(
    name: str,
    before: process_costs.Costs,
    after: process_costs.Costs,
    orders: int,
    suffix: str = "",
) -> list[Figure]:
    """Return processor time per 1,000 orders: of all parts but the client, then of each part."""
    spent = {
        part: (after[part].cpu_s - before[part].cpu_s) * 1_000 / max(1, orders)
        for part in process_costs.PARTS
    }
    metric = f"cpu_s_per_1000_orders{suffix}"
    total = sum(cpu_s for part, cpu_s in spent.items() if part != process_costs.CLIENT)
    parts = [Figure(name, f"{metric}_{part}", cpu_s) for part, cpu_s in spent.items()]
    return [Figure(name, metric, total), *parts]
