"""Calls that wait for an order: when they look at it, and when they stop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

import msgspec
import pytest

from internal.flow import topics
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.views.order import OrderView
from tests.unit.api import memory
from tests.unit.api.orders import waiting


@pytest.fixture
async def rig() -> AsyncIterator[waiting.Rig]:
    async with waiting.running_rig() as running:
        yield running


async def test_time_is_up(rig: waiting.Rig) -> None:
    rig.recent.add(waiting.submission())
    assert await rig.follow(0.05) == waiting.submission()


async def test_looks_again_soon_for_an_outcome_without_a_message(rig: waiting.Rig) -> None:
    rig.recent.add(waiting.submission())
    loop = asyncio.get_running_loop()
    loop.call_later(0.03, rig.orders.record, waiting.fact())
    with rig.follower.listen(waiting.REF, ()) as listener:
        assert listener
        look = partial(rig.loader.recorded, waiting.REF)
        view = await listener.until_found(look, loop.time() + 5)
    assert isinstance(view, OrderView)
    assert rig.orders.reads < 8


async def test_a_new_order_is_not_read_before_its_first_message(rig: waiting.Rig) -> None:
    call = rig.follow(look_at_once=False)
    await waiting.turns()
    assert rig.orders.reads == 0
    rig.orders.record(waiting.fact())
    rig.orders.move(waiting.REF, OrderState.REJECTED)
    await rig.orders.tell(waiting.REF, topics.REJECTED)
    assert isinstance(await call, OrderView)
    assert rig.orders.reads == 1


async def test_it_is_read_at_the_deadline_at_the_latest(rig: waiting.Rig) -> None:
    rig.orders.record(waiting.fact())
    assert isinstance(await rig.follow(0.05, look_at_once=False), OrderView)


async def test_a_database_that_comes_back(rig: waiting.Rig) -> None:
    rig.orders.is_away = True
    call = rig.follow()
    await waiting.turns()
    rig.orders.is_away = False
    rig.orders.record(waiting.fact())
    rig.orders.move(waiting.REF, OrderState.REJECTED)
    await rig.orders.tell(waiting.REF, topics.REJECTED)
    assert isinstance(await call, OrderView)


async def test_each_step_comes_once(rig: waiting.Rig) -> None:
    rig.orders.record(waiting.fact())
    rig.orders.move(waiting.REF, OrderState.REJECTED)
    versions = [entry.version async for entry, _ in rig.follower.follow(waiting.REF, 0)]
    assert versions == [1, 2, 3]


async def test_an_order_that_does_not_move_is_not_read_whole_again() -> None:
    """A look at its version costs little; lines, log and payments are read when there is news."""
    async with waiting.running_rig(reread_s=0.001) as rig:
        rig.orders.record(waiting.fact())
        waits = rig.follow()
        following = asyncio.create_task(_versions(rig))
        while rig.orders.reads < 20:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        assert rig.orders.whole_reads <= 2
        rig.orders.move(waiting.REF, OrderState.REJECTED)
        assert isinstance(await waits, OrderView)
        assert await following == [1, 2, 3]
        assert rig.orders.whole_reads <= 4


async def _versions(rig: waiting.Rig) -> list[int]:
    return [entry.version async for entry, _ in rig.follower.follow(waiting.REF, 0)]


class TornOrders(memory.MemoryOrders):
    """Orders that move on between the two halves of a read: an old row, and a newer log."""

    is_torn = True

    async def get_many(self, refs: Sequence[ids.OrderRef]) -> list[OrderView]:
        views = await super().get_many(refs)
        if self.is_torn:
            self.is_torn = False
            for view in views:
                self.move(waiting.REF, OrderState.PAID)
                after = self.move(waiting.REF, OrderState.FINALIZED)
                torn = msgspec.structs.replace(view, timeline=after.timeline)
                return [torn]
        return views


async def test_the_last_step_comes_with_the_whole_order_in_any_case() -> None:
    """Also where an order ends while it is read: the log is newer than the order's row then."""
    async with waiting.running_rig(reread_s=0.001, kind=TornOrders) as rig:
        rig.orders.record(waiting.fact())
        seen = [step async for step in rig.follower.follow(waiting.REF, 0)]
        assert [entry.version for entry, _ in seen] == [1, 2, 3, 4]
        *others, last = [view for _, view in seen]
        assert others == [None, None, None]
        assert last is not None
        assert (last.state, last.version) == (OrderState.FINALIZED, 4)
