"""The scenarios of the full engine: real broker, real database, functions in the official runtime.

All of it, the client included, shares the machine. A missed goal is shown, not hidden.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from internal.flow import topics
from internal.kernel.clock import US_PER_SECOND
from internal.lab.bench import submission
from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import drain, process_costs, split_messages
from internal.lab.bench.full import lab as full_lab
from internal.lab.bench.submission import Load
from internal.lab.workload import latency, outcomes, progress

DRAIN_ORDERS = 30_000
WARM_UP_ORDERS = 20_000
"""Not measured: caches fill, and Java compiles the broker's code; until then an order costs the
broker twice as much.
"""
STEADY = {"SOUK_INTAKE__BACKLOG_ORDERS_MAX": "10000"}
"""Settings of the intake: a run of a minute would end before the default of 50,000 is reached."""
SUSTAINED_S = 60.0
SAMPLE_EVERY_S = 1.0
LATENCY_S = 20
LIGHTER_PER_S = (25, 50, 100)


class Tools(NamedTuple):
    """Everything that a scenario needs."""

    site: full_lab.Site
    reporter: progress.Reporter
    size: submission.Size


@contextlib.asynccontextmanager
async def warm(
    tools: Tools, name: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[full_lab.FullLab]:
    """Open an engine and warm it up. Raises as full_lab.opened."""
    async with full_lab.opened(tools.site, name, environment) as at_work:
        await submission.warm_up(at_work, min(WARM_UP_ORDERS, tools.size.of(WARM_UP_ORDERS)))
        yield at_work


async def measure_drain(tools: Tools) -> list[Figure]:
    """Measure a drain: orders wait on the first topic until the first function is started."""
    name, orders = "full_drain", tools.size.orders or DRAIN_ORDERS
    async with warm(tools, name, drain.FILLING) as at_work:
        with tools.reporter.showing(name, orders) as tell:
            drained = await drain.fill_and_drain(at_work, orders, tell)
        with tools.reporter.showing(f"{name}, one order a message", orders) as tell:
            singles = await _drain_singles(at_work, orders, tell)
        await at_work.ends()
    single = singles.orders_per_s
    return [
        *drain.figures(name, drained, 3_000),
        Figure(name, "orders_per_s_single_messages", single, more_is_better=True),
        *drain.cost_figures(name, singles.before, singles.after, orders, "_single_messages"),
    ]


async def _drain_singles(
    at_work: full_lab.FullLab, orders: int, tell: progress.Tell
) -> drain.Drained:
    watched = split_messages.watching(at_work.bus, at_work.api, at_work.options.pulsar)
    async with watched as split:
        await drain.fill(at_work, orders)
        await split()
    return await drain.drain(at_work, orders, tell)


async def measure_batch_sustained(tools: Tools) -> list[Figure]:
    """Measure batches of a hundred orders with 8 open calls, for a minute.

    The costs end with the last order, so the check of every row is not in them.
    """
    name = "full_batch_sustained"
    seconds = tools.size.seconds or (None if tools.size.orders else SUSTAINED_S)
    load = Load(tools.size.orders or submission.ORDERS_MAX, 100, 8)
    async with warm(tools, name, STEADY) as at_work:
        with tools.reporter.showing(name, load.orders) as tell:
            recorded, before = (await at_work.look()).recorded, at_work.costs()
            await submission.Submission(at_work, load, seconds, tell).run()
            await at_work.until_finished(recorded, len(at_work.placed), lambda _: None)
            after = at_work.costs()
        ends = await at_work.ends()
    return [*sustained_figures(name, ends), *drain.cost_figures(name, before, after, len(ends))]


def sustained_figures(name: str, ends: Sequence[outcomes.End]) -> list[Figure]:
    """Return the figures between the first OK and the last, by the engine's clock."""
    first_us = min(end.placed_at_us for end in ends)
    last_us = max(end.placed_at_us for end in ends)
    ended = sum(end.ended_at_us <= last_us for end in ends)
    per_us = ended / max(1, last_us - first_us)
    took_ms = latency.Histogram(end.took_ms for end in ends)
    half_us = (first_us + last_us) // 2
    return [
        Figure(name, "orders_per_s", per_us * US_PER_SECOND, 2_000, more_is_better=True),
        Figure(name, "p50_ms", took_ms.percentile_ms(50)),
        Figure(name, "p99_ms", took_ms.percentile_ms(99)),
        Figure(name, "seconds", (last_us - first_us) / US_PER_SECOND),
        Figure(name, "backlog_at_half", _backlog(ends, half_us)),
        Figure(name, "backlog_at_end", _backlog(ends, last_us)),
    ]


def _backlog(ends: Sequence[outcomes.End], at_us: int) -> int:
    """Count the orders that were placed and had not ended at that instant."""
    return sum(end.placed_at_us <= at_us < end.ended_at_us for end in ends)


async def measure_latency(tools: Tools) -> list[Figure]:
    """Measure 200 orders per second by the clock; each call waits until its order is finalized.

    Lower rates come first: they show the cost of an order that meets no other.
    """
    name = "full_latency"
    async with warm(tools, name) as at_work:
        found = [await _at_rate(tools, at_work, name, per_s) for per_s in (*LIGHTER_PER_S, 200)]
    lighter = [
        Figure(name, f"{quantile}_ms_at_{per_s}_per_s", waited.percentile_ms(percent))
        for per_s, (waited, _) in zip(LIGHTER_PER_S, found, strict=False)
        for quantile, percent in (("p50", 50), ("p99", 99))
    ]
    waited, costs = found[-1]
    return [
        Figure(name, "p50_ms", waited.percentile_ms(50), 40),
        Figure(name, "p99_ms", waited.percentile_ms(99), 150),
        Figure(name, "max_ms", waited.max_ms),
        *costs,
        *lighter,
    ]


async def _at_rate(
    tools: Tools, at_work: full_lab.FullLab, name: str, per_s: int
) -> tuple[latency.Histogram, list[Figure]]:
    """Submit at this rate; return how long calls waited, and the cost."""
    load = Load(tools.size.of(per_s * LATENCY_S), 1, 2_000, per_s=per_s)
    with tools.reporter.showing(f"{name}, {per_s} a second", load.orders) as tell:
        load_on_engine = submission.Submission(at_work, load, tools.size.seconds, tell)
        before = at_work.costs()
        await load_on_engine.run()
        after = at_work.costs()
    orders = len(await at_work.ends())
    at_work.placed.clear()
    return load_on_engine.answer_ms, drain.cost_figures(name, before, after, orders)


async def measure_rss(tools: Tools) -> list[Figure]:
    """Measure the memory of freshly started function instances during 200,000 orders."""
    name = "full_rss"
    load = Load(tools.size.of(200_000), 100, 4)
    async with full_lab.opened(tools.site, name, STEADY) as at_work:
        await at_work.control.stop()
        await at_work.control.start()
        with tools.reporter.showing(name, load.orders) as tell:
            async with _sampled(at_work) as samples:
                load_on_engine = submission.Submission(at_work, load, tools.size.seconds, tell)
                await load_on_engine.run()
                await at_work.wait_for_last()
        orders = len(await at_work.ends())
        samples.append((orders, at_work.costs()))
    return memory_figures(name, samples, orders)


Sample = tuple[int, process_costs.Costs]
"""How many orders had been answered, and each part's cost at that instant."""


@contextlib.asynccontextmanager
async def _sampled(at_work: full_lab.FullLab) -> AsyncIterator[list[Sample]]:
    """Sample the cost of the parts at intervals until the context is left."""
    samples: list[Sample] = []

    async def watch() -> None:
        while True:
            samples.append((len(at_work.placed), at_work.costs()))
            await asyncio.sleep(SAMPLE_EVERY_S)

    watching = asyncio.create_task(watch())
    try:
        yield samples
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def memory_figures(name: str, samples: Sequence[Sample], orders: int) -> list[Figure]:
    """Return the largest memory, and its growth in the second half."""
    at_half = next(costs for answered, costs in samples if answered >= orders / 2)
    at_end = samples[-1][1]
    functions = [stage.name for stage in topics.STAGES]
    largest = {part: max(costs[part].rss_mb for _, costs in samples) for part in at_end}
    growth = {part: at_end[part].rss_mb - at_half[part].rss_mb for part in at_end}
    return [
        Figure(name, "mb", max(largest[part] for part in functions), 200),
        Figure(name, "growth_mb", max(growth[part] for part in functions)),
        *(Figure(name, f"mb_{part}", largest[part]) for part in [process_costs.INTAKE, *functions]),
        *(
            Figure(name, f"growth_mb_{part}", growth[part])
            for part in [process_costs.INTAKE, *functions]
        ),
    ]
