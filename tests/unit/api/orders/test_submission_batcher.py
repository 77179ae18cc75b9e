"""The batcher: which call gets which verdict, when, and in how many messages orders leave."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from internal.api import options
from internal.api.orders import recent_orders, submission_batcher
from internal.kernel import errors, ids
from internal.kernel.states import OrderState
from internal.orders.messages import OrderPlaced, Submission
from internal.pricing.messages import WantedLine
from tests.unit.api import memory

PLACED = submission_batcher.Placed()
REPLAYED = submission_batcher.Placed(replayed=True)
CONFLICT = submission_batcher.Conflicting()


def fact(order_id: str = "o-1", body: str = "a", merchant_id: str = "m1") -> OrderPlaced:
    """Return a placed order; `body` stands for everything that its hash covers."""
    return OrderPlaced(merchant_id, order_id, "s-1", "EUR", (), (), body, 0)


class Rig:
    """A batcher with its dependencies."""

    def __init__(self, limits: options.Limits) -> None:
        self.bus = memory.MemoryBus()
        self.orders = memory.MemoryOrders(self.bus)
        self.recent = recent_orders.RecentOrders(limits.backlog_orders_max, 2**20)
        self.batcher = submission_batcher.SubmissionBatcher(
            self.bus, self.orders, self.recent, limits
        )

    async def submit(self, *facts: OrderPlaced) -> list[submission_batcher.Verdict]:
        async with asyncio.timeout(5):
            return await self.batcher.submit([Submission(fact) for fact in facts])

    def start(self, *facts: OrderPlaced) -> asyncio.Task[list[submission_batcher.Verdict]]:
        return asyncio.create_task(self.submit(*facts))


async def made(limits: options.Limits) -> AsyncIterator[Rig]:
    built = Rig(limits)
    yield built
    await built.batcher.drain()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async for built in made(options.Limits(lookup_s=0.1)):
        yield built


async def turns(count: int = 10) -> None:
    """Let all other tasks run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_new_then_replayed_then_conflict(rig: Rig) -> None:
    assert await rig.submit(fact()) == [PLACED]
    assert await rig.submit(fact()) == [REPLAYED]
    assert await rig.submit(fact(body="b")) == [CONFLICT]
    assert await rig.submit(fact(merchant_id="m2", body="b")) == [PLACED]


async def test_verdicts_stand_in_the_order_of_the_facts(rig: Rig) -> None:
    await rig.submit(fact("old"))
    facts = [fact("x"), fact("old"), fact("x", "b"), fact("y"), fact("x"), fact("old", "b")]
    expected = [PLACED, REPLAYED, CONFLICT, PLACED, REPLAYED, CONFLICT]
    assert await rig.submit(*facts) == expected


async def test_the_recorded_order_tells_its_state(rig: Rig) -> None:
    await rig.submit(fact())
    rig.orders.record(fact())
    assert await rig.submit(fact()) == [submission_batcher.Placed(True, OrderState.ACCEPTED, 2)]  # noqa: FBT003
    assert await rig.submit(fact(body="b")) == [CONFLICT]
    assert rig.recent.unrecorded(ids.OrderRef("m1", "o-1")) is None


async def test_an_order_recorded_before_this_start(rig: Rig) -> None:
    rig.orders.record(fact())
    assert await rig.submit(fact(body="b")) == [CONFLICT]
    assert not rig.bus.messages


async def test_no_order_is_answered_before_the_receipt_not_even_a_repeated_one(rig: Rig) -> None:
    with rig.bus.standing_still():
        first = rig.start(fact())
        await turns()
        again, other = rig.start(fact()), rig.start(fact(body="b"))
        await turns()
        assert not any(call.done() for call in (first, again, other))
    assert [await first, await again, await other] == [[PLACED], [REPLAYED], [CONFLICT]]
    assert rig.bus.batches == [1]


async def test_without_a_receipt_nothing_is_kept(rig: Rig) -> None:
    rig.bus.is_away = True
    with rig.bus.standing_still():
        calls = [rig.start(fact()), rig.start(fact()), rig.start(fact(body="b"))]
        await turns()
    for call in calls:
        [verdict] = await call
        assert isinstance(verdict, submission_batcher.Unplaced)
        assert isinstance(verdict.error, errors.BusAway)
    rig.bus.is_away = False
    assert await rig.submit(fact(body="b")) == [PLACED]
    assert rig.batcher.open_orders == 0


async def test_a_broker_without_receipts_is_told_even_if_no_caller_waits(rig: Rig) -> None:
    told: list[str] = []
    sink = logger.add(lambda message: told.append(message.record["message"]), level="WARNING")
    rig.bus.is_away = True
    with rig.bus.standing_still():
        call = rig.start(fact())
        await turns()
        call.cancel()
    await turns()
    logger.remove(sink)
    assert told == ["orders are not placed: BusAway('in this test')"]


async def test_waiting_orders_leave_together(rig: Rig) -> None:
    with rig.bus.standing_still():
        calls = [rig.start(fact(f"o-{number}")) for number in range(300)]
        await turns()
    assert await asyncio.gather(*calls) == [[PLACED]] * 300
    assert sum(rig.bus.batches) == 300
    assert len(rig.bus.batches) <= 3


async def test_batches_are_bounded() -> None:
    async for rig in made(options.Limits(batch_orders_max=100)):
        facts = [fact(f"o-{number}") for number in range(350)]
        assert await rig.submit(*facts) == [PLACED] * 350
        assert rig.bus.batches == [100, 100, 100, 50]


async def test_batches_in_flight_are_bounded() -> None:
    async for rig in made(options.Limits(batch_orders_max=1, batches_in_flight_max=2)):
        with rig.bus.standing_still():
            calls = [rig.start(fact(f"o-{number}")) for number in range(5)]
            await turns(30)
            assert rig.orders.reads == 2
        await asyncio.gather(*calls)


async def test_a_full_queue_takes_all_of_a_call_or_nothing() -> None:
    limits = options.Limits(queue_orders_max=3, batch_orders_max=1, batches_in_flight_max=1)
    async for rig in made(limits):
        with rig.bus.standing_still():
            flying = rig.start(fact("flying"))
            await turns()
            waiting = rig.start(fact("a"), fact("b"))
            await turns()
            with pytest.raises(errors.Overloaded) as caught:
                await rig.submit(fact("c"), fact("d"))
            assert caught.value.retry_after_s == limits.retry_after_s
        assert await flying == [PLACED]
        assert await waiting == [PLACED, PLACED]
        assert await rig.submit(fact("c")) == [PLACED]


async def test_a_queue_of_large_orders_is_full_earlier() -> None:
    limits = options.Limits(queue_lines_max=250, batch_orders_max=1, batches_in_flight_max=1)
    lines = (WantedLine("tea", 1_000),) * 100
    large = [msgspec.structs.replace(fact(name), lines=lines) for name in "abcd"]
    async for rig in made(limits):
        with rig.bus.standing_still():
            flying = rig.start(large[0])
            await turns()
            waiting = rig.start(*large[1:3])
            await turns()
            with pytest.raises(errors.Overloaded):
                await rig.submit(large[3])
            small = rig.start(fact("small"))
            await turns()
        assert await flying == await small == [PLACED]
        assert await waiting == [PLACED, PLACED]
        assert await rig.submit(large[3]) == [PLACED]


async def test_a_database_that_is_away_or_slow_holds_nothing_up(rig: Rig) -> None:
    rig.orders.is_away = True
    assert await rig.submit(fact()) == [PLACED]
    reads = rig.orders.reads
    assert await rig.submit(fact("o-2")) == [PLACED]
    assert rig.orders.reads == reads
    assert await rig.submit(fact()) == [REPLAYED]
    assert await rig.submit(fact(body="b")) == [CONFLICT]


async def test_a_caller_that_gives_up_in_the_queue_is_not_served() -> None:
    async for rig in made(options.Limits(batch_orders_max=1, batches_in_flight_max=1)):
        with rig.bus.standing_still():
            flying, leaving = rig.start(fact("a")), rig.start(fact("b"))
            await turns()
            leaving.cancel()
            await turns()
        assert await flying == [PLACED]
        assert await rig.submit(fact("c")) == [PLACED]
        assert rig.bus.batches == [1, 1]
        assert rig.batcher.open_orders == 0


async def test_later_orders_under_its_id_are_still_answered() -> None:
    async for rig in made(options.Limits(batch_orders_max=1, batches_in_flight_max=1)):
        with rig.bus.standing_still():
            flying, leaving = rig.start(fact("a")), rig.start(fact("b"))
            await turns()
            staying = rig.start(fact("b"))
            await turns()
            leaving.cancel()
            await turns()
        await flying
        assert await staying == [REPLAYED]


async def test_a_mistake_of_ours_reaches_the_callers_and_stops_no_other(rig: Rig) -> None:
    rig.orders.views[ids.OrderRef("m1", "o-1")] = "no view"  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        await rig.submit(fact())
    assert await rig.submit(fact("o-2")) == [PLACED]
    assert rig.batcher.open_orders == 0


async def test_drain_waits_for_all(rig: Rig) -> None:
    with rig.bus.standing_still():
        calls = [rig.start(fact(f"o-{number}")) for number in range(10)]
        await turns()
        draining = asyncio.create_task(rig.batcher.drain())
        await turns()
        assert not draining.done()
    await draining
    assert rig.batcher.open_orders == 0
    await asyncio.gather(*calls)


steps = st.lists(
    st.tuples(
        st.sampled_from(["o-1", "o-2"]),
        st.sampled_from("ab"),
        st.sampled_from(["calm", "bus away", "database away", "record", "together"]),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(steps=steps)
def test_an_id_never_stands_for_two_orders(steps: list[tuple[str, str, str]]) -> None:
    """After any failures: at most one body per id is answered OK, and all of those are out."""
    asyncio.run(_follow(steps))


async def _follow(steps: list[tuple[str, str, str]]) -> None:
    rig = Rig(options.Limits(lookup_s=0.1))
    answered: dict[str, str] = {}
    for order_id, body, event in steps:
        rig.bus.is_away = event == "bus away"
        rig.orders.is_away = event == "database away"
        order = fact(order_id, body)
        facts = [order, fact(order_id, "a"), order] if event == "together" else [order]
        for sent, verdict in zip(facts, await rig.submit(*facts), strict=True):
            if isinstance(verdict, submission_batcher.Placed):
                assert answered.setdefault(order_id, sent.body_hash) == sent.body_hash
            elif isinstance(verdict, submission_batcher.Conflicting):
                assert answered.get(order_id, sent.body_hash) != sent.body_hash
        if event == "record":
            for out in rig.bus.facts():
                assert isinstance(out, OrderPlaced)
                rig.orders.record(out)
    published = {f.order_id: f.body_hash for f in rig.bus.facts() if isinstance(f, OrderPlaced)}
    assert published == answered
    await rig.batcher.drain()
