"""Calls that wait for an order: when they look at it, and when they stop."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from internal.api.orders import watch
from internal.flow import topics
from internal.kernel.states import OrderState
from internal.views.order import OrderView
from tests.unit.api.orders import waiting


@pytest.fixture
async def rig() -> AsyncIterator[waiting.Rig]:
    async with waiting.running_rig() as running:
        yield running


async def test_time_is_up(rig: waiting.Rig) -> None:
    rig.recent.add(waiting.fact())
    assert await rig.follow(0.05) == waiting.fact()


async def test_looks_again_soon_for_an_outcome_without_a_message(rig: waiting.Rig) -> None:
    rig.recent.add(waiting.fact())
    loop = asyncio.get_running_loop()
    loop.call_later(0.03, rig.orders.record, waiting.fact())
    with rig.follower.listen(waiting.REF, ()) as listener:
        view = await listener.until_logged(watch.is_decided, loop.time() + 5)
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
