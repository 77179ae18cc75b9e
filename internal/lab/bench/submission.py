"""A load as a scenario describes it, put on an engine: numbered orders, by the clock or not.

What becomes of the orders, and what they cost, is for others to see.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from internal.lab.bench import lab
from internal.lab.workload import latency, pacing, progress

WARM_UP_ORDERS = 500
"""Not measured: they compile statements and fill caches."""
ORDERS_MAX = 1_000_000
"""When seconds are asked for, not orders."""


class Size(msgspec.Struct, frozen=True):
    """How long to submit: so many orders, so many seconds, or as the scenario wants it."""

    orders: int | None = None
    seconds: float | None = None

    def of(self, orders: int) -> int:
        """Return how many orders there are, where a scenario wants `orders`."""
        if self.orders is not None:
            return self.orders
        return orders if self.seconds is None else ORDERS_MAX


class Load(NamedTuple):
    """How a scenario loads the engine."""

    orders: int
    batch: int
    concurrency: int
    per_s: float | None = None
    """Calls by the clock; None as fast as answers come back."""


class Submission:
    """One load on one engine."""

    def __init__(
        self, at_work: lab.Lab, load: Load, seconds: float | None, tell: progress.Tell
    ) -> None:
        self._lab, self._load, self._seconds, self._tell = at_work, load, seconds, tell
        self.answer_ms = latency.Histogram()
        """From the instant at which each call was due to its answer."""

    async def run(self) -> None:
        """Submit until all are answered.

        Raises:
            Temporary: an order was not taken.
        """
        load = self._load
        if load.per_s:
            await pacing.open_loop(self._calls(), self._send, load.per_s, load.concurrency)
        else:
            await pacing.closed_loop(self._calls(), self._send, load.concurrency)

    def _calls(self) -> Iterator[range]:
        """Yield the orders' numbers, a call's at a time, until there are enough or time is up."""
        size, started_s = self._load.batch, time.perf_counter()
        first = self._lab.reserve(self._load.orders)
        last = first + self._load.orders
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
        self.answer_ms.record((time.perf_counter() - due_s) * 1_000)
        self._tell(len(self._lab.placed))


async def warm_up(at_work: lab.Lab, orders: int = WARM_UP_ORDERS) -> None:
    """Put some orders through that are not measured, and forget them."""
    await Submission(at_work, Load(orders, 100, 1), None, lambda _: None).run()
    await at_work.last_ones()
    await at_work.ends()
    at_work.placed.clear()
