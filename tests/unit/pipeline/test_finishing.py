"""A stage that is told to leave finishes what it has begun, and leaves the rest uncounted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from internal.flow import topics
from internal.kernel import errors, ids
from internal.kernel.clock import ManualClock
from internal.orders import messages
from internal.pipeline import crash_counts, dead_letters, envelope, finishing, handler
from tests.support import ports, shop, staged_orders

PATIENCE_S = 5.0
NOW_US = 3_000_000_000_000_000
"""Later than the shop's orders: a process that crashed may have held any of them."""
CARD, CASH, FOREIGN = "a card", "", "a foreign database"


class PaidOrders:
    """Has a call to a gateway for orders with a card; nothing follows from an order."""

    spec = topics.ORDER

    def __init__(self) -> None:
        self.recorded: list[str] = []
        self.called = asyncio.Event()
        self.answer = asyncio.Event()
        self.was_abandoned = False

    def record(
        self, connection: sa.Connection, work: Sequence[handler.Work], now_us: int
    ) -> list[handler.Outcome]:
        del connection, now_us
        if any(w.fact.trace_id == FOREIGN for w in work):
            raise errors.Misconfigured("other tables")
        self.recorded += [w.fact.order_id for w in work]
        return [
            handler.Waiting(w.fact)
            if w.fact.trace_id == CARD and w.result is None
            else handler.Settled()
            for w in work
        ]

    async def perform(self, effect: messages.OrderPlaced) -> str:
        self.called.set()
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.was_abandoned = True
            raise
        return effect.order_id

    def abandon(self, connection: sa.Connection, fact: messages.OrderPlaced) -> None:
        """See StageHandler.abandon."""


class Bench:
    """A stage that runs in memory, and can be told to leave."""

    def __init__(self, connection: sa.Connection, finish_s: float) -> None:
        self.connection = connection
        self.stage = PaidOrders()
        self.acknowledged: list[Any] = []
        all_ports = handler.Ports(
            ports.MemoryDatabase(connection),
            ports.MemoryPublisher(),
            ManualClock(NOW_US),
            self._acknowledge,
        )
        self.runner = finishing.FinishingRunner(self.stage, all_ports, handler.Limits(), finish_s)
        self.run = asyncio.create_task(self.runner.run())

    async def _acknowledge(self, handles: Sequence[Any]) -> None:
        await asyncio.sleep(0)
        self.acknowledged += handles

    def offer(self, order_id: str, note: str = CASH) -> None:
        """Offer a message with one order, as it comes again from a dead process."""
        order = msgspec.structs.replace(shop.placed(order_id), trace_id=note)
        self.runner.offer(
            handler.Incoming(topics.PLACED, envelope.encode([order]), order_id, redeliveries=1)
        )

    async def until_called(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.stage.called.wait()

    async def gone(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.run

    def counts(self) -> dict[ids.Subject, int]:
        """Return the crashes that are counted: of the stage's runs, and of orders."""
        refs = [
            crash_counts.STAGE,
            *(ids.Subject("order", "demo", name) for name in self.stage.recorded),
        ]
        return crash_counts.find(self.connection, self.stage.spec.name, refs)


Made = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def make() -> AsyncIterator[Made]:
    """Make a stage that runs; `finish_s` is how long it may finish."""
    made: list[Bench] = []
    with staged_orders.database() as connection:

        async def one(finish_s: float = PATIENCE_S) -> Bench:
            made.append(Bench(connection, finish_s))
            await asyncio.sleep(0)
            return made[-1]

        yield one
        for bench in made:
            bench.run.cancel()
        await asyncio.gather(*(bench.run for bench in made), return_exceptions=True)


async def test_an_idle_stage_leaves_at_once(make: Made) -> None:
    bench = await make()
    bench.runner.leave()
    await bench.gone()


async def test_what_is_at_the_gateway_is_finished_and_acknowledged(make: Made) -> None:
    bench = await make()
    bench.offer("a", CARD)
    await bench.until_called()
    bench.runner.leave()
    await asyncio.sleep(0)
    assert not bench.run.done()
    bench.stage.answer.set()
    await bench.gone()
    assert bench.acknowledged == ["a"]
    assert bench.stage.recorded == ["a", "a"]
    assert not bench.counts()


async def test_a_call_without_an_answer_is_left_with_its_message(make: Made) -> None:
    bench = await make(finish_s=0.0)
    bench.offer("a", CARD)
    await bench.until_called()
    bench.runner.leave()
    await bench.gone()
    assert bench.stage.was_abandoned
    assert not bench.acknowledged
    assert not dead_letters.list_open(bench.connection)


async def test_a_second_request_does_not_wait_for_the_answer(make: Made) -> None:
    bench = await make()
    bench.offer("a", CARD)
    await bench.until_called()
    bench.runner.leave()
    await asyncio.sleep(0)
    bench.runner.leave()
    await bench.gone()
    assert not bench.acknowledged


async def test_messages_that_are_not_begun_and_later_ones_are_left(make: Made) -> None:
    bench = await make(finish_s=0.0)
    bench.offer("a", CARD)
    await bench.until_called()
    bench.offer("b")  # waits: the loop has not run since
    bench.runner.leave()
    bench.offer("c")
    await bench.gone()
    assert bench.stage.recorded == ["a"]
    assert not bench.acknowledged


async def test_leaving_is_never_counted_as_a_crash(make: Made) -> None:
    """As often as it happens, with the same order unfinished: no stage ever counts it."""
    for _ in range(crash_counts.ATTEMPTS_MAX + 1):
        bench = await make(finish_s=0.0)
        bench.offer("a", CARD)
        await bench.until_called()
        assert bench.counts() == {crash_counts.STAGE: 1}
        bench.runner.leave()
        await bench.gone()
        assert not bench.counts()


async def test_a_stage_that_cannot_go_on_says_why(make: Made) -> None:
    bench = await make()
    bench.offer("a", FOREIGN)
    with pytest.raises(errors.Misconfigured, match="other tables"):
        await bench.gone()


async def test_the_reason_is_told_while_it_leaves_too(make: Made) -> None:
    bench = await make()
    bench.offer("a", CARD)
    await bench.until_called()
    bench.offer("b", FOREIGN)
    await asyncio.sleep(0)
    bench.runner.leave()
    with pytest.raises(errors.Misconfigured, match="other tables"):
        await bench.gone()
