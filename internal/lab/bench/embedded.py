"""Scenarios: each measures an engine of its own, on a fresh folder, and verifies every order.

Client and engine share the machine. A missed goal is shown, not hidden.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from internal.flow import topics
from internal.infra import backends
from internal.kernel.clock import US_PER_SECOND
from internal.lab.bench import check_growth, cost, lab, submission
from internal.lab.bench.submission import Load
from internal.lab.workload import latency, outcomes, progress

SAMPLE_EVERY_S = 0.5
SEED = 1
SHARD_KEYS = (16, 256)


class Figure(msgspec.Struct, frozen=True):
    """One measured value."""

    scenario: str
    metric: str
    value: float
    must: float | None = None
    more_is_better: bool = False

    @property
    def is_missed(self) -> bool:
        """Tell whether the goal was missed."""
        if self.must is None:
            return False
        return self.value < self.must if self.more_is_better else self.value > self.must


class Tools(NamedTuple):
    """Everything that a scenario needs."""

    folder: Path
    """On the disk that is measured."""
    reporter: progress.Reporter
    size: submission.Size


class Measured(NamedTuple):
    """The results of a load."""

    ends: Sequence[outcomes.End]
    before: cost.Cost
    after: cost.Cost
    answer_ms: latency.Histogram
    samples: Sequence[tuple[int, float]]
    """(orders answered, engine's memory in MB), in the order of time."""
    messages: int
    """How many messages the topics have kept for the stages."""

    def orders_per_s(self) -> float:
        """Orders per second from the first OK to the last end, by the engine's clock."""
        first_us = min(end.placed_at_us for end in self.ends)
        last_us = max(end.ended_at_us for end in self.ends)
        return len(self.ends) * US_PER_SECOND / max(1, last_us - first_us)

    def orders_per_message(self) -> float:
        """Return how many orders a message held on average, over the topics of all stages."""
        return len(self.ends) * len(topics.STAGES) / max(1, self.messages)

    def cpu_s(self) -> float:
        """The engine's processor time per 1,000 orders."""
        return (self.after.cpu_s - self.before.cpu_s) * 1_000 / len(self.ends)


async def measure_unary(tools: Tools) -> list[Figure]:
    """Measure single orders with 64 open calls."""
    name = "embedded_unary"
    measured = await _measure(tools, name, Load(10_000, 1, 64))
    return _throughput(name, measured, 1_000)


async def measure_batch(tools: Tools) -> list[Figure]:
    """Measure batches of a hundred orders with 8 open calls."""
    name = "embedded_batch"
    measured = await _measure(tools, name, Load(40_000, 100, 8))
    return _throughput(name, measured, 3_000)


async def measure_latency(tools: Tools) -> list[Figure]:
    """Measure 200 orders per second by the clock; each call waits until its order is finalized."""
    name = "embedded_latency"
    measured = await _measure(tools, name, Load(4_000, 1, 2_000, per_s=200))
    waited = measured.answer_ms
    return [
        Figure(name, "p50_ms", waited.percentile_ms(50), 15),
        Figure(name, "p99_ms", waited.percentile_ms(99)),
        Figure(name, "max_ms", waited.max_ms),
        Figure(name, "cpu_s_per_1000_orders", measured.cpu_s()),
    ]


async def measure_rss(tools: Tools) -> list[Figure]:
    """Measure the engine's memory during 200,000 orders."""
    name = "embedded_rss"
    measured = await _measure(tools, name, Load(200_000, 100, 4))
    samples = [*measured.samples, (len(measured.ends), measured.after.rss_mb)]
    half = next(mb for orders, mb in samples if orders >= len(measured.ends) / 2)
    return [
        Figure(name, "mb", max(mb for _, mb in samples), 250),
        Figure(name, "mb_before", measured.before.rss_mb),
        Figure(name, "mb_at_half", half),
        Figure(name, "mb_at_end", measured.after.rss_mb),
        Figure(name, "growth_mb", measured.after.rss_mb - half),
        Figure(name, "orders_per_s", measured.orders_per_s(), more_is_better=True),
    ]


async def measure_shard_keys(tools: Tools) -> list[Figure]:
    """Measure batches with few and with many shard keys: more keys make smaller messages."""
    name, figures = "embedded_shard_keys", []
    for keys in SHARD_KEYS:
        variables = {"SOUK_TOPICS__SHARD_KEYS": str(keys)}
        measured = await _measure(tools, name, Load(20_000, 100, 8), variables)
        figures += [
            Figure(name, f"orders_per_message_{keys}_keys", measured.orders_per_message()),
            Figure(name, f"orders_per_s_{keys}_keys", measured.orders_per_s(), more_is_better=True),
            Figure(name, f"cpu_s_per_1000_orders_{keys}_keys", measured.cpu_s()),
        ]
    return figures


async def measure_check(tools: Tools) -> list[Figure]:
    """Measure `souk check` with more and more sealed orders in the tables."""
    name = "embedded_check"
    async with contextlib.AsyncExitStack() as stack:
        at_work = await stack.enter_async_context(lab.opened(tools.folder, "bench", SEED))
        options = at_work.records.options
        database = backends.open_database(options)
        stack.push_async_callback(database.close)
        folder = str(options.storage.data_dir)
        at = check_growth.Installation(options, database, {"SOUK_STORAGE__DATA_DIR": folder})
        found = await check_growth.measure(name, at_work, at, tools.reporter, tools.size.orders)
    return [Figure(name, metric, value) for metric, value in found.items()]


SCENARIOS: dict[str, Callable[[Tools], Awaitable[list[Figure]]]] = {
    "embedded_unary": measure_unary,
    "embedded_batch": measure_batch,
    "embedded_latency": measure_latency,
    "embedded_rss": measure_rss,
    "embedded_shard_keys": measure_shard_keys,
    "embedded_check": measure_check,
}


def _throughput(name: str, measured: Measured, must: float) -> list[Figure]:
    ends_ms = latency.Histogram(end.took_ms for end in measured.ends)
    return [
        Figure(name, "orders_per_s", measured.orders_per_s(), must, more_is_better=True),
        Figure(name, "cpu_s_per_1000_orders", measured.cpu_s()),
        Figure(name, "p50_ms", ends_ms.percentile_ms(50)),
        Figure(name, "p99_ms", ends_ms.percentile_ms(99)),
        Figure(name, "mb", measured.after.rss_mb),
    ]


async def _measure(
    tools: Tools, name: str, load: Load, variables: Mapping[str, str] = lab.NO_VARIABLES
) -> Measured:
    """Put a load on a fresh engine, wait for all orders, verify them.

    Raises:
        Misconfigured: the engine does not start.
        Temporary: an order was not accepted or not finalized, or an invariant does not hold.
    """
    load = load._replace(orders=tools.size.of(load.orders))
    async with lab.opened(tools.folder, "bench", SEED, variables) as at_work:
        await submission.warm_up(at_work)
        with tools.reporter.showing(name, load.orders) as tell:
            load_on_engine = submission.Submission(at_work, load, tools.size.seconds, tell)
            return await _measured(at_work, load_on_engine)


async def _measured(at_work: lab.Lab, load_on_engine: submission.Submission) -> Measured:
    kept = await at_work.records.newest_message()
    before, samples = cost.of(at_work.engine.pid), []

    async def watch() -> None:
        """Sample the engine's memory until cancelled."""
        while True:
            samples.append((len(at_work.placed), cost.of(at_work.engine.pid).rss_mb))
            await asyncio.sleep(SAMPLE_EVERY_S)

    watching = asyncio.create_task(watch())
    try:
        await load_on_engine.run()
        await at_work.wait_for_last()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    after = cost.of(at_work.engine.pid)
    ends = await at_work.ends()
    messages = await at_work.records.newest_message() - kept
    return Measured(ends, before, after, load_on_engine.answer_ms, samples, messages)
