"""Submits a scenario's load to an engine: numbered orders, by the clock or as fast as possible.

Does not look at the ends of the orders or at their cost.
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
"""If the length is given in seconds."""


class Size(msgspec.Struct, frozen=True):
    """How long to submit: N orders, N seconds, or the scenario's own number of orders."""

    orders: int | None = None
    seconds: float | None = None

    def of(self, orders: int) -> int:
        """Return how many orders to submit; `orders` is the scenario's own number."""
        if self.orders is not None:
            return self.orders
        return orders if self.seconds is None else ORDERS_MAX


class Load(NamedTuple):
    """How a scenario loads the engine."""

    orders: int
    batch: int
    concurrency: int
    per_s: float | None = None
    """Calls per second by the clock; None sends as fast as answers come back."""


class Submission:
    """One load for one engine."""

    def __init__(
        self, at_work: lab.Lab, load: Load, seconds: float | None, tell: progress.Tell
    ) -> None:
        self._lab, self._load, self._seconds, self._tell = at_work, load, seconds, tell
        self.answer_ms = latency.Histogram()
        """From the instant each call was due until its answer."""

    async def run(self) -> None:
        """Submit all orders and wait for the answers.

        Raises:
            Temporary: an order was not accepted.
        """
        load = self._load
        if load.per_s:
            await pacing.open_loop(self._calls(), self._send, load.per_s, load.concurrency)
        else:
            await pacing.closed_loop(self._calls(), self._send, load.concurrency)

    def _calls(self) -> Iterator[range]:
        """Yield the order numbers of each call until all are sent or time is up."""
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
    """Process some orders that are not measured, and forget them."""
    await Submission(at_work, Load(orders, 100, 1), None, lambda _: None).run()
    await at_work.wait_for_last()
    await at_work.ends()
    at_work.placed.clear()
