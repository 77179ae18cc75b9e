"""The scenarios: each measures an engine of its own, on a fresh folder, and verifies every order.

Client and engine share the machine. A missed goal is shown, not hidden.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from internal.kernel.clock import US_PER_SECOND
from internal.load import child, histogram, lab, pacing, progress, settling

WARM_UP_ORDERS = 500
"""Not measured: they compile statements and fill caches."""
SAMPLE_EVERY_S = 0.5
SEED = 1


class Size(msgspec.Struct, frozen=True):
    """How long to submit: so many orders, so many seconds, or as the scenario wants it."""

    orders: int | None = None
    seconds: float | None = None


class Figure(msgspec.Struct, frozen=True):
    """One thing measured."""

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
    """What every scenario uses."""

    script: Path
    """Starts an engine: cmd/start.py."""
    folder: Path
    """On the disk that is measured."""
    reporter: progress.Reporter
    size: Size


class Load(NamedTuple):
    """How a scenario loads the engine."""

    orders: int
    batch: int
    concurrency: int
    per_s: float | None = None
    """Calls by the clock; None as fast as answers come back."""


class Measured(NamedTuple):
    """What came of a load."""

    ends: Sequence[settling.End]
    before: child.Cost
    after: child.Cost
    answer_ms: histogram.Histogram
    samples: Sequence[tuple[int, float]]
    """(orders answered, engine's memory in MB), as time went by."""

    def orders_per_s(self) -> float:
        """Orders by the time from the first OK to the last end, by the engine's clock."""
        first_us = min(end.placed_at_us for end in self.ends)
        last_us = max(end.ended_at_us for end in self.ends)
        return len(self.ends) * US_PER_SECOND / max(1, last_us - first_us)

    def cpu_s(self) -> float:
        """The engine's processor time for 1,000 orders."""
        return (self.after.cpu_s - self.before.cpu_s) * 1_000 / len(self.ends)


async def unary(tools: Tools) -> list[Figure]:
    """Orders one by one, 64 calls open."""
    name = "embedded_unary"
    measured = await _measure(tools, name, Load(10_000, 1, 64))
    return _throughput(name, measured, 1_000)


async def batch(tools: Tools) -> list[Figure]:
    """Orders a hundred a call, 8 calls open."""
    name = "embedded_batch"
    measured = await _measure(tools, name, Load(40_000, 100, 8))
    return _throughput(name, measured, 3_000)


async def latency(tools: Tools) -> list[Figure]:
    """200 orders a second by the clock; each call waits until its order is finalized."""
    name = "embedded_latency"
    measured = await _measure(tools, name, Load(4_000, 1, 2_000, per_s=200))
    waited = measured.answer_ms
    return [
        Figure(name, "p50_ms", waited.percentile_ms(50), 15),
        Figure(name, "p99_ms", waited.percentile_ms(99)),
        Figure(name, "max_ms", waited.max_ms),
        Figure(name, "cpu_s_per_1000_orders", measured.cpu_s()),
    ]


async def rss(tools: Tools) -> list[Figure]:
    """Memory while 200,000 orders go through."""
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


SCENARIOS: dict[str, Callable[[Tools], Awaitable[list[Figure]]]] = {
    "embedded_unary": unary,
    "embedded_batch": batch,
    "embedded_latency": latency,
    "embedded_rss": rss,
}


def _throughput(name: str, measured: Measured, must: float) -> list[Figure]:
    ends_ms = histogram.Histogram(end.took_ms for end in measured.ends)
    return [
        Figure(name, "orders_per_s", measured.orders_per_s(), must, more_is_better=True),
        Figure(name, "cpu_s_per_1000_orders", measured.cpu_s()),
        Figure(name, "p50_ms", ends_ms.percentile_ms(50)),
        Figure(name, "p99_ms", ends_ms.percentile_ms(99)),
        Figure(name, "mb", measured.after.rss_mb),
    ]


async def _measure(tools: Tools, name: str, load: Load) -> Measured:
    """Put a load on a fresh engine, wait for all orders, verify them.

    Raises:
        Misconfigured: the engine does not start.
        Temporary: an order was not taken or not finalized, or the books do not hold.
    """
    load = load if tools.size.orders is None else load._replace(orders=tools.size.orders)
    if tools.size.seconds is not None and tools.size.orders is None:
        load = load._replace(orders=1_000_000)
    async with lab.opened(tools.script, tools.folder, "bench", SEED) as at_work:
        await _warm_up(at_work)
        with tools.reporter.showing(name, load.orders) as tell:
            return await _Run(at_work, load, tools.size.seconds, tell).measure()


async def _warm_up(at_work: lab.Lab) -> None:
    for start in range(0, WARM_UP_ORDERS, 100):
        await at_work.batch(range(start, start + 100))
    await at_work.last_ones()
    await at_work.ends()
    at_work.placed.clear()


class _Run:
    """One load on one engine."""

    def __init__(
        self, at_work: lab.Lab, load: Load, seconds: float | None, tell: progress.Tell
    ) -> None:
        self._lab, self._load, self._seconds, self._tell = at_work, load, seconds, tell
        self._answer_ms = histogram.Histogram()
        self._samples: list[tuple[int, float]] = []

    async def measure(self) -> Measured:
        before = self._lab.engine.cost()
        watching = asyncio.create_task(self._watch())
        try:
            await self._submit()
            await self._lab.last_ones()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        after = self._lab.engine.cost()
        ends = await self._lab.ends()
        return Measured(ends, before, after, self._answer_ms, self._samples)

    async def _submit(self) -> None:
        load = self._load
        if load.per_s:
            await pacing.open_loop(self._calls(), self._send, load.per_s, load.concurrency)
        else:
            await pacing.closed_loop(self._calls(), self._send, load.concurrency)

    def _calls(self) -> Iterator[range]:
        """Yield the orders' numbers, a call's at a time, until there are enough or time is up."""
        size, started_s = self._load.batch, time.perf_counter()
        first, last = WARM_UP_ORDERS, WARM_UP_ORDERS + self._load.orders
        for start in range(first, last, size):
            if self._seconds and time.perf_counter() - started_s > self._seconds:
                return
            yield range(start, min(start + size, last))

    async def _send(self, numbers: range, due_s: float) -> None:
        if self._load.batch > 1:
            await self._lab.batch(numbers)
        else:
            wait_for = lab.FINALIZED if self._load.per_s else lab.NO_WAIT
            await self._lab.single(numbers[0], wait_for)
        self._answer_ms.record((time.perf_counter() - due_s) * 1_000)
        self._tell(len(self._lab.placed))

    async def _watch(self) -> None:
        """Sample the engine's memory until cancelled."""
        while True:
            self._samples.append((len(self._lab.placed), self._lab.engine.cost().rss_mb))
            await asyncio.sleep(SAMPLE_EVERY_S)
