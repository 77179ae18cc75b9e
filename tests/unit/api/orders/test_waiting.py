"""Those who wait for orders: the hub wakes them, the lookup reads for them, nobody else pays."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from internal.api import options
from internal.api.orders import notifier, order_loader, recent_orders, watch
from internal.flow import topics
from internal.infra import bus
from internal.kernel import errors, ids
from internal.kernel.states import OrderState
from internal.orders.messages import OrderPlaced
from internal.views.order import OrderView
from tests.unit.api import memory

NAME = ids.OrderRef("m1", "o-1")


def fact(order_id: str = "o-1") -> OrderPlaced:
    return OrderPlaced("m1", order_id, "s-1", "EUR", (), (), "h", 0)


class Rig:
    """A hub that listens, and a follower on top of it."""

    def __init__(self) -> None:
        self.bus = memory.MemoryBus()
        self.orders = memory.MemoryOrders(self.bus)
        self.recent = recent_orders.RecentOrders(100)
        self.hub = notifier.OrderNotifier(self.bus)
        self.lookup = order_loader.OrderLoader(self.orders, self.recent)
        limits = options.Limits(reread_s=60)
        self.follower = watch.Follower(self.lookup, self.hub, limits)
        self.task = asyncio.create_task(self.hub.run())

    def follow(
        self, timeout_s: float = 5, *, look_at_once: bool = True
    ) -> asyncio.Task[watch.Known]:
        return asyncio.create_task(self._follow(timeout_s, look_at_once=look_at_once))

    async def _follow(self, timeout_s: float, *, look_at_once: bool) -> watch.Known:
        by_s = asyncio.get_running_loop().time() + timeout_s
        with self.follower.listening(NAME, watch.ENDED) as listener:
            return await listener.until(watch.is_ended, by_s, look_at_once=look_at_once)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    built = Rig()
    await asyncio.sleep(0)
    yield built
    built.task.cancel()
    await asyncio.wait([built.task])


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class TestHub:
    async def test_wakes_for_its_order_on_its_topics_only(self, rig: Rig) -> None:
        rig.orders.record(fact())
        rig.orders.record(fact("o-2"))
        waiting = rig.follow()
        await turns()
        reads = rig.orders.reads
        await rig.orders.tell(NAME, topics.ACCEPTED)
        await rig.orders.tell(ids.OrderRef("m1", "o-2"), topics.FINALIZED)
        await turns()
        assert rig.orders.reads == reads
        rig.orders.move(NAME, OrderState.REJECTED)
        await rig.orders.tell(NAME, topics.REJECTED)
        view = await waiting
        assert isinstance(view, OrderView)
        assert view.state is OrderState.REJECTED
        assert rig.orders.reads == reads + 1
        assert not rig.hub.has_bells

    async def test_a_ring_between_look_and_wait_is_not_lost(self, rig: Rig) -> None:
        with rig.hub.bell(NAME, topics.OUTCOMES) as bell:
            bell.ring()
            async with asyncio.timeout(1):
                await bell.wait(60)

    async def test_unreadable_messages_wake_nobody_and_break_nothing(self, rig: Rig) -> None:
        with rig.hub.bell(NAME, topics.OUTCOMES) as bell:
            for payload in (b"", b"{", b"[]", b'{"v":1,"facts":[{}]}', b'{"facts":null}'):
                await rig.bus.publish([bus.Outgoing(topics.PAID, "00", payload, {"orders": "1"})])
            await turns()
            rig.orders.record(fact())
            await rig.orders.tell(NAME, topics.ACCEPTED)
            async with asyncio.timeout(1):
                await bell.wait(60)

    async def test_closing_wakes_everybody(self, rig: Rig) -> None:
        rig.recent.add(fact())
        waiting = rig.follow(60)
        await turns()
        rig.hub.close()
        assert await waiting == fact()


class TestFollower:
    async def test_time_is_up(self, rig: Rig) -> None:
        rig.recent.add(fact())
        assert await rig.follow(0.05) == fact()

    async def test_looks_again_sooner_for_what_no_message_tells(self, rig: Rig) -> None:
        rig.recent.add(fact())
        loop = asyncio.get_running_loop()
        loop.call_later(0.03, rig.orders.record, fact())
        with rig.follower.listening(NAME, ()) as listener:
            view = await listener.until_logged(watch.is_decided, loop.time() + 5)
        assert isinstance(view, OrderView)
        assert rig.orders.reads < 8

    async def test_a_new_order_is_not_looked_for_before_something_is_told(self, rig: Rig) -> None:
        waiting = rig.follow(look_at_once=False)
        await turns()
        assert rig.orders.reads == 0
        rig.orders.record(fact())
        rig.orders.move(NAME, OrderState.REJECTED)
        await rig.orders.tell(NAME, topics.REJECTED)
        assert isinstance(await waiting, OrderView)
        assert rig.orders.reads == 1

    async def test_it_is_looked_for_at_the_end_at_least(self, rig: Rig) -> None:
        rig.orders.record(fact())
        assert isinstance(await rig.follow(0.05, look_at_once=False), OrderView)

    async def test_a_database_that_comes_back(self, rig: Rig) -> None:
        rig.orders.is_away = True
        waiting = rig.follow()
        await turns()
        rig.orders.is_away = False
        rig.orders.record(fact())
        rig.orders.move(NAME, OrderState.REJECTED)
        await rig.orders.tell(NAME, topics.REJECTED)
        assert isinstance(await waiting, OrderView)

    async def test_a_story_is_told_once(self, rig: Rig) -> None:
        rig.orders.record(fact())
        rig.orders.move(NAME, OrderState.REJECTED)
        versions = [entry.version async for entry, _ in rig.follower.story(NAME, 0)]
        assert versions == [1, 2, 3]


class TestLookup:
    async def test_looks_at_the_same_time_share_a_read(self, rig: Rig) -> None:
        rig.orders.record(fact())
        names = [NAME, ids.OrderRef("m1", "o-2")] * 50
        first = asyncio.create_task(rig.lookup.recorded(NAME))
        await asyncio.sleep(0)
        views = await asyncio.gather(*(rig.lookup.recorded(name) for name in names))
        assert [view is not None for view in views] == [True, False] * 50
        assert await first
        assert rig.orders.reads == 2

    async def test_a_look_never_shares_a_read_that_began_before_it(self, rig: Rig) -> None:
        early = asyncio.create_task(rig.lookup.recorded(NAME))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rig.orders.record(fact())
        assert await rig.lookup.recorded(NAME) is not None
        await early

    async def test_an_order_never_goes_back_to_placed(self, rig: Rig) -> None:
        rig.recent.add(fact())
        assert await rig.lookup.get(NAME) == fact()
        rig.orders.record(fact())
        assert isinstance(await rig.lookup.get(NAME), OrderView)
        rig.orders.views.clear()
        assert await rig.lookup.get(NAME) is None

    async def test_errors_reach_all_and_pass(self, rig: Rig) -> None:
        rig.orders.is_away = True
        for _ in range(2):
            with pytest.raises(errors.DatabaseAway):
                await rig.lookup.get(NAME)
        rig.orders.is_away = False
        assert await rig.lookup.get(NAME) is None

    async def test_a_caller_that_leaves_takes_nobody_along(self, rig: Rig) -> None:
        rig.orders.record(fact())
        leaving = asyncio.create_task(rig.lookup.recorded(NAME))
        staying = asyncio.create_task(rig.lookup.recorded(NAME))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying is not None


class TestRecent:
    def test_the_oldest_fall_out(self) -> None:
        remembered = recent_orders.RecentOrders(2)
        for order_id in ("a", "b", "c"):
            remembered.add(fact(order_id))
        assert remembered.hash_of(ids.OrderRef("m1", "a")) is None
        assert remembered.unrecorded(ids.OrderRef("m1", "a")) is None
        assert remembered.unrecorded(ids.OrderRef("m1", "c")) == fact("c")

    def test_of_recorded_ones_the_hash_stays(self) -> None:
        remembered = recent_orders.RecentOrders(2)
        remembered.add(fact())
        remembered.saw_recorded(NAME)
        assert remembered.unrecorded(NAME) is None
        assert remembered.hash_of(NAME) == "h"
