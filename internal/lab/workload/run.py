"""Submits the orders of one run and follows them to their ends.

Shared by the demo and the load runs, which decide what is sent, and when.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from internal.client import client, sender
from internal.infra import clock
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.states import OrderState
from internal.lab.workload import generator, latency, outcomes, pacing, progress, results, scenarios

Call = Sequence[generator.Submission]
"""Orders that go out together: one by SubmitOrder, several by SubmitOrders."""


class Pace(msgspec.Struct, frozen=True):
    """How fast orders go out."""

    concurrency: int = 32
    """Number of open calls."""
    orders_per_s: float | None = None
    """By the clock; None sends as fast as answers come back."""
    batch: int = 1
    """Orders per call; in a mixture, per larger call."""


class Speed(NamedTuple):
    """How fast orders ended, by the server's clock, without those that are slow on purpose."""

    orders: int
    seconds: float
    """From the first OK to the last end."""
    took_ms: latency.Histogram
    """From each OK to its end."""
    slow_ms: latency.Histogram
    """The same for the orders that waited for the gateway on purpose."""

    @property
    def orders_per_s(self) -> float:
        """Orders per second; 0 if no order ended."""
        return self.orders / self.seconds if self.seconds else 0.0


class Run:
    """Sends orders and collects their answers and ends."""

    def __init__(
        self, connection: client.Client, reporter: progress.Reporter, patience: sender.Patience
    ) -> None:
        self.results = results.Results()
        self.sender = sender.Sender(connection, patience)
        self._client, self._reporter = connection, reporter
        self._since_us = clock.SystemClock().now_us()
        self.ends: dict[str, outcomes.End] = {}
        self.hanging: list[str] = []
        """Orders answered OK that did not end in time. There must be none."""
        self.astray: list[str] = []
        """Orders that had more than one end. There must be none."""

    async def send(self, calls: Iterable[Call], total: int, pace: Pace) -> None:
        """Send all calls, which hold `total` orders."""
        with self._reporter.showing("submitting", total) as tell:

            async def place(call: Call, due_s: float) -> None:
                await self._place(call, due_s)
                tell(self.results.submissions)

            if pace.orders_per_s:
                calls_per_s = pace.orders_per_s / pace.batch
                await pacing.open_loop(calls, place, calls_per_s, pace.concurrency)
            else:
                await pacing.closed_loop(calls, place, pace.concurrency)

    async def wait_for_ends(self, deadline_s: float) -> None:
        """Wait until all placed orders have ended, then check that they stay at their ends."""
        placed = list(self.results.placed)
        watcher = outcomes.Watcher(self._client, placed, self._since_us)
        with self._reporter.showing("to their end", len(placed)) as tell:
            await watcher.wait(deadline_s, tell)
        self.hanging = sorted(watcher.open)
        await watcher.look(watcher.ends)
        sample = _sample(placed)
        several = await watcher.without_exactly_one_end(sample)
        self.astray = sorted({*watcher.changed_after_end, *several})
        self.ends = watcher.ends
        self._compare()

    def speed(self) -> Speed:
        """Return how fast orders ended."""
        kinds_of = self.results.placed
        slow = {name for name, kind in kinds_of.items() if scenarios.EXPECTED[kind].is_slow}
        quick = [end for name, end in self.ends.items() if name not in slow]
        seconds = 0.0
        if quick:
            first_us = min(end.placed_at_us for end in quick)
            seconds = (max(end.ended_at_us for end in quick) - first_us) / US_PER_SECOND
        return Speed(
            len(quick),
            seconds,
            latency.Histogram(end.took_ms for end in quick),
            latency.Histogram(end.took_ms for name, end in self.ends.items() if name in slow),
        )

    def rejected(self) -> Counter[str]:
        """Count the rejected orders by reason."""
        ends = self.ends.values()
        return Counter(end.reason for end in ends if end.state is OrderState.REJECTED)

    def finalized(self) -> int:
        """Count the finalized orders."""
        return sum(end.state is OrderState.FINALIZED for end in self.ends.values())

    async def _place(self, call: Call, due_s: float) -> None:
        answers = await self.sender.send([sent.draft for sent in call])
        self.results.answered(due_s)
        for sent, answer in zip(call, answers, strict=True):
            self.results.add(sent, answer)

    def _compare(self) -> None:
        """Note the orders that ended in an unexpected way."""
        for name, end in self.ends.items():
            kind = self.results.placed[name]
            outcome = end.reason or end.state
            if not scenarios.is_expected(kind, outcome):
                self.results.surprise(f"{name} ({kind}): {outcome}")


SAMPLE_ORDERS = 100


def _sample(names: Sequence[str]) -> Sequence[str]:
    """Return up to SAMPLE_ORDERS names, evenly spread."""
    return names[:: max(1, -(-len(names) // SAMPLE_ORDERS))]


def singles(submissions: Iterable[generator.Submission]) -> Iterator[Call]:
    """Send each order alone."""
    return ([sent] for sent in submissions)


def batches(submissions: Iterable[generator.Submission], size: int) -> Iterator[Call]:
    """Send `size` orders together."""
    call: list[generator.Submission] = []
    for sent in submissions:
        call.append(sent)
        if len(call) == size:
            yield call
            call = []
    if call:
        yield call


def mixture(submissions: Iterable[generator.Submission], size: int) -> Iterator[Call]:
    """Send `size` orders one by one, the next `size` together, and so on."""
    for number, call in enumerate(batches(submissions, size)):
        if number % 2:
            yield call
        else:
            yield from singles(call)
